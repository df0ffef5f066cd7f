"""``mqttbroker serve`` under a supervisor like systemd: sockets from outside, signs of life, and SIGHUP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mqttbroker.protocol import Connect, ProtocolVersion, encode
from tests.support.pki import Pki

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no supervisor of this kind on Windows")

TIMEOUT = 30.0
CONNECT = encode(Connect("c", ProtocolVersion.V311), ProtocolVersion.V311)
CONNACK = b"\x20\x02\0\0"

# Descriptors become 3 and so on, and LISTEN_PID names the process, as systemd does it.
LAUNCHER = """
import fcntl, os, sys
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in sys.argv[1].split()]
for at, each in enumerate(high, 3):
    os.dup2(each, at)
if high:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
os.execv(sys.executable, [sys.executable, "-m", "mqttbroker", "serve", *sys.argv[2:]])
"""


class Supervised:
    """A broker that tells its supervisor how things stand."""

    def __init__(
        self, folder: Path, sockets: list[socket.socket], names: str, *arguments: str, **variables: str
    ) -> None:
        self._ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ears.bind(str(folder / "notify"))
        self._ears.settimeout(TIMEOUT)
        environ = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), **variables}
        if names:
            environ["LISTEN_FDNAMES"] = names
        descriptors = [each.fileno() for each in sockets]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, " ".join(map(str, descriptors)), *arguments],
            env=environ,
            pass_fds=descriptors,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self._log.extend(lines)

    def says(self, expected: str) -> str:
        """Wait until the broker has said this to its supervisor; the whole of what it said."""
        while True:
            said = self._ears.recv(4_096).decode()
            if expected in said.split("\n"):
                return said

    def ends(self) -> tuple[int, str]:
        """Wait for the end; status and log."""
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return status, "".join(self._log)

    def close(self) -> None:
        """End it in any case."""
        self.process.kill()
        self.ends()
        self._ears.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose name is short enough for Unix sockets in it."""
    with tempfile.TemporaryDirectory(prefix="mqtt") as name:
        yield Path(name)


def greeted(address: object, family: int = socket.AF_INET) -> bool:
    """Whether a client that connects there is accepted."""
    with socket.socket(family) as client:
        client.settimeout(TIMEOUT)
        client.connect(address)  # type: ignore[arg-type]
        client.sendall(CONNECT)
        return client.recv(4) == CONNACK


def test_a_life_with_sockets_from_outside(folder: Path) -> None:
    path = folder / "mqtt.sock"
    config = folder / "mqttbroker.toml"
    config.write_text(
        f'[[listeners]]\nname = "plain"\n[[listeners]]\nname = "local"\ntype = "unix"\nsocket = "{path}"\n',
        encoding="utf-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        # The first is known by its name, the other by its address.
        broker = Supervised(folder, [tcp, unix], "plain:unknown", "--config", str(config), WATCHDOG_USEC="200000")
        with closing(broker):
            assert broker.says("READY=1").split("\n")[1] == "STATUS=Listening at plain, local"
            assert greeted(tcp.getsockname())
            assert greeted(str(path), socket.AF_UNIX)
            broker.says("WATCHDOG=1")
            broker.says("WATCHDOG=1")
            broker.process.send_signal(signal.SIGHUP)
            broker.says("RELOADING=1")
            broker.says("READY=1")
            broker.process.send_signal(signal.SIGTERM)
            broker.says("STOPPING=1")
            assert broker.ends()[0] == 0
            # It is the supervisor's, for the next start.
            assert path.exists()


def test_a_socket_that_no_listener_wants(folder: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        closing(Supervised(folder, [tcp], "other", "--log-format", "json")) as broker,
    ):
        status, log = broker.ends()
    assert status == 1
    assert "no listener for the socket 'other'" in log
    assert "FileDescriptorName= one of tcp" in log


def test_a_socket_of_another_kind(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "mqtt.sock"))
        unix.listen()
        with closing(Supervised(folder, [unix], "tcp")) as broker:
            status, log = broker.ends()
    assert status == 1
    assert "listener 'tcp': expected a TCP socket" in log


def test_a_socket_that_strangers_can_reach(folder: Path) -> None:
    """What is configured for this machine only must not be opened to others by the supervisor."""
    with (
        socket.create_server(("0.0.0.0", 0)) as tcp,
        closing(Supervised(folder, [tcp], "tcp")) as broker,
    ):
        status, log = broker.ends()
    assert status == 1
    assert "could be used by anybody who reaches this machine" in log


def test_sighup_reads_certificates_again(folder: Path, pki: Pki) -> None:
    mine = pki.copy(folder / "pki")
    config = folder / "mqttbroker.toml"
    config.write_text(
        "[[listeners]]\nport = 0\n[listeners.tls]\n"
        f'certificate = "{mine.certificate("server")}"\nkey = "{mine.key("server")}"\n',
        encoding="utf-8",
    )
    with closing(Supervised(folder, [], "", "--config", str(config), "--log-format", "json")) as broker:
        broker.says("READY=1")
        mine.certificate("other").replace(mine.certificate("server"))
        broker.process.send_signal(signal.SIGHUP)
        broker.says("RELOADING=1")
        broker.says("READY=1")
        mine.key("other").replace(mine.key("server"))
        broker.process.send_signal(signal.SIGHUP)
        broker.says("RELOADING=1")
        broker.says("READY=1")
        broker.process.send_signal(signal.SIGTERM)
        status, log = broker.ends()
    assert status == 0
    assert log.index("certificates not replaced") < log.index("certificates replaced")
