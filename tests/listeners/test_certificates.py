"""Files that cannot be used are refused in words that help, and what has run out is told to the log."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Unpack

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from mqttbroker.certs import Issued, issue_client, make_authority
from mqttbroker.listeners.tls import CertificateFiles, TlsFiles, TlsSettings
from mqttbroker.security import TlsError
from tests.listeners.handshake import shake_hands
from tests.support.pki import OTHER_NAME, SERVER_NAMES, Pki, SettingsChanges

DAY = timedelta(days=1)


class Lines:
    """A log, to look at."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, event: str, /, **details: object) -> None:
        self.lines.append((level, event, details))


@pytest.fixture
def own(pki: Pki, tmp_path: Path) -> Pki:
    """Files that a test may change."""
    return pki.copy(tmp_path)


def refusal(pki: Pki, **changes: Unpack[SettingsChanges]) -> str:
    """Why the files cannot be used."""
    with pytest.raises(TlsError) as caught:
        TlsFiles(pki.tls_settings(**changes), Lines())
    return str(caught.value)


def heard(pki: Pki, **changes: Unpack[SettingsChanges]) -> list[tuple[str, str, dict[str, object]]]:
    """What the log is told."""
    log = Lines()
    TlsFiles(pki.tls_settings(**changes), log)
    return log.lines


