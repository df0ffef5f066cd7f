"""Certificates that change while they are served: what is good takes effect, what is not leaves all as it was."""

from __future__ import annotations

import gc
import os
import ssl
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mqttbroker.broker import ClientCertificate
from mqttbroker.certs import issue_server, parse_certificates
from mqttbroker.listeners import certificates as loading
from mqttbroker.listeners.tls import TlsFiles, client_certificate
from mqttbroker.security import TlsError
from tests.listeners.handshake import shake_hands
from tests.support.pki import OTHER_NAME, Pki

DAY = timedelta(days=1)


def unheard(level: str, event: str, /, **details: object) -> None:
    """Take a line of the log."""


@pytest.fixture
def own(pki: Pki, tmp_path: Path) -> Pki:
    """Files that a test may change."""
    return pki.copy(tmp_path)


@pytest.fixture
def files(own: Pki) -> TlsFiles:
    """What is served: two certificates, and clients must show theirs."""
    settings = own.tls_settings(
        certificates=(own.files("server"), own.files("other")), client_certificates="required", crl=own.crl
    )
    return TlsFiles(settings, unheard)


def replace(path: Path, content: bytes) -> None:
    """Put a new file in the place of one."""
    beside = path.with_name("beside")
    beside.write_bytes(content)
    beside.replace(path)


def renew_server(pki: Pki, name: str = "renewed") -> None:
    """Write another certificate of the server, with its key."""
    now = datetime.now(UTC)
    pki.write("server", issue_server(pki.authority(), [name, "localhost"], now - DAY, now + DAY))


class TestWhatIsGood:
    """It is in force from the next connection on."""

    def test_a_certificate(self, own: Pki, files: TlsFiles) -> None:
        serial = files.certificates[0].serial
        renew_server(own)
        assert files.changed()
        assert files.reload()
        assert shake_hands(own.client_context("alice"), files.context).shown_by_server() == "renewed"
        assert files.certificates[0].names == ("renewed", "localhost")
        assert files.certificates[0].serial != serial
        assert not files.changed()

    def test_its_names(self, own: Pki, files: TlsFiles) -> None:
        now = datetime.now(UTC)
        own.write("other", issue_server(own.authority(), ["new.example.org"], now - DAY, now + DAY))
        assert files.reload()
        context = own.client_context("alice")
        context.check_hostname = False
        assert shake_hands(context, files.context, "new.example.org").shown_by_server() == "new.example.org"
        assert shake_hands(context, files.context, OTHER_NAME).shown_by_server() == "localhost"

    def test_an_authority(self, own: Pki, files: TlsFiles) -> None:
        ours, theirs = own.client_context("alice"), own.client_context("foreign")
        replace(own.ca, own.certificate("foreign-ca").read_bytes())
        replace(own.crl, own.certificate("foreign-crl").read_bytes())
        assert files.reload()
        assert client_certificate(shake_hands(theirs, files.context).server) == ClientCertificate(
            "foreign", ("foreign",)
        )
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(ours, files.context)

    def test_a_list(self, own: Pki, files: TlsFiles) -> None:
        shake_hands(own.client_context("alice"), files.context)
        alice = own.certificate("alice")
        now = datetime.now(UTC).replace(microsecond=0)
        serial = parse_certificates(alice, alice.read_bytes())[0].serial_number
        own.write_revocation_list("crl", own.authority(), [serial], now + DAY)
        assert files.changed()
        assert files.reload()
        assert files.crl_next_update == (now + DAY).timestamp()
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
            shake_hands(own.client_context("alice"), files.context)
        assert client_certificate(shake_hands(own.client_context("revoked"), files.context).server) is not None

    def test_sessions_of_before_are_not_resumed(self, own: Pki, files: TlsFiles) -> None:
        context = own.client_context("alice")
        before = shake_hands(context, files.context)
        assert shake_hands(context, files.context, session=before.client.session).server.session_reused
        replace(own.crl, own.certificate("empty-crl").read_bytes())
        assert files.reload()
        assert not shake_hands(context, files.context, session=before.client.session).server.session_reused

    def test_a_hand_shake_that_has_begun_goes_on(self, own: Pki, files: TlsFiles) -> None:
        before = files.context
        renew_server(own)
        assert files.reload()
        assert files.context is not before
        assert shake_hands(own.client_context("alice"), before).shown_by_server() == "localhost"

    def test_what_was_in_force_is_freed(self, own: Pki, files: TlsFiles) -> None:
        """Nothing that a broker keeps for years grows with each renewal, even where nobody collects garbage."""
        gc.collect()
        gc.disable()
        try:
            before = weakref.ref(files.context)
            renew_server(own)
            assert files.reload()
            assert before() is None
        finally:
            gc.enable()


