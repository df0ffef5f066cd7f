"""What the authority signs is accepted by OpenSSL at its strictest, for what it is meant for and nothing else."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from mqttbroker.certs import Issued, issue_client, issue_server, make_authority
from mqttbroker.certs.issuing import alternative_name, check_client_name
from tests.support.pki import Pki
from tests.support.tools import require_tool

NOW = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def authority() -> Issued:
    """An authority for a year."""
    return make_authority("an authority", NOW, NOW + YEAR)


def usage(issued: Issued) -> x509.KeyUsage:
    """What the key may be used for."""
    return issued.certificate.extensions.get_extension_for_class(x509.KeyUsage).value


@pytest.mark.parametrize("name", ["server", "other", "alice"])
@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_accepts_it_for_its_purpose(pki: Pki, name: str, purpose: str) -> None:
    openssl = require_tool("openssl")
    arguments = ["verify", "-x509_strict", "-purpose", purpose, "-crl_check", "-CRLfile", pki.crl, "-CAfile", pki.ca]
    found = subprocess.run([openssl, *map(str, arguments), str(pki.certificate(name))], capture_output=True, timeout=30)
    assert (found.returncode == 0) == ((purpose == "sslclient") == (name == "alice")), found.stderr


def test_an_authority(authority: Issued) -> None:
    certificate = authority.certificate
    assert certificate.issuer == certificate.subject
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert usage(authority).key_cert_sign
    assert usage(authority).crl_sign
    assert not usage(authority).digital_signature
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    assert isinstance(authority.key.curve, ec.SECP256R1)


def test_what_it_signs_is_no_authority(authority: Issued) -> None:
    for issued in (
        issue_server(authority, ["a"], NOW, NOW + YEAR),
        issue_client(authority, "a", NOW, NOW + YEAR),
    ):
        constraints = issued.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert not constraints.ca
        assert usage(issued).digital_signature
        assert not usage(issued).key_cert_sign
        assert not usage(issued).crl_sign


def test_an_authority_without_an_identifier_of_its_key(authority: Issued) -> None:
    """One that was made elsewhere may lack it."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        authority.certificate.subject, authority.certificate.subject, key.public_key(), 1, NOW, NOW + YEAR
    )
    other = Issued(builder.sign(key, SHA256()), key)
    issued = issue_client(other, "a", NOW, NOW + YEAR)
    identifier = issued.certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert identifier == x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def test_kinds_of_names(authority: Issued) -> None:
    names = ["broker.example.org", "192.0.2.1", "2001:db8::1", "*.example.org", "bücher.example", "my_service"]
    issued = issue_server(authority, names, NOW, NOW + YEAR)
    found = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == [
        "broker.example.org",
        "*.example.org",
        "xn--bcher-kva.example",
        "my_service",
    ]
    assert [str(each) for each in found.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "2001:db8::1"]


def test_a_name_that_is_too_long_for_a_subject(authority: Issued) -> None:
    long = f"{'a' * 60}.example.org"
    issued = issue_server(authority, [long], NOW, NOW + YEAR)
    assert issued.certificate.subject.rfc4514_string() == "CN=server"
    found = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == [long]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("localhost:8883", id="with a port"),
        pytest.param("mqtts://localhost", id="an address of the web"),
        pytest.param("[::1]", id="in brackets"),
        pytest.param("a b", id="a space"),
        pytest.param("a..b", id="an empty label"),
        pytest.param("-a", id="a hyphen first"),
        pytest.param("a.*.b", id="a wildcard inside"),
        pytest.param("*", id="a wildcard alone"),
        pytest.param("a" * 64, id="a label that is too long"),
        pytest.param(".".join(["a" * 60] * 5), id="too long"),
        pytest.param("ü" * 64, id="not to be converted"),
        pytest.param("a\n", id="a line feed"),
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="expected a DNS name or an IP address"):
        alternative_name(name)


@pytest.mark.parametrize(
    ("name", "alternatives"),
    [
        pytest.param("alice", [x509.DNSName("alice")], id="a DNS name"),
        pytest.param("lamp.example.org", [x509.DNSName("lamp.example.org")], id="several labels"),
        pytest.param("a@example.org", [x509.RFC822Name("a@example.org")], id="an e-mail address"),
        pytest.param("Zoë", [], id="beyond ASCII"),
        pytest.param("ü" * 32, [], id="as long as can be"),
        pytest.param("line 1/lamp", [], id="neither"),
    ],
)
def test_names_of_clients(authority: Issued, name: str, alternatives: list[x509.GeneralName]) -> None:
    issued = issue_client(authority, name, NOW, NOW + YEAR)
    [attribute] = issued.certificate.subject
    assert attribute.value == name
    try:
        found = list(issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        found = []
    assert found == alternatives


@pytest.mark.parametrize("name", ["", "a" * 65, "ü" * 33, " a", "a ", "a\nb", "a\0", "\udc80"], ids=ascii)
def test_names_that_no_client_has(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        check_client_name(name)