def cut(path: Path) -> None:
    """Leave half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def garble(path: Path) -> None:
    """Leave the lines of a block, with nothing in them that means anything."""
    first, *_, last = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, b"bm8gY2VydGlmaWNhdGU=", last]))


class TestServer:
    """The server's certificate and its key."""

    @pytest.mark.parametrize("name", ["certificate", "key"])
    def test_not_there(self, own: Pki, name: str) -> None:
        path = own.certificate("server") if name == "certificate" else own.key("server")
        path.unlink()
        assert refusal(own) == f"{path}: cannot be read: No such file or directory"

    def test_a_folder(self, own: Pki) -> None:
        assert refusal(own, certificates=(CertificateFiles(own.directory),)).startswith(
            f"{own.directory}: cannot be read: "
        )

    @pytest.mark.parametrize(
        ("damage", "problem"),
        [
            pytest.param(cut, "expected whole PEM blocks, found one without its END line", id="cut"),
            pytest.param(garble, "certificate 1 cannot be understood: ", id="garbled"),
            pytest.param(lambda path: path.write_bytes(b""), "expected a certificate (BEGIN CERTIFICATE)", id="empty"),
            pytest.param(lambda path: path.write_bytes(b"\0\xff\n"), "expected a certificate", id="something else"),
        ],
    )
    def test_a_broken_certificate(self, own: Pki, damage: Callable[[Path], None], problem: str) -> None:
        damage(own.certificate("server"))
        assert refusal(own).startswith(f"{own.certificate('server')}: {problem}")

    def test_a_chain_that_is_cut(self, own: Pki) -> None:
        path = own.certificate("server")
        path.write_bytes(path.read_bytes() + own.ca.read_bytes()[:-30])
        assert "expected whole PEM blocks" in refusal(own)

    def test_a_chain_that_is_garbled(self, own: Pki) -> None:
        path = own.certificate("server")
        good = path.read_bytes()
        garble(path)
        path.write_bytes(good + path.read_bytes())
        assert "certificate 2 cannot be understood" in refusal(own)

    @pytest.mark.parametrize(
        ("damage", "problem"),
        [
            pytest.param(cut, "expected whole PEM blocks, found one without its END line", id="cut"),
            pytest.param(garble, "the private key cannot be understood: ", id="garbled"),
            pytest.param(lambda path: path.write_bytes(b""), "expected one private key", id="empty"),
            pytest.param(lambda path: path.write_bytes(path.read_bytes() * 2), "expected one private key", id="two"),
        ],
    )
    def test_a_broken_key(self, own: Pki, damage: Callable[[Path], None], problem: str) -> None:
        damage(own.key("server"))
        assert refusal(own).startswith(f"{own.key('server')}: {problem}")

    def test_a_key_with_a_password(self, own: Pki) -> None:
        path = own.key("server")
        key = load_pem_private_key(path.read_bytes(), None)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
        assert refusal(own) == f"{path}: expected a private key that needs no password"

    def test_the_key_of_another(self, own: Pki) -> None:
        files = CertificateFiles(own.certificate("server"), own.key("other"))
        assert refusal(own, certificates=(files,)) == (
            f"{own.key('other')}: expected the private key of the certificate in {own.certificate('server')}, "
            "found another one"
        )

    def test_the_chain_in_the_wrong_order(self, own: Pki) -> None:
        path = own.certificate("server")
        path.write_bytes(own.ca.read_bytes() + path.read_bytes())
        assert "expected the server's certificate first" in refusal(own)

    def test_the_second_one(self, own: Pki) -> None:
        cut(own.certificate("other"))
        assert refusal(own, certificates=(own.files("server"), own.files("other"))).startswith(
            str(own.certificate("other"))
        )

    def test_names_that_cannot_be_understood(self, own: Pki) -> None:
        authority = own.authority()
        extension = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"nothing")
        write_odd(own, ec.generate_private_key(ec.SECP256R1()), authority, extension)
        assert "the names in the certificate cannot be understood" in refusal(own, certificates=(own.files("odd"),))

    def test_a_key_that_openssl_finds_too_short(self, own: Pki) -> None:
        extension = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        write_odd(own, rsa.generate_private_key(65_537, 1_024), own.authority(), extension)
        assert refusal(own, certificates=(own.files("odd"),)) == (
            f"{own.certificate('odd')}: OpenSSL refuses it: ee key too small"
        )

    def test_key_and_certificate_in_one_file(self, own: Pki) -> None:
        both = own.certificate("both")
        both.write_bytes(
            own.key("server").read_bytes() + b"\nA comment: \xc3\xb6\n" + own.certificate("server").read_bytes()
        )
        files = TlsFiles(TlsSettings((CertificateFiles(both),)), Lines())
        assert shake_hands(own.client_context(), files.context).shown_by_server() == "localhost"

    def test_a_key_of_the_old_form(self, own: Pki) -> None:
        """As ``openssl ecparam -genkey`` writes it: the parameters in a block of their own, then the key."""
        path = own.key("server")
        key = load_pem_private_key(path.read_bytes(), None)
        parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        path.write_bytes(parameters + old)
        files = TlsFiles(own.tls_settings(), Lines())
        assert shake_hands(own.client_context(), files.context).shown_by_server() == "localhost"

    def test_an_expired_one_is_used_and_told(self, own: Pki) -> None:
        [(level, event, details)] = heard(own, certificates=(own.files("expired-server"),))
        assert (level, event) == ("warning", "certificate has expired")
        assert details["file"] == str(own.certificate("expired-server"))
        assert details["subject"] == "CN=localhost"
        files = TlsFiles(own.tls_settings(certificates=(own.files("expired-server"),)), Lines())
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
            shake_hands(own.client_context(), files.context)

    def test_one_that_is_not_valid_yet_is_told(self, own: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
        before = datetime.now(UTC) - 10 * DAY
        monkeypatch.setattr("mqttbroker.listeners.tls.time.time", before.timestamp)
        [(level, event, _)] = heard(own)
        assert (level, event) == ("warning", "certificate is not valid yet")

    def test_good_ones_are_not_worth_a_line(self, own: Pki) -> None:
        assert heard(own, certificates=(own.files("server"), own.files("other"))) == []
        assert heard(own, client_certificates="required", crl=own.crl) == []


class TestClients:
    """Authorities of clients, and lists of revoked certificates."""

    @pytest.mark.parametrize("wanted", ["optional", "required"])
    def test_an_authority_is_needed(self, own: Pki, wanted: str) -> None:
        with pytest.raises(ValueError, match="client_ca: expected"):
            TlsSettings((own.files("server"),), client_certificates=wanted)  # type: ignore[arg-type]  # It is one.

    def test_a_certificate_is_needed(self) -> None:
        with pytest.raises(ValueError, match="certificates: expected"):
            TlsSettings(())

    @pytest.mark.parametrize("damage", [cut, garble, lambda path: path.unlink()], ids=["cut", "garbled", "gone"])
    @pytest.mark.parametrize("name", ["ca", "crl"])
    def test_a_broken_file(self, own: Pki, name: str, damage: Callable[[Path], None]) -> None:
        damage(own.certificate(name))
        assert refusal(own, client_certificates="optional", crl=own.crl).startswith(f"{own.certificate(name)}: ")

    def test_files_that_are_not_needed_are_not_read(self, own: Pki) -> None:
        own.ca.unlink()
        assert heard(own, client_ca=own.ca, crl=own.certificate("none")) == []

    def test_no_list_in_the_file(self, own: Pki) -> None:
        own.crl.write_bytes(own.key("ca").read_bytes())
        assert "expected a list of revoked certificates (BEGIN X509 CRL)" in refusal(
            own, client_certificates="required", crl=own.crl
        )

    def test_a_certificate_among_the_lists(self, own: Pki) -> None:
        """OpenSSL would take it for an authority."""
        own.crl.write_bytes(own.crl.read_bytes() + own.certificate("foreign-ca").read_bytes())
        assert refusal(own, client_certificates="required", crl=own.crl) == (
            f"{own.crl}: expected nothing but lists of revoked certificates, found a certificate"
        )

    def test_a_list_of_a_foreign_authority(self, own: Pki) -> None:
        path = own.certificate("foreign-crl")
        assert refusal(own, client_certificates="required", crl=path) == (
            f"{path}: expected lists signed by an authority in {own.ca}, found one of 'CN=foreign authority'"
        )

    def test_a_list_under_a_false_name(self, own: Pki) -> None:
        now = datetime.now(UTC)
        forger = make_authority("test authority", now - DAY, now + DAY)
        own.write_revocation_list("forged", forger, [], now + DAY)
        assert "expected lists signed by an authority" in refusal(
            own, client_certificates="required", crl=own.certificate("forged")
        )

    def test_an_authority_that_may_not_sign_lists(self, own: Pki) -> None:
        now = datetime.now(UTC)
        signer = issue_client(own.authority(), "signer", now - DAY, now + DAY)
        own.write("signer", signer)
        own.write_revocation_list("signed", signer, [], now + DAY)
        problem = refusal(
            own, client_certificates="required", client_ca=own.certificate("signer"), crl=own.certificate("signed")
        )
        assert problem.startswith(f"{own.certificate('signer')}: expected an authority that may sign the lists")

    def test_an_authority_that_cannot_be_understood(self, own: Pki) -> None:
        extension = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"nothing")
        odd = write_odd(own, ec.generate_private_key(ec.SECP256R1()), own.authority(), extension)
        signer = Issued(own.authority().certificate, odd.key)
        own.write_revocation_list("signed", signer, [], datetime.now(UTC) + DAY)
        problem = refusal(
            own, client_certificates="required", client_ca=own.certificate("odd"), crl=own.certificate("signed")
        )
        assert f"{own.certificate('odd')}" in problem
        assert "expected certificates that can be understood" in problem

    def test_an_authority_with_another_kind_of_key_does_not_hide_the_one_that_has_signed(self, own: Pki) -> None:
        extension = x509.BasicConstraints(ca=True, path_length=None)
        write_odd(own, rsa.generate_private_key(65_537, 2_048), own.authority(), extension)
        own.ca.write_bytes(own.certificate("odd").read_bytes() + own.ca.read_bytes())
        lines = heard(own, client_certificates="required", crl=own.crl)
        assert [details["authority"] for _, _, details in lines] == ["CN=odd"]

    def test_a_list_that_has_run_out_is_told(self, own: Pki) -> None:
        path = own.certificate("expired-crl")
        [(level, event, details)] = heard(own, client_certificates="required", crl=path)
        assert level == "warning"
        assert event.startswith("list of revoked certificates has run out")
        assert details["file"] == str(path)

    def test_an_authority_without_a_list_is_told(self, own: Pki) -> None:
        own.ca.write_bytes(own.ca.read_bytes() + own.certificate("foreign-ca").read_bytes())
        [(level, event, details)] = heard(own, client_certificates="required", crl=own.crl)
        assert level == "warning"
        assert event.startswith("no list of revoked certificates of an authority")
        assert details["authority"] == "CN=foreign authority"

    def test_an_expired_authority_is_told(self, own: Pki) -> None:
        now = datetime.now(UTC)
        own.write("old", make_authority("old", now - 2 * DAY, now - DAY))
        [(_, event, details)] = heard(own, client_certificates="required", client_ca=own.certificate("old"))
        assert event == "certificate has expired"
        assert details["subject"] == "CN=old"

    def test_an_intermediate_authority_is_enough(self, own: Pki) -> None:
        """The root above it need not be there, and needs no list where it is."""
        now = datetime.now(UTC)
        root = own.authority()
        middle = _intermediate(root, now)
        own.write("middle", middle)
        own.write("carol", issue_client(middle, "carol", now - DAY, now + DAY))
        own.write_revocation_list("middle-crl", middle, [], now + DAY)
        crl = own.certificate("middle-crl")
        both = own.certificate("both")
        both.write_bytes(own.ca.read_bytes() + own.certificate("middle").read_bytes())
        context = own.client_context()
        context.load_cert_chain(own.certificate("carol"), own.key("carol"))
        for trusted in (own.certificate("middle"), both):
            log = Lines()
            files = TlsFiles(own.tls_settings(client_certificates="required", client_ca=trusted, crl=crl), log)
            assert shake_hands(context, files.context).server.getpeercert()
            assert log.lines == []