class TestWhatIsTheSame:
    def test_nothing_has_happened(self, files: TlsFiles) -> None:
        before = files.context
        assert not files.changed()
        assert not files.reload()
        assert files.context is before

    def test_files_were_only_written_again(self, own: Pki, files: TlsFiles) -> None:
        before = files.context
        replace(own.certificate("server"), own.certificate("server").read_bytes())
        assert files.changed()
        assert not files.reload()
        assert files.context is before
        assert not files.changed()


def cut(path: Path) -> None:
    """Leave half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES: dict[str, Callable[[Pki], object]] = {
    "certificate gone": lambda own: own.certificate("server").unlink(),
    "key gone": lambda own: own.key("server").unlink(),
    "authority gone": lambda own: own.ca.unlink(),
    "list gone": lambda own: own.crl.unlink(),
    "certificate cut": lambda own: cut(own.certificate("server")),
    "key cut": lambda own: cut(own.key("server")),
    "authority cut": lambda own: cut(own.ca),
    "list cut": lambda own: cut(own.crl),
    "second certificate cut": lambda own: cut(own.certificate("other")),
    "certificate empty": lambda own: own.certificate("server").write_bytes(b""),
    "key of another certificate": lambda own: replace(own.key("server"), own.key("other").read_bytes()),
    "list of a foreign authority": lambda own: replace(own.crl, own.certificate("foreign-crl").read_bytes()),
    "authority that has not signed the list": lambda own: replace(own.ca, own.certificate("foreign-ca").read_bytes()),
    "certificate in the place of a list": lambda own: replace(own.crl, own.ca.read_bytes()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_cannot_be_used_leaves_all_as_it_was(own: Pki, files: TlsFiles, damage: Callable[[Pki], object]) -> None:
    good = {path: path.read_bytes() for path in files.settings.files}
    client = own.client_context("alice")
    before, described = files.context, files.certificates
    damage(own)
    assert files.changed()
    with pytest.raises(TlsError):
        files.reload()
    assert files.context is before
    assert files.certificates is described
    assert files.crl_next_update is not None
    assert client_certificate(shake_hands(client, files.context).server) == ClientCertificate("alice", ("alice",))

    # It is complained about once, not at every look; whoever asks for it hears it again.
    assert not files.changed()
    with pytest.raises(TlsError):
        files.reload()

    for path, content in good.items():
        replace(path, content)
    assert files.changed()
    assert not files.reload(), "it is what is in force"
    assert not files.changed()


class TestSlowWriters:
    """Files that are read while somebody writes them."""

    def test_a_certificate_comes_before_its_key(self, own: Pki, files: TlsFiles) -> None:
        old_key = own.key("server").read_bytes()
        renew_server(own)
        new_key = own.key("server").read_bytes()
        own.key("server").write_bytes(old_key)
        assert files.changed()
        with pytest.raises(TlsError):
            files.reload()
        own.key("server").write_bytes(new_key)
        assert files.changed()
        assert files.reload()
        assert files.certificates[0].names[0] == "renewed"

    def test_half_a_file(self, own: Pki, files: TlsFiles) -> None:
        renew_server(own)
        path = own.certificate("server")
        whole = path.read_bytes()
        with path.open("wb", buffering=0) as file:
            file.write(whole[:300])
            assert files.changed()
            with pytest.raises(TlsError):
                files.reload()
            file.write(whole[300:])
            assert files.changed()
        assert files.reload()
        assert files.certificates[0].names[0] == "renewed"

    def test_files_that_change_while_they_are_read(
        self, own: Pki, files: TlsFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """OpenSSL reads some of them once more, and must find what was checked."""
        names = ["second", "third"]
        load = loading.load

        def meanwhile(*arguments: object) -> loading.Loaded:
            loaded = load(*arguments)  # type: ignore[arg-type]  # As they came.
            if names:
                renew_server(own, names.pop(0))
            return loaded

        monkeypatch.setattr("mqttbroker.listeners.tls.load", meanwhile)
        renew_server(own, "first")
        assert files.reload()
        assert files.certificates[0].names[0] == "third"
        assert shake_hands(own.client_context("alice"), files.context).shown_by_server() == "third"

    def test_files_that_never_rest(self, own: Pki, files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        before = files.context
        load = loading.load

        def meanwhile(*arguments: object) -> loading.Loaded:
            loaded = load(*arguments)  # type: ignore[arg-type]  # As they came.
            renew_server(own)
            return loaded

        monkeypatch.setattr("mqttbroker.listeners.tls.load", meanwhile)
        renew_server(own)
        with pytest.raises(TlsError, match="expected files that nobody writes while they are read"):
            files.reload()
        assert files.context is before
        assert files.changed()

    def test_one_that_cannot_be_read_does_not_hide_another(self, own: Pki, files: TlsFiles) -> None:
        own.certificate("server").unlink()
        renewed = own.copy(own.directory / "renewed")
        renew_server(renewed)
        with pytest.raises(TlsError, match="cannot be read"):
            files.reload()
        replace(own.key("server"), renewed.key("server").read_bytes())
        with pytest.raises(TlsError, match="cannot be read"):
            files.reload()
        assert not files.changed()
        replace(own.certificate("server"), renewed.certificate("server").read_bytes())
        assert files.changed()
        assert files.reload()


class TestLinks:
    """Others swap symbolic links instead of files."""

    def test_as_kubernetes_does(self, pki: Pki, tmp_path: Path) -> None:
        """``server.pem`` leads to ``..data/server.pem``, and ``..data`` to a folder of its own for each version."""
        first, second = pki.copy(tmp_path / "..1"), pki.copy(tmp_path / "..2")
        renew_server(second)
        (tmp_path / "..data").symlink_to("..1")
        for path in first.directory.iterdir():
            (tmp_path / path.name).symlink_to(Path("..data") / path.name)
        mounted = Pki(tmp_path)
        files = TlsFiles(mounted.tls_settings(client_certificates="optional"), unheard)
        assert not files.changed()
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        assert files.changed()
        assert files.reload()
        assert files.certificates[0].names[0] == "renewed"
        assert not files.changed()

    def test_as_certbot_does(self, own: Pki, tmp_path: Path) -> None:
        """``live/cert.pem`` leads to ``archive/cert1.pem``, then to ``archive/cert2.pem``, one file after another."""
        live = tmp_path / "live"
        live.mkdir()
        for name in ("server", "server-key"):
            (live / f"{name}.pem").symlink_to(own.directory / f"{name}.pem")
        files = TlsFiles(Pki(live).tls_settings(), unheard)
        renewed = own.copy(tmp_path / "archive")
        renew_server(renewed)
        for number, name in enumerate(("server", "server-key")):
            (live / f"{name}.pem").unlink()
            (live / f"{name}.pem").symlink_to(renewed.directory / f"{name}.pem")
            assert files.changed()
            if number == 0:
                with pytest.raises(TlsError, match="expected the private key"):
                    files.reload()
        assert files.reload()
        assert files.certificates[0].names[0] == "renewed"


def test_looking_is_cheap(files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files at rest are not read."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    for file in files._files:
        file._clock = later.timestamp
    assert not files.changed()
    looked: list[object] = []
    stat = os.stat

    def look(path: Path) -> os.stat_result:
        looked.append(path)
        return stat(path)

    monkeypatch.setattr("mqttbroker.listeners.watched_file.os.stat", look)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    assert not files.changed()
    assert looked == files.settings.files
