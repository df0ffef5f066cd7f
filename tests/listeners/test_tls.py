"""TLS as clients meet it: versions, names, certificates of both sides; and files that change while it is served."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Unpack

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from mqttbroker.broker import ClientCertificate
from mqttbroker.certs import Issued, issue_server
from mqttbroker.listeners.tls import TlsFiles, client_certificate
from mqttbroker.security import TlsError
from tests.listeners.handshake import Ends, shake_hands
from tests.support.pki import OTHER_NAME, ClientName, Pki, SettingsChanges

DAY = timedelta(days=1)
VERSIONS: tuple[Literal["1.2", "1.3"], ...] = ("1.2", "1.3")


def unheard(level: str, event: str, /, **details: object) -> None:
    """Take a line of the log."""


def tls(pki: Pki, **changes: Unpack[SettingsChanges]) -> TlsFiles:
    """The files of a listener."""
    return TlsFiles(pki.tls_settings(**changes), unheard)


def connect(
    pki: Pki,
    files: TlsFiles,
    client: ClientName | None = None,
    *,
    name: str | None = "localhost",
    version: Literal["1.2", "1.3"] | None = None,
    session: ssl.SSLSession | None = None,
) -> Ends:
    """Connect a client."""
    return shake_hands(pki.client_context(client, version=version), files.context, name, session)


class TestVersions:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_both_by_default(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        assert connect(pki, tls(pki), version=version).server.version() == f"TLSv{version}"

    def test_only_the_new_one(self, pki: Pki) -> None:
        files = tls(pki, minimum_version="1.3")
        assert connect(pki, files).server.version() == "TLSv1.3"
        with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
            connect(pki, files, version="1.2")

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    def test_none_that_are_older(self, pki: Pki) -> None:
        context = pki.client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
            shake_hands(context, tls(pki).context)

    def test_ciphers(self, pki: Pki) -> None:
        cipher = "ECDHE-ECDSA-AES256-GCM-SHA384"
        files = tls(pki, ciphers=cipher)
        chosen = connect(pki, files, version="1.2").server.cipher()
        assert chosen is not None
        assert chosen[0] == cipher
        context = pki.client_context(version="1.2")
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
            shake_hands(context, files.context)

    def test_no_renegotiation_and_no_compression(self, pki: Pki) -> None:
        options = tls(pki).context.options
        assert options & ssl.OP_NO_RENEGOTIATION
        assert options & ssl.OP_NO_COMPRESSION
        assert options & ssl.OP_CIPHER_SERVER_PREFERENCE


class TestAlpn:
    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            pytest.param(["mqtt"], "mqtt", id="the one"),
            pytest.param(["h2", "mqtt"], "mqtt", id="among others"),
            pytest.param(["h2"], None, id="others"),
            pytest.param([], None, id="nothing"),
        ],
    )
    @pytest.mark.parametrize("name", ["localhost", OTHER_NAME])
    def test_chosen(self, pki: Pki, name: str, offered: list[str], chosen: str | None) -> None:
        files = tls(pki, certificates=(pki.files("server"), pki.files("other")), alpn=("mqtt",))
        ends = shake_hands(pki.client_context(alpn=offered), files.context, name)
        assert ends.client.selected_alpn_protocol() == chosen
        assert ends.server.selected_alpn_protocol() == chosen


class TestServerNames:
    """Server Name Indication (RFC 6066, section 3)."""

    @pytest.fixture
    def files(self, pki: Pki) -> TlsFiles:
        return tls(pki, certificates=(pki.files("server"), pki.files("other")), client_certificates="optional")

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            pytest.param("localhost", "localhost", id="first"),
            pytest.param(OTHER_NAME, OTHER_NAME, id="second"),
            pytest.param("OTHER.example.ORG", OTHER_NAME, id="in capitals"),
            pytest.param("lamp.things.example.org", OTHER_NAME, id="wildcard"),
        ],
    )
    def test_the_certificate_for_it_is_shown(self, pki: Pki, files: TlsFiles, name: str, shown: str) -> None:
        assert connect(pki, files, name=name).shown_by_server() == shown

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param(None, id="none"),
            pytest.param("127.0.0.1", id="an address"),
            pytest.param("example.org", id="unknown"),
            pytest.param("a.lamp.things.example.org", id="wildcard is one label"),
            pytest.param("things.example.org", id="wildcard is not nothing"),
            pytest.param("example", id="without a dot"),
        ],
    )
    def test_the_first_certificate_for_every_other_name(self, pki: Pki, files: TlsFiles, name: str | None) -> None:
        context = pki.client_context()
        context.check_hostname = False
        assert shake_hands(context, files.context, name).shown_by_server() == "localhost"

    @pytest.mark.parametrize("name", ["localhost", OTHER_NAME])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_clients_are_judged_alike(
        self, pki: Pki, files: TlsFiles, name: str, version: Literal["1.2", "1.3"]
    ) -> None:
        ends = connect(pki, files, "alice", name=name, version=version)
        assert client_certificate(ends.server) == ClientCertificate("alice", ("alice",))
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(pki, files, "foreign", name=name, version=version)

    def test_the_first_certificate_with_a_name_is_shown_for_it(self, pki: Pki, tmp_path: Path) -> None:
        own = pki.copy(tmp_path)
        authority = own.authority()
        now = datetime.now(UTC)
        own.write("third", issue_server(authority, ["third", "localhost", OTHER_NAME], now - DAY, now + DAY))
        files = tls(own, certificates=(own.files("server"), own.files("other"), own.files("third")))
        assert connect(own, files).shown_by_server() == "localhost"
        assert connect(own, files, name=OTHER_NAME).shown_by_server() == OTHER_NAME
        assert connect(own, files, name="third").shown_by_server() == "third"


BAD_CLIENTS: list[ClientName] = ["expired", "foreign", "revoked"]


@pytest.mark.parametrize("version", VERSIONS)
class TestClientCertificates:
    """Who gets in: none, good, expired, of a foreign authority, revoked; optional and required."""

    @pytest.mark.parametrize("wanted", ["optional", "required"])
    def test_a_good_one(
        self, pki: Pki, wanted: Literal["optional", "required"], version: Literal["1.2", "1.3"]
    ) -> None:
        ends = connect(pki, tls(pki, client_certificates=wanted, crl=pki.crl), "alice", version=version)
        assert client_certificate(ends.server) == ClientCertificate("alice", ("alice",))

    @pytest.mark.parametrize("wanted", ["optional", "required"])
    @pytest.mark.parametrize("client", BAD_CLIENTS)
    def test_a_bad_one(
        self, pki: Pki, client: ClientName, wanted: Literal["optional", "required"], version: Literal["1.2", "1.3"]
    ) -> None:
        files = tls(pki, client_certificates=wanted, crl=pki.crl)
        reason = {"expired": "expired", "foreign": "unable to get local issuer", "revoked": "revoked"}[client]
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            connect(pki, files, client, version=version)

    def test_none_where_one_is_required(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            connect(pki, tls(pki, client_certificates="required"), version=version)

    def test_none_where_one_is_optional(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        files = tls(pki, client_certificates="optional", crl=pki.certificate("expired-crl"))
        assert client_certificate(connect(pki, files, version=version).server) is None

    @pytest.mark.parametrize("client", ["alice", *BAD_CLIENTS])
    def test_nobody_is_asked(self, pki: Pki, client: ClientName, version: Literal["1.2", "1.3"]) -> None:
        """What a client has is its own affair where it is not asked for."""
        assert client_certificate(connect(pki, tls(pki), client, version=version).server) is None

    def test_a_revoked_one_without_a_list(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        files = tls(pki, client_certificates="required")
        assert client_certificate(connect(pki, files, "revoked", version=version).server) is not None

    @pytest.mark.parametrize("wanted", ["optional", "required"])
    @pytest.mark.parametrize("client", ["alice", "revoked"])
    def test_a_list_that_has_run_out_lets_no_certificate_in(
        self, pki: Pki, client: ClientName, wanted: Literal["optional", "required"], version: Literal["1.2", "1.3"]
    ) -> None:
        files = tls(pki, client_certificates=wanted, crl=pki.certificate("expired-crl"))
        with pytest.raises(ssl.SSLCertVerificationError, match="CRL has expired"):
            connect(pki, files, client, version=version)

    def test_a_certificate_of_a_server_is_none_of_a_client(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        context = pki.client_context(version=version)
        context.load_cert_chain(pki.certificate("server"), pki.key("server"))
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            shake_hands(context, tls(pki, client_certificates="required").context)

    def test_an_authority_without_a_list_lets_nobody_in(
        self, pki: Pki, tmp_path: Path, version: Literal["1.2", "1.3"]
    ) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes(pki.ca.read_bytes() + pki.certificate("foreign-ca").read_bytes())
        files = tls(pki, client_certificates="required", client_ca=both, crl=pki.crl)
        connect(pki, files, "alice", version=version)
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get certificate CRL"):
            connect(pki, files, "foreign", version=version)

    def test_lists_of_several_authorities(self, pki: Pki, tmp_path: Path, version: Literal["1.2", "1.3"]) -> None:
        both, lists = tmp_path / "both.pem", tmp_path / "lists.pem"
        both.write_bytes(pki.ca.read_bytes() + pki.certificate("foreign-ca").read_bytes())
        lists.write_bytes(pki.crl.read_bytes() + pki.certificate("foreign-crl").read_bytes())
        files = tls(pki, client_certificates="required", client_ca=both, crl=lists)
        connect(pki, files, "alice", version=version)
        connect(pki, files, "foreign", version=version)
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
            connect(pki, files, "revoked", version=version)


@pytest.mark.parametrize("version", VERSIONS)
class TestResumedSessions:
    """A session that is resumed has no certificate checked by OpenSSL."""

    def resume(self, pki: Pki, files: TlsFiles, version: Literal["1.2", "1.3"], later: TlsFiles | None = None) -> Ends:
        """Connect twice with one client, the second time to other files if there are any."""
        context = pki.client_context("alice", version=version)
        first = shake_hands(context, files.context)
        return shake_hands(context, (later or files).context, session=first.client.session)

    def test_the_names_are_known(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        ends = self.resume(pki, tls(pki, client_certificates="required", crl=pki.crl), version)
        assert ends.server.session_reused
        assert client_certificate(ends.server) == ClientCertificate("alice", ("alice",))

    @pytest.mark.parametrize("days", [29, 31])
    def test_the_dates_are_looked_at(
        self, pki: Pki, version: Literal["1.2", "1.3"], days: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ends = self.resume(pki, tls(pki, client_certificates="required"), version)
        later = datetime.now(UTC) + days * DAY
        monkeypatch.setattr("mqttbroker.listeners.tls.time.time", later.timestamp)
        if days < 30:
            assert client_certificate(ends.server) is not None
        else:
            with pytest.raises(TlsError, match="certificate has expired"):
                client_certificate(ends.server)

    def test_the_list_has_run_out(
        self, pki: Pki, tmp_path: Path, version: Literal["1.2", "1.3"], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = pki.copy(tmp_path)
        own.write_revocation_list("short", own.authority(), [], datetime.now(UTC) + DAY)
        ends = self.resume(own, tls(own, client_certificates="required", crl=own.certificate("short")), version)
        later = datetime.now(UTC) + 2 * DAY
        monkeypatch.setattr("mqttbroker.listeners.tls.time.time", later.timestamp)
        with pytest.raises(TlsError, match="list of revoked certificates has run out"):
            client_certificate(ends.server)

    def test_other_files_resume_nothing(self, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        files = tls(pki, client_certificates="required")
        ends = self.resume(pki, files, version, later=tls(pki, client_certificates="required", crl=pki.crl))
        assert not ends.server.session_reused


class TestNamesOfClients:
    """Which names in a certificate may become a user name."""

    def names(self, pki: Pki, folder: Path, common_names: list[str], alternatives: bytes) -> ClientCertificate | None:
        """Show a certificate that no honest authority would sign."""
        own = pki.copy(folder)
        authority = own.authority()
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names]))
            .issuer_name(authority.certificate.subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, alternatives), critical=False)
            .sign(authority.key, SHA256())
        )
        own.write("client", Issued(certificate, key))
        context = own.client_context()
        context.load_cert_chain(own.certificate("client"), own.key("client"))
        return client_certificate(shake_hands(context, tls(own, client_certificates="required").context).server)

    @pytest.mark.parametrize(
        ("common_names", "name"),
        [
            pytest.param(["alice"], "alice", id="one"),
            pytest.param(["Zoë Ω"], "Zoë Ω", id="beyond ASCII"),
            pytest.param(["alice\0.example.org"], "", id="U+0000"),
            pytest.param(["alice\n"], "", id="line feed"),
            pytest.param(["alice\x9b"], "", id="control character beyond ASCII"),
            pytest.param(["alice", "admin"], "", id="two"),
            pytest.param([], "", id="none"),
        ],
    )
    def test_common_name(self, pki: Pki, tmp_path: Path, common_names: list[str], name: str) -> None:
        expected = ClientCertificate(name, ("x",))
        assert self.names(pki, tmp_path, common_names, general_names((DNS, b"x"))) == expected

    def test_alternative_names_in_their_order(self, pki: Pki, tmp_path: Path) -> None:
        encoded = general_names(
            (EMAIL, b"a@example.org"),
            (DNS, b"a\0b"),
            (ADDRESS, bytes(4)),
            (URI, b"urn:dev:1"),
            (DNS, b"\x1b[2J"),
            (DNS, b""),
            (DNS, b"a.example.org"),
        )
        expected = ClientCertificate("a", ("a@example.org", "urn:dev:1", "a.example.org"))
        assert self.names(pki, tmp_path, ["a"], encoded) == expected

    def test_names_that_are_no_text(self, pki: Pki, tmp_path: Path) -> None:
        assert self.names(pki, tmp_path, ["a"], general_names((DNS, b"\xff\xfe"))) == ClientCertificate()

    def test_no_tls(self) -> None:
        assert client_certificate(None) is None


EMAIL, DNS, URI, ADDRESS = 1, 2, 6, 7
"""Tags of kinds of names (RFC 5280, section 4.2.1.6)."""


def general_names(*names: tuple[int, bytes]) -> bytes:
    """Encode names as they are, in DER."""
    encoded = b"".join(bytes([0x80 | tag, len(name)]) + name for tag, name in names)
    return bytes([0x30, len(encoded)]) + encoded
