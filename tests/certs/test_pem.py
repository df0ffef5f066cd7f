"""What stands in a file of certificates is found, and what is wrong with it is said.

How a listener meets broken files is in tests/listeners/test_certificates.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from mqttbroker.certs import (
    CertificateError,
    belongs,
    describe,
    dns_names,
    parse_certificates,
    parse_key,
    parse_revocation_lists,
    read_file,
)
from tests.support.pki import Pki

PATH = Path("some.pem")


def test_several_certificates_in_their_order(pki: Pki) -> None:
    content = b"".join(pki.certificate(name).read_bytes() for name in ("server", "ca", "other"))
    subjects = [describe(PATH, each).subject for each in parse_certificates(PATH, content)]
    assert subjects == ["CN=localhost", "CN=test authority", "CN=other.example.org"]


def test_what_else_stands_in_the_file_does_not_matter(pki: Pki) -> None:
    content = b"\n".join(
        [b"Bag Attributes\r\n    friendlyName: \xc3\xa4", pki.key("server").read_bytes(), pki.ca.read_bytes()]
    )
    assert len(parse_certificates(PATH, content.replace(b"\n", b"\r\n"))) == 1
    assert parse_key(PATH, content)


def test_an_older_label(pki: Pki) -> None:
    content = pki.ca.read_bytes().replace(b" CERTIFICATE", b" X509 CERTIFICATE")
    assert len(parse_certificates(PATH, content)) == 1


def test_names_of_a_certificate(pki: Pki) -> None:
    [server] = parse_certificates(PATH, pki.certificate("server").read_bytes())
    [authority] = parse_certificates(PATH, pki.ca.read_bytes())
    assert dns_names(PATH, server) == ["localhost"]
    assert describe(PATH, server).names == ("localhost", "127.0.0.1", "::1")
    assert dns_names(PATH, authority) == []
    assert describe(PATH, authority).names == ()


def test_a_key_and_its_certificate(pki: Pki) -> None:
    key = parse_key(PATH, pki.key("server").read_bytes())
    for name, expected in (("server", True), ("other", False), ("ca", False)):
        [certificate] = parse_certificates(PATH, pki.certificate(name).read_bytes())
        assert belongs(key, certificate) is expected
    assert not belongs(ed25519.Ed25519PrivateKey.generate(), certificate)
    assert not belongs(x25519.X25519PrivateKey.generate(), certificate)


def test_lists(pki: Pki) -> None:
    content = pki.crl.read_bytes() + pki.certificate("foreign-crl").read_bytes()
    assert [len(each) for each in parse_revocation_lists(PATH, content)] == [1, 0]


def test_the_message_names_the_file_and_the_problem(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    with pytest.raises(CertificateError) as caught:
        read_file(path)
    assert caught.value.path == path
    assert caught.value.problem == "cannot be read: No such file or directory"
    assert str(caught.value) == f"{path}: {caught.value.problem}"


def test_a_block_inside_of_another_one_that_was_cut(pki: Pki) -> None:
    """As after a copy that broke off and was begun again."""
    content = pki.ca.read_bytes()
    with pytest.raises(CertificateError, match="expected whole PEM blocks"):
        parse_certificates(PATH, content[:200] + b"\n" + content)
