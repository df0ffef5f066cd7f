"""``mqttbroker certs``: what it says, and that what it tells to do works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from mqttbroker.certs import DEFAULT_DAYS
from mqttbroker.cli import certs
from mqttbroker.config import check_exposure, load_config
from tests.cli.conftest import Command
from tests.support.pki import Pki


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> Path:
    """A folder with an authority."""
    assert command("certs", "init", tmp_path / "pki").exit_code == 0
    return tmp_path / "pki"


class TestInit:
    def test_the_configuration_that_it_prints_can_be_used(self, command: Command, tmp_path: Path) -> None:
        folder = tmp_path / 'a "quoted" folder'
        result = command("certs", "init", folder, "--name", "broker.example.org", "--name", "192.0.2.1")
        assert result.exit_code == 0
        assert "broker.example.org, 192.0.2.1" in result.stdout
        lines = [line[4:] for line in result.stdout.splitlines() if line.startswith("    ")]
        end = next(number for number, line in enumerate(lines) if line.startswith("mosquitto_pub"))
        for uncomment in (False, True):
            text = "\n".join(lines[:end])
            if uncomment:
                text = re.sub(r"^# (?=\w+ =)", "", text, flags=re.MULTILINE)
            file = tmp_path / "broker.toml"
            file.write_text(text, encoding="utf-8")
            config = load_config(file, {})
            check_exposure(config)
            [listener] = config.listeners
            assert listener.tls is not None
            assert listener.tls.certificate == folder / "server.pem"
            assert listener.tls.key == folder / "server-key.pem"
            assert listener.tls.client_certificates == ("required" if uncomment else "none")
            assert listener.tls.client_ca == (folder / "ca.pem" if uncomment else None)
            assert listener.tls.crl == (folder / "crl.pem" if uncomment else None)

    def test_paths_are_whole(self, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The configuration may be elsewhere than where the command was given."""
        monkeypatch.chdir(tmp_path)
        result = command("certs", "init", "pki")
        table = tomllib.loads(
            "\n".join(line for line in result.stdout.splitlines() if line.strip().startswith("certificate ="))
        )
        assert Path(table["certificate"]) == tmp_path / "pki" / "server.pem"
        assert f"mosquitto_pub --cafile {tmp_path}/pki/ca.pem -h localhost -p 8883" in result.stdout

    def test_again(self, command: Command, folder: Path) -> None:
        before = (folder / "ca.pem").read_bytes()
        result = command("certs", "init", folder, "--name", "other")
        assert result.exit_code == 0
        assert "the authority" not in result.stdout
        assert "other" in result.stdout
        assert (folder / "ca.pem").read_bytes() == before

    def test_by_force(self, command: Command, folder: Path) -> None:
        before = (folder / "ca.pem").read_bytes()
        result = command("certs", "init", folder, "--force")
        assert result.exit_code == 0
        assert f"{folder / 'ca.pem'}: the authority" in result.stdout
        assert (folder / "ca.pem").read_bytes() != before

    def test_files_of_somebody_else(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "server.pem").write_bytes(b"precious")
        result = command("certs", "init", tmp_path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"mqttbroker: {tmp_path / 'server.pem'}: is there already; --force replaces it\n"

    def test_a_name_that_is_none(self, command: Command, tmp_path: Path) -> None:
        result = command("certs", "init", tmp_path, "--name", "mqtts://a")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "mqttbroker: expected a DNS name or an IP address, got 'mqtts://a'\n"

    @pytest.mark.parametrize("days", ["0", "-1", "x", "1000000"])
    def test_days_that_cannot_be(self, command: Command, tmp_path: Path, days: str) -> None:
        assert command("certs", "init", tmp_path, "--days", days).exit_code == 2

    def test_the_default_is_that_of_the_library(self) -> None:
        assert certs.DEFAULT_DAYS == DEFAULT_DAYS


class TestClients:
    def test_one(self, command: Command, folder: Path) -> None:
        result = command("certs", "client", folder, "alice")
        certificate, key = folder / "client-alice.pem", folder / "client-alice-key.pem"
        assert (result.exit_code, result.stdout) == (
            0,
            f"{certificate}: the certificate of client 'alice'\n{key}: its key\n",
        )
        assert certificate.exists()
        assert key.exists()

    def test_twice(self, command: Command, folder: Path) -> None:
        command("certs", "client", folder, "alice")
        result = command("certs", "client", folder, "alice")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "is there already" in result.stderr
        assert command("certs", "client", folder, "alice", "--force").exit_code == 0

    def test_without_an_authority(self, command: Command, tmp_path: Path) -> None:
        result = command("certs", "client", tmp_path, "alice")
        assert result.exit_code == 1
        assert "make one with: mqttbroker certs init DIR" in result.stderr

    def test_a_name_that_cannot_be(self, command: Command, folder: Path) -> None:
        result = command("certs", "client", folder, "a\x1b")
        assert result.exit_code == 1
        assert result.stderr[:-1].isprintable()

    def test_revoked(self, command: Command, folder: Path) -> None:
        command("certs", "client", folder, "alice")
        crl = folder / "crl.pem"
        result = command("certs", "revoke", folder, "alice")
        assert (result.exit_code, result.stdout) == (0, f"{crl}: revoked client 'alice', certificates: 1\n")
        result = command("certs", "revoke", folder, "alice")
        assert (result.exit_code, result.stdout) == (0, f"{crl}: client 'alice' was revoked before\n")
        result = command("certs", "revoke", folder, "bob")
        assert (result.exit_code, result.stdout) == (1, "")


class TestShow:
    def test_a_certificate(self, command: Command, folder: Path) -> None:
        command("certs", "init", folder, "--days", "30")
        result = command("certs", "show", folder / "server.pem")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0] == f"{folder / 'server.pem'}"
        assert lines[1] == "  subject  CN=localhost"
        assert lines[2].startswith("  issuer   CN=mqttbroker development CA ")
        assert lines[3].startswith("  names    localhost, 127.0.0.1, ::1")
        assert re.fullmatch(r"  valid    from \S+ \S+ UTC until \S+ \S+ UTC, 29 days left", lines[4])
        assert re.fullmatch(r"  serial   [0-9A-F]+", lines[5])
        assert lines[7].startswith("  subject  CN=mqttbroker development CA "), "the chain is shown too"

    def test_one_that_has_expired(self, command: Command, pki: Pki) -> None:
        result = command("certs", "show", pki.certificate("expired-server"))
        assert result.exit_code == 0
        assert ", 1 day ago" in result.stdout

    def test_a_list(self, command: Command, pki: Pki) -> None:
        result = command("certs", "show", pki.crl)
        lines = result.stdout.splitlines()
        assert lines[:3] == [f"{pki.crl}", "  issuer   CN=test authority", "  revoked  1"]
        assert lines[3].endswith("29 days left")

    def test_some_that_cannot_be_shown(self, command: Command, pki: Pki, tmp_path: Path) -> None:
        result = command("certs", "show", pki.key("server"), tmp_path / "none", pki.ca)
        assert result.exit_code == 1
        assert "  subject  CN=test authority" in result.stdout
        assert result.stderr == (
            f"mqttbroker: {pki.key('server')}: expected a certificate (BEGIN CERTIFICATE), found none\n"
            f"mqttbroker: {tmp_path / 'none'}: cannot be read: No such file or directory\n"
        )


def test_the_commands_are_listed(command: Command) -> None:
    assert "certs" in command("--help").stdout
    result = command("certs", "--help")
    for name in ("init", "client", "revoke", "show"):
        assert name in result.stdout