def write_odd(
    pki: Pki,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    authority: Issued,
    extension: x509.ExtensionType,
) -> Issued:
    """Write and return a certificate that no honest authority would sign."""
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(extension, critical=False)
        .sign(authority.key, SHA256())
    )
    issued = Issued(certificate, key)
    pki.write("odd", issued)
    return issued


def _intermediate(root: Issued, now: datetime) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "middle authority")]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root.key, SHA256())
    )
    return Issued(certificate, key)


@pytest.mark.parametrize(
    ("ciphers", "named"),
    [
        pytest.param("NONSENSE", "NONSENSE", id="unknown"),
        pytest.param("ECDHE-ECDSA-AES256-GCM-SHA384:NONSENSE", "NONSENSE", id="unknown among others"),
        pytest.param("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", id="of TLS 1.3"),
        pytest.param("", "", id="empty"),
        pytest.param("HIGH:!ALL", "HIGH:!ALL", id="nothing left"),
    ],
)
def test_ciphers_that_cannot_be(pki: Pki, ciphers: str, named: str) -> None:
    assert refusal(pki, ciphers=ciphers) == (
        f"ciphers: expected cipher suites of TLS 1.2 as OpenSSL writes them, got {named!r}"
    )


@pytest.mark.parametrize("ciphers", ["HIGH:!aNULL:!MD5", "ECDHE+AESGCM:ECDHE+CHACHA20", "DEFAULT:@SECLEVEL=2"])
def test_ciphers_that_can_be(pki: Pki, ciphers: str) -> None:
    assert heard(pki, ciphers=ciphers) == []


