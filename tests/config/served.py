"""Configurations as a person uses them: commands in a directory, a broker that serves a file there, clients that
connect. All of them are processes of their own or real clients.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from mqttbroker.config import load_config

__all__ = [
    "PASSWORD",
    "PROGRAM",
    "TIMEOUT",
    "Client",
    "LogLine",
    "Served",
    "Transport",
    "environment",
    "mqtt_client",
    "run",
    "serving",
]

TIMEOUT = 30.0
PASSWORD = "correct horse"
"""Whoever gets a password gets this one."""
PROGRAM = (sys.executable, "-m", "mqttbroker")

LogLine = Mapping[str, Any]
Transport = Literal["tcp", "websockets", "unix"]


def environment(**variables: str) -> dict[str, str]:
    """The environment of this process without configuration of a broker, and these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MQTTBROKER_")}
    return inherited | variables


def run(directory: Path, command: str) -> str:
    """Run ``mqttbroker ...`` in a directory, as it stands in a text for people; what it has said."""
    program, *arguments = shlex.split(command)
    assert program == "mqttbroker"
    if arguments[0] == "passwd":
        arguments.append("--password-stdin")
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=directory,
        env=environment(),
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Served:
    """``mqttbroker serve`` with a file in a directory, on free ports."""

    def __init__(self, directory: Path, file: str) -> None:
        self.directory: Path = directory
        listeners = load_config(directory / file, {}).listeners
        ports = {f"MQTTBROKER_LISTENERS__{at}__PORT": "0" for at, each in enumerate(listeners) if each.socket is None}
        self._process = subprocess.Popen(
            [*PROGRAM, "serve", "--config", file],
            cwd=directory,
            env=environment(MQTTBROKER_LOG__FORMAT="json", **ports),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.ports: dict[str, int] = {}
        """By name of listener; 0 for a Unix socket."""
        try:
            while len(self.ports) < len(listeners):
                line = self.logs(lambda line: line["event"] == "listening")
                self.ports[line["listener"]] = line.get("port", 0)
        except BaseException:
            self.kill()
            raise

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._lines.put(line)

    def logs(self, wanted: Callable[[LogLine], bool]) -> LogLine:
        """Wait for a line of the log, and pass over those before it."""
        passed: list[str] = []
        while True:
            try:
                passed.append(self._lines.get(timeout=TIMEOUT))
            except queue.Empty:
                raise AssertionError(f"not in the log: {''.join(passed)}") from None
            assert passed[-1].startswith("{"), passed[-1]
            line: LogLine = json.loads(passed[-1])
            if wanted(line):
                return line

    def reload(self) -> None:
        """Tell the broker to read certificates again."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop the broker in order."""
        self._process.terminate()
        assert self._process.wait(TIMEOUT) == 0
        self._reader.join(TIMEOUT)

    def kill(self) -> None:
        """End the broker, if it has not ended."""
        self._process.kill()
        self._process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)


@contextmanager
def serving(file: str, directory: Path) -> Iterator[Served]:
    """A broker that serves a file, and stops in order when the test is over."""
    served = Served(directory, file)
    try:
        yield served
        served.stop()
    finally:
        served.kill()


class Client:
    """Paho with MQTT 5, whose callbacks become answers."""

    def __init__(
        self,
        transport: Transport = "tcp",
        username: str | None = None,
        password: str = PASSWORD,
    ) -> None:
        self.paho: paho.Client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, transport=transport, reconnect_on_failure=False
        )
        if username is not None:
            self.paho.username_pw_set(username, password)
        self._ends = ends = queue.SimpleQueue[str]()
        self._granted = granted = queue.SimpleQueue[list[ReasonCode]]()
        self._published = published = queue.SimpleQueue[ReasonCode]()
        self._messages = messages = queue.SimpleQueue[tuple[str, str]]()
        # None of these knows this object: in a circle with it, Paho would leave its sockets to the garbage collector.
        self.paho.on_connect = lambda _, __, ___, reason, ____: ends.put(str(reason))
        self.paho.on_disconnect = lambda _, __, ___, reason, ____: ends.put(f"closed: {reason}")
        self.paho.on_subscribe = lambda _, __, ___, reasons, ____: granted.put(reasons)
        self.paho.on_publish = lambda _, __, ___, reason, ____: published.put(reason)
        self.paho.on_message = lambda _, __, message: messages.put((message.topic, message.payload.decode()))

    def connect(self, host: str, port: int = 1_883, source: str = "") -> str:
        """Connect to an address or the path of a Unix socket; the reason that the broker gives, or "closed: ..." where
        it gives none.
        """
        self.paho.connect(host, port, bind_address=source)
        self.paho.loop_start()
        return self._ends.get(timeout=TIMEOUT)

    def ended(self) -> str:
        """Wait for the end of the connection; the reason."""
        return self._ends.get(timeout=TIMEOUT)

    def subscribe(self, topic_filter: str) -> str:
        """Subscribe at QoS 1; the reason in the answer."""
        self.paho.subscribe(topic_filter, qos=1)
        [reason] = self._granted.get(timeout=TIMEOUT)
        return str(reason)

    def publish(self, topic: str, payload: str, retain: bool = False) -> str:
        """Publish at QoS 1; the reason in the answer."""
        self.paho.publish(topic, payload, qos=1, retain=retain)
        return str(self._published.get(timeout=TIMEOUT))

    def receive(self) -> tuple[str, str]:
        """Wait for the next message; topic and payload."""
        return self._messages.get(timeout=TIMEOUT)

    def close(self) -> None:
        """End the connection, if there is one."""
        with suppress(ValueError):
            self.paho.disconnect()
        self.paho.loop_stop()


@contextmanager
def mqtt_client(
    transport: Transport = "tcp",
    username: str | None = None,
    password: str = PASSWORD,
    tls: Sequence[Path] = (),
    headers: Mapping[str, str] | None = None,
    header: bytes = b"",
) -> Iterator[Client]:
    """A client that is not connected yet. ``tls`` are the files of an authority, and of a certificate and its key;
    ``headers`` are those of a WebSocket's hand-shake; ``header`` goes before all bytes of the client, as from a proxy.
    """
    client = Client(transport, username, password)
    if tls:
        context = ssl.create_default_context(cafile=tls[0])
        if tls[1:]:
            context.load_cert_chain(tls[1], tls[2])
        client.paho.tls_set_context(context)
    if transport == "websockets":
        client.paho.ws_set_options("/mqtt", dict(headers or {}))
    if header:
        client.paho.on_socket_open = lambda _, __, opened: send_first(opened, header)
    try:
        yield client
    finally:
        client.close()


def send_first(opened: object, header: bytes) -> None:
    """Send a header on a connection that has just been made."""
    assert isinstance(opened, socket.socket)
    opened.sendall(header)
