"""The brokers that can be measured: what each is called, what it can do, and the command that starts it.

A name may end in options, as in ``compiled+rules``. All brokers keep everything in memory, let everybody in, and have
limits that the loads do not reach; apart from that they run as they come.
"""

from __future__ import annotations

import getpass
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.certificates import Certificates
from mqttbroker.bench import Address, Transport

__all__ = ["MOSQUITTO", "OURS", "Peer", "Setting", "add_command", "peer"]

ROOT = Path(__file__).parents[1]
BUILDS = ROOT / "build/bench"
"""Where both builds of this broker are."""
INSTALLED = ROOT / "build/peers"
"""Where peers are that the benchmark has installed."""
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
OURS = ("compiled", "pure")
"""The two builds of this broker."""

TCP_ONLY = frozenset({"TCP"})
NETWORK = frozenset({"TCP", "WS", "TLS", "WSS"})
ALL = NETWORK | {"UNIX"}


@dataclass(frozen=True)
class Setting:
    """What a broker is to be. Files that it needs go into ``folder``."""

    folder: Path
    address: Address
    transport: Transport
    certificates: Certificates | None
    spare_port: int
    """Free, for what a broker opens besides."""
    options: frozenset[str] = frozenset()
    """``rules``: access rules, which allow what the load does."""

    @property
    def port(self) -> int:
        """The port, where there is one."""
        assert not isinstance(self.address, str)
        return self.address[1]

    def write(self, name: str, text: str) -> str:
        """Put a file into the folder; its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


@dataclass(frozen=True)
class Peer:
    """A broker that can be started."""

    name: str
    title: str
    """What tables call it."""
    command: Callable[[Setting], list[str]]
    version: Callable[[], str]
    transports: frozenset[str] = NETWORK
    """The names of the transports that it has."""
    options: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)


def peer(name: str) -> tuple[Peer, frozenset[str]]:
    """The broker of this name, and its options. Raises ``KeyError`` for one that nobody knows."""
    base, *options = name.split("+")
    found = _PEERS[base]
    if unknown := set(options) - found.options:
        raise KeyError(f"{base} has no {', '.join(sorted(unknown))}")
    return found, frozenset(options)


def add_command(name: str, command: str) -> None:
    """Let a broker be measured that a command starts. ``{port}`` in it is the port where it has to listen."""
    words = shlex.split(command)
    if not re.fullmatch(r"[\w.-]+", name) or name in _PEERS or not any("{port}" in word for word in words):
        raise ValueError(f"{name}={command}: a new name and a command with {{port}} are needed")
    start = lambda setting: [word.replace("{port}", str(setting.port)) for word in words]  # noqa: E731
    _PEERS[name] = Peer(name, name, start, lambda: command, TCP_ONLY)


def said(*command: str, pattern: str = r"\d+\.\d+[\w.]*") -> str:
    """The version that a command tells. Raises ``OSError`` where there is no such command."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[0] if found else "unknown"


def _own(setting: Setting) -> list[str]:
    transport, address = setting.transport, setting.address
    kind = "websocket" if transport.websocket else "unix" if isinstance(address, str) else "tcp"
    where = f'socket = "{address}"' if isinstance(address, str) else f'host = "{address[0]}"\nport = {address[1]}'
    text = '[log]\nlevel = "warning"\n[limits]\nmax_connection_rate = 1000000\n'
    if "rules" in setting.options:
        rule = '[[rules]]\nwho = "{}"\naction = "both"\ntopics = [{}]\neffect = "{}"\n'
        denied = "".join(rule.format("somebody", f'"private/{number}/#"', "deny") for number in range(10))
        allowed = rule.format("*", '"bench/#"', "allow")
        text += f'[security]\nallow_anonymous = true\nacl_file = "{setting.write("acl.toml", denied + allowed)}"\n'
    text += f'[[listeners]]\ntype = "{kind}"\n{where}\n'
    if transport.tls:
        assert setting.certificates is not None
        text += f'[listeners.tls]\ncertificate = "{setting.certificates.certificate}"\n'
        text += f'key = "{setting.certificates.key}"\nminimum_version = "1.3"\n'
    return [sys.executable, "-m", "mqttbroker", "serve", "--config", setting.write("mqttbroker.toml", text)]