class TestDescription:
    """What can be shown of the files in force."""

    def test_certificates(self, pki: Pki) -> None:
        files = TlsFiles(pki.tls_settings(certificates=(pki.files("server"), pki.files("other"))), Lines())
        first, second = files.certificates
        assert first.file == pki.certificate("server")
        assert first.subject == "CN=localhost"
        assert first.issuer == "CN=test authority"
        assert first.names == SERVER_NAMES
        assert first.not_after - first.not_before == (31 * DAY).total_seconds()
        certificate = x509.load_pem_x509_certificate(first.file.read_bytes())
        assert first.not_after == certificate.not_valid_after_utc.timestamp()
        assert int(first.serial, 16) == certificate.serial_number
        assert second.names == (OTHER_NAME, "*.things.example.org")

    def test_when_the_first_list_runs_out(self, own: Pki) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        own.write_revocation_list("soon", own.authority(), [], now + DAY)
        own.crl.write_bytes(own.crl.read_bytes() + own.certificate("soon").read_bytes())
        files = TlsFiles(own.tls_settings(client_certificates="required", crl=own.crl), Lines())
        assert files.crl_next_update == (now + DAY).timestamp()

    def test_no_list(self, pki: Pki) -> None:
        assert TlsFiles(pki.tls_settings(), Lines()).crl_next_update is None
