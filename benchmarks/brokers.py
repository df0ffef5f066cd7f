"""Brokers to be measured: this one and Mosquitto, each as a process of its own with one listener."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from mqttbroker.bench import Address, Transport
from mqttbroker.certs import issue_server, make_authority

__all__ = [
    "MOSQUITTO",
    "Certificates",
    "Running",
    "broker",
    "free_port",
    "new_loop",
    "wait_until_it_listens",
]

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
START_TIMEOUT = 10.0

@dataclass(frozen=True)
class Certificates:
    """Files of an authority, and of a server certificate with an EC key (P-256) for 127.0.0.1."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Make them, for a day."""
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        end = begin + timedelta(days=1)
        authority = make_authority("benchmarks", begin, end)
        server = issue_server(authority, ["localhost", "127.0.0.1"], begin, end)
        self = cls(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
        self.authority.write_bytes(authority.certificate_pem())
        self.certificate.write_bytes(server.certificate_pem())
        self.key.write_bytes(server.key_pem())
        return self


@dataclass(frozen=True)
class Running:
    """A broker that listens."""

    process: psutil.Process
    address: Address

    def cpu(self) -> float:
        """CPU seconds that the process has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Bytes of memory that are resident."""
        return int(self.process.memory_info().rss)


@contextmanager
def broker(
    name: str, transport: Transport = Transport.TCP, certificates: Certificates | None = None
) -> Iterator[Running]:
    """Run ``mqttbroker`` or ``mosquitto``, in memory, open to everybody. TLS is of version 1.3."""
    with tempfile.TemporaryDirectory() as folder:
        address: Address = str(Path(folder, "socket")) if transport is Transport.UNIX else ("127.0.0.1", free_port())
        settings = Path(folder, "settings")
        if name == "mosquitto":
            settings.write_text(_mosquitto_settings(transport, address, certificates))
            command = [str(MOSQUITTO), "-c", str(settings)]
        else:
            settings.write_text(_own_settings(transport, address, certificates))
            command = [sys.executable, "-m", "mqttbroker", "serve", "--config", str(settings)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_it_listens(process, address)
            yield Running(psutil.Process(process.pid), address)
        finally:
            process.terminate()
            process.wait()


def _mosquitto_settings(transport: Transport, address: Address, certificates: Certificates | None) -> str:
    lines = ["allow_anonymous true", "max_queued_messages 100000", "max_inflight_messages 1000", "log_type error"]
    lines += [f"user {getpass.getuser()}"]
    lines += [f"listener 0 {address}"] if isinstance(address, str) else [f"listener {address[1]} {address[0]}"]
    if transport.websocket:
        lines += ["protocol websockets"]
    if transport.tls:
        assert certificates is not None
        lines += [f"certfile {certificates.certificate}", f"keyfile {certificates.key}", "tls_version tlsv1.3"]
    if transport.websocket:
        # Mosquitto 2.0 does not start without another listener. Nobody connects to this one.
        lines += [f"listener {free_port()} 127.0.0.1"]
    return "\n".join(lines) + "\n"


def _own_settings(transport: Transport, address: Address, certificates: Certificates | None) -> str:
    kind = "websocket" if transport.websocket else "unix" if transport is Transport.UNIX else "tcp"
    where = f'socket = "{address}"' if isinstance(address, str) else f'host = "{address[0]}"\nport = {address[1]}'
    text = '[log]\nlevel = "warning"\n[limits]\nmax_connection_rate = 1000000\n'
    text += f'[[listeners]]\ntype = "{kind}"\n{where}\n'
    if transport.tls:
        assert certificates is not None
        text += (
            f'[listeners.tls]\ncertificate = "{certificates.certificate}"\nkey = "{certificates.key}"\n'
            'minimum_version = "1.3"\n'
        )
    return text


def free_port() -> int:
    """A TCP port on the loopback interface that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_until_it_listens(process: subprocess.Popen[bytes], address: Address, timeout: float = START_TIMEOUT) -> None:
    """Wait until something listens there. Raises ``RuntimeError`` if nothing does in time."""
    deadline = time.monotonic() + timeout
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address)
                return
            except OSError:
                time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on {address}")


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop for the clients: the fastest there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