def _mosquitto(setting: Setting) -> list[str]:
    address, transport = setting.address, setting.transport
    lines = ["allow_anonymous true", "max_queued_messages 100000", "max_inflight_messages 1000", "log_type error"]
    lines += [f"user {getpass.getuser()}"]
    if "rules" in setting.options:
        denied = "".join(f"user somebody{number}\ntopic deny private/{number}/#\n" for number in range(10))
        lines += [f"acl_file {setting.write('acl', 'topic readwrite bench/#' + chr(10) + denied)}"]
    lines += [f"listener 0 {address}"] if isinstance(address, str) else [f"listener {address[1]} {address[0]}"]
    if transport.websocket:
        lines += ["protocol websockets"]
    if transport.tls:
        assert setting.certificates is not None
        lines += [f"certfile {setting.certificates.certificate}", f"keyfile {setting.certificates.key}"]
        lines += ["tls_version tlsv1.3"]
    if transport.websocket:
        # Mosquitto 2.0 does not start without another listener. Nobody connects to this one.
        lines += [f"listener {setting.spare_port} 127.0.0.1"]
    return [str(MOSQUITTO), "-c", setting.write("mosquitto.conf", "\n".join(lines) + "\n")]


def _amqtt(setting: Setting) -> list[str]:
    lines = ["listeners:", "  default:", f"    type: {'ws' if setting.transport.websocket else 'tcp'}"]
    lines += [f"    bind: 127.0.0.1:{setting.port}", "    max_connections: 100000"]
    if setting.transport.tls:
        assert setting.certificates is not None
        lines += ["    ssl: true", f"    certfile: {setting.certificates.certificate}"]
        lines += [f"    keyfile: {setting.certificates.key}"]
    lines += ["plugins:", "  amqtt.plugins.authentication.AnonymousAuthPlugin:", "    allow_anonymous: true"]
    file = setting.write("amqtt.yaml", "\n".join(lines) + "\n")
    return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", file]


def _aedes(setting: Setting) -> list[str]:
    files = setting.certificates
    tls = [str(files.certificate), str(files.key)] if setting.transport.tls and files is not None else []
    script = str(INSTALLED / "aedes/aedes.mjs")
    return ["node", script, str(setting.port), "ws" if setting.transport.websocket else "tcp", *tls]


def _nats(setting: Setting) -> list[str]:
    tls = ""
    if setting.transport.tls:
        assert setting.certificates is not None
        files = setting.certificates
        tls = f'tls {{ cert_file: "{files.certificate}", key_file: "{files.key}", min_version: "1.3" }}'
    websocket = setting.transport.websocket
    mqtt = f"port: {setting.spare_port}" if websocket else f"port: {setting.port}, {tls}"
    text = (
        f'server_name: bench\nlisten: "127.0.0.1:-1"\nmax_payload: 8MB\njetstream {{ store_dir: "{setting.folder}" }}\n'
        f"mqtt {{ host: 127.0.0.1, {mqtt} }}\n"
    )
    if websocket:
        text += f"websocket {{ host: 127.0.0.1, port: {setting.port}, {tls or 'no_tls: true'} }}\n"
    return [str(nats_server()), "-c", setting.write("nats.conf", text)]


def nats_server() -> Path:
    """Where the program is, or would be."""
    return next((INSTALLED / "nats").glob("**/nats-server"), INSTALLED / "nats/bin/nats-server")


def _relay(setting: Setting) -> list[str]:
    return [str(INSTALLED / "relay"), str(setting.port)]


def _package_version(package: str) -> str:
    from importlib.metadata import version

    return version(package) if importlib.util.find_spec(package) else "none"


def _build(name: str, title: str) -> Peer:
    environment = {"PYTHONPATH": str(BUILDS / name)}
    return Peer(
        name, title, _own, lambda: _package_version("mqttbroker"), ALL, frozenset({"rules"}), environment=environment
    )


_PEERS = {
    each.name: each
    for each in (
        Peer("mqttbroker", "mqttbroker", _own, lambda: _package_version("mqttbroker"), ALL, frozenset({"rules"})),
        _build("compiled", "mqttbroker, compiled"),
        _build("pure", "mqttbroker, pure Python"),
        Peer("mosquitto", "Mosquitto", _mosquitto, lambda: said(str(MOSQUITTO), "-h"), ALL, frozenset({"rules"})),
        Peer("nats", "NATS server", _nats, lambda: said(str(nats_server()), "--version")),
        Peer("aedes", "Aedes", _aedes, lambda: f"{_aedes_version()} (Node {said('node', '--version')})"),
        Peer("amqtt", "aMQTT", _amqtt, lambda: _package_version("amqtt")),
        Peer("relay", "bare relay", _relay, lambda: "no broker: it copies bytes", TCP_ONLY),
    )
}


def _aedes_version() -> str:
    package = INSTALLED / "aedes/node_modules/aedes/package.json"
    found = re.search(r'"version":\s*"([^"]+)"', package.read_text(encoding="utf-8"))
    return found[1] if found else "unknown"
