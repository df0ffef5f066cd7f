"""The directory of an authority: what is made, what is kept, and what is never overwritten unasked."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mqttbroker.certs import (
    CertificateDirectory,
    CertificateError,
    CertificateInfo,
    describe,
    parse_certificates,
    parse_revocation_lists,
)
from mqttbroker.listeners.tls import CertificateFiles, TlsFiles, TlsSettings, client_certificate
from tests.listeners.handshake import Ends, shake_hands

DAY = timedelta(days=1)
POSIX = pytest.mark.skipif(os.name != "posix", reason="the system knows no such modes")


class Clock:
    """The time, and what is added to it."""

    def __init__(self) -> None:
        self.ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + self.ahead


@pytest.fixture
def clock() -> Clock:
    """The directory's time."""
    return Clock()


@pytest.fixture
def made(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> CertificateDirectory:
    """A directory with an authority."""
    monkeypatch.setattr("mqttbroker.certs.directory.socket.gethostname", lambda: "machine")
    directory = CertificateDirectory(tmp_path / "pki", clock)
    assert directory.init()
    return directory


def described(path: Path) -> CertificateInfo:
    """The first certificate in a file."""
    return describe(path, parse_certificates(path, path.read_bytes())[0])


def contents(made: CertificateDirectory) -> dict[str, bytes]:
    """Every file."""
    return {path.name: path.read_bytes() for path in made.path.iterdir()}


def revoked(made: CertificateDirectory) -> list[x509.CertificateRevocationList]:
    """The lists of revoked certificates."""
    return parse_revocation_lists(made.revocation_list, made.revocation_list.read_bytes())


def connect(made: CertificateDirectory, client: str, name: str = "localhost") -> Ends:
    """Serve with the server's files, and connect with a client's."""
    settings = TlsSettings(
        (CertificateFiles(made.server, made.server_key),),
        client_certificates="required",
        client_ca=made.authority,
        crl=made.revocation_list,
    )
    context = ssl.create_default_context(cafile=made.authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(*made.client_files(client))
    return shake_hands(context, TlsFiles(settings, lambda *_, **__: None).context, name)


class TestInit:
    def test_files(self, made: CertificateDirectory) -> None:
        assert set(contents(made)) == {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem", "crl.pem"}

    @POSIX
    def test_keys_are_for_their_owner_only(self, made: CertificateDirectory) -> None:
        made.client("alice")
        for path in made.path.glob("*-key.pem"):
            assert path.stat().st_mode & 0o777 == 0o600, path

    def test_it_works_at_once(self, made: CertificateDirectory) -> None:
        made.client("alice")
        ends = connect(made, "alice")
        shown = client_certificate(ends.server)
        assert shown is not None
        assert shown.common_name == "alice"
        connect(made, "alice", "127.0.0.1")
        connect(made, "alice", "machine")

    def test_the_chain_is_in_the_file(self, made: CertificateDirectory) -> None:
        chain = parse_certificates(made.server, made.server.read_bytes())
        [authority] = parse_certificates(made.authority, made.authority.read_bytes())
        assert chain[1:] == [authority]

    def test_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mqttbroker.certs.directory.socket.gethostname", lambda: "the machine's name")
        directory = CertificateDirectory(tmp_path)
        directory.init(["broker.example.org", "192.0.2.1", "localhost"])
        assert described(directory.server).names == (
            "localhost",
            "127.0.0.1",
            "::1",
            "broker.example.org",
            "192.0.2.1",
        )

    def test_a_name_that_is_none(self, tmp_path: Path) -> None:
        directory = CertificateDirectory(tmp_path / "pki")
        with pytest.raises(ValueError, match="expected a DNS name"):
            directory.init(["mqtt://broker"])
        assert not directory.path.exists()

    def test_how_long(self, tmp_path: Path, clock: Clock) -> None:
        directory = CertificateDirectory(tmp_path, clock)
        directory.init(days=5_000)
        for path in (directory.server, directory.authority):
            assert described(path).not_after == pytest.approx((clock() + 5_000 * DAY).timestamp(), abs=60)
            assert described(path).not_before < clock().timestamp()
        directory.init(days=10)
        assert described(directory.server).not_after == pytest.approx((clock() + 10 * DAY).timestamp(), abs=60)


class TestRenewal:
    def test_only_the_server_is_new(self, made: CertificateDirectory) -> None:
        made.client("alice")
        made.revoke("alice")
        made.client("bob")
        before = contents(made)
        assert not made.init()
        after = contents(made)
        assert {name for name in after if after[name] != before[name]} == {"server.pem", "server-key.pem"}
        connect(made, "bob")

    def test_names_are_kept(self, made: CertificateDirectory) -> None:
        made.init(["one.example.org"])
        made.init(["two.example.org"])
        assert described(made.server).names[-2:] == ("one.example.org", "two.example.org")

    def test_it_never_outlives_the_authority(self, made: CertificateDirectory, clock: Clock) -> None:
        clock.ahead = 3_600 * DAY
        made.init()
        assert described(made.server).not_after == described(made.authority).not_after

    def test_an_authority_that_has_expired(self, made: CertificateDirectory, clock: Clock) -> None:
        clock.ahead = 3_700 * DAY
        with pytest.raises(CertificateError, match="has expired"):
            made.init()
        assert made.init(force=True)

    def test_by_force(self, made: CertificateDirectory) -> None:
        made.client("alice")
        made.client("bob")
        made.revoke("bob")
        before = contents(made)
        assert made.init(["one.example.org"], force=True)
        after = contents(made)
        assert {name for name in before if after.get(name) == before[name]} == {
            "client-alice.pem",
            "client-alice-key.pem",
            "client-bob.pem",
            "client-bob-key.pem",
        }
        assert len(revoked(made)[0]) == 0
        assert described(made.authority).subject != described(made.server).subject
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(made, "alice")
        with pytest.raises(CertificateError, match="there is no certificate"):
            made.revoke("alice")

    def test_a_list_that_is_gone_is_made(self, made: CertificateDirectory) -> None:
        made.revocation_list.unlink()
        assert not made.init()
        assert len(revoked(made)[0]) == 0

    @POSIX
    def test_who_could_read_a_key_still_can(self, made: CertificateDirectory) -> None:
        made.server_key.chmod(0o640)
        made.init()
        assert made.server_key.stat().st_mode & 0o777 == 0o640


class TestWhatIsNotOverwritten:
    @pytest.mark.parametrize("name", ["server.pem", "server-key.pem"])
    def test_a_server_without_an_authority(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"precious")
        with pytest.raises(CertificateError, match="is there already"):
            CertificateDirectory(tmp_path).init()
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_bytes() == b"precious"

    def test_a_key_without_its_certificate(self, made: CertificateDirectory) -> None:
        made.server.unlink()
        with pytest.raises(CertificateError, match="is there already"):
            made.init()

    def test_a_server_that_is_gone_is_made(self, made: CertificateDirectory) -> None:
        made.server.unlink()
        made.server_key.unlink()
        assert not made.init()
        assert made.server.exists()

    def test_a_certificate_of_another_authority(self, made: CertificateDirectory, tmp_path: Path) -> None:
        other = CertificateDirectory(tmp_path / "other")
        other.init()
        made.server.write_bytes(other.server.read_bytes())
        before = contents(made)
        with pytest.raises(CertificateError, match=r"was not signed with ca\.pem"):
            made.init()
        assert contents(made) == before

    @pytest.mark.parametrize("name", ["ca.pem", "ca-key.pem"])
    def test_half_an_authority(self, made: CertificateDirectory, name: str) -> None:
        (made.path / name).unlink()
        before = contents(made)
        with pytest.raises(CertificateError, match="cannot be read"):
            made.init()
        assert contents(made) == before

    def test_the_key_of_another_authority(self, made: CertificateDirectory) -> None:
        made.authority_key.write_bytes(made.server_key.read_bytes())
        with pytest.raises(CertificateError, match=r"expected the private key of ca\.pem"):
            made.init()

    def test_a_key_of_a_kind_that_is_not_used(self, made: CertificateDirectory) -> None:
        key = ed25519.Ed25519PrivateKey.generate()
        made.authority_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(CertificateError, match="expected an elliptic curve or RSA key"):
            made.init()

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(CertificateError, match="cannot be written"):
            CertificateDirectory(tmp_path / "file" / "pki").init()

    def test_a_write_that_fails_leaves_the_file(
        self, made: CertificateDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = contents(made)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mqttbroker.files.os.fsync", full)
        with pytest.raises(CertificateError, match="No space left on device"):
            made.init()
        assert contents(made) == before


class TestClients:
    def test_one_that_is_there(self, made: CertificateDirectory) -> None:
        made.client("alice")
        before = contents(made)
        with pytest.raises(CertificateError, match="is there already; --force replaces it"):
            made.client("alice")
        assert contents(made) == before
        made.client("alice", force=True)
        assert contents(made)["client-alice.pem"] != before["client-alice.pem"]

    def test_no_authority(self, tmp_path: Path) -> None:
        with pytest.raises(CertificateError, match="there is no authority here"):
            CertificateDirectory(tmp_path).client("alice")
        with pytest.raises(CertificateError, match="there is no authority here"):
            CertificateDirectory(tmp_path).revoke("alice")

    def test_how_long(self, made: CertificateDirectory, clock: Clock) -> None:
        certificate, _ = made.client("alice", days=3)
        assert described(certificate).not_after == pytest.approx((clock() + 3 * DAY).timestamp(), abs=60)

    @pytest.mark.parametrize(
        ("name", "file"),
        [
            pytest.param("line 1/lamp", "client-line 1%2Flamp.pem", id="slash"),
            pytest.param("../../x", "client-..%2F..%2Fx.pem", id="dots"),
            pytest.param("a\\b:c*d", "client-a%5Cb%3Ac%2Ad.pem", id="what Windows forbids"),
            pytest.param("Zoë@example.org", "client-Zoë@example.org.pem", id="beyond ASCII"),
            pytest.param("server", "client-server.pem", id="server"),
            pytest.param("*" * 64, f"client-{'%2A' * 64}.pem", id="as long as can be"),
        ],
    )
    def test_files_of_odd_names(self, made: CertificateDirectory, name: str, file: str) -> None:
        certificate, key = made.client(name)
        assert certificate == made.path / file
        assert key == made.path / file.replace(".pem", "-key.pem")
        shown = client_certificate(connect(made, name).server)
        assert shown is not None
        assert shown.common_name == name
        assert made.revoke(name) == 1

    @pytest.mark.parametrize("name", ["", "a\nb", "a-key", "\U0001f600" * 60], ids=ascii)
    def test_names_that_cannot_be(self, made: CertificateDirectory, name: str) -> None:
        before = contents(made)
        with pytest.raises(ValueError, match="expected a name"):
            made.client(name)
        assert contents(made) == before


class TestRevocation:
    def test_one_client(self, made: CertificateDirectory) -> None:
        made.client("alice")
        made.client("bob")
        assert made.revoke("alice") == 1
        connect(made, "bob")
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
            connect(made, "alice")

    def test_all_certificates_of_a_client(self, made: CertificateDirectory, tmp_path: Path) -> None:
        first = made.client("alice")[0].read_bytes()
        second = made.client("alice", force=True)[0].read_bytes()
        assert made.revoke("alice") == 2
        [found] = revoked(made)
        for content in (first, second):
            serial = x509.load_pem_x509_certificate(content).serial_number
            assert found.get_revoked_certificate_by_serial_number(serial) is not None

    def test_a_new_certificate_after_it(self, made: CertificateDirectory) -> None:
        made.client("alice")
        made.revoke("alice")
        made.client("alice", force=True)
        connect(made, "alice")

    def test_once_more(self, made: CertificateDirectory) -> None:
        made.client("alice")
        made.client("bob")
        assert made.revoke("alice") == 1
        before = contents(made)
        assert made.revoke("alice") == 0
        assert contents(made) == before
        assert made.revoke("bob") == 1
        [found] = revoked(made)
        assert len(found) == 2
        assert found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3

    def test_a_list_that_is_gone(self, made: CertificateDirectory) -> None:
        made.client("alice")
        made.revocation_list.unlink()
        assert made.revoke("alice") == 1

    def test_it_holds_as_long_as_the_authority(self, made: CertificateDirectory) -> None:
        [found] = revoked(made)
        assert found.next_update_utc is not None
        assert found.next_update_utc.timestamp() == described(made.authority).not_after

    def test_somebody_unknown(self, made: CertificateDirectory) -> None:
        with pytest.raises(CertificateError, match="there is no certificate for a client 'alice'"):
            made.revoke("alice")

    @pytest.mark.parametrize("content", [b"what alice\n", b"\xff\xfe alice\n"], ids=["no number", "no text"])
    def test_a_record_that_is_damaged(self, made: CertificateDirectory, content: bytes) -> None:
        (made.path / "clients.txt").write_bytes(content)
        with pytest.raises(CertificateError, match=r"clients\.txt: expected lines like"):
            made.revoke("alice")
