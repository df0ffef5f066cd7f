"""mosquitto_pub and mosquitto_sub: one process that receives, and one for each message sent.

mosquitto_sub connects and subscribes in one go. So ``connect`` only takes note of what is wanted unless there
is a subscription from before to go on with, and ``subscribe`` starts the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from typing import ClassVar

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import SESSION_EXPIRY_INTERVAL, TIMEOUT, Adapter, Endpoint, Feature, Message, Scheme
from tests.support.tools import require_tool

__all__ = ["MosquittoAdapter", "run"]

_VERSIONS = {ProtocolVersion.V31: "mqttv31", ProtocolVersion.V311: "mqttv311", ProtocolVersion.V5: "mqttv5"}
_MARK = "MESSAGE"
_FORMAT = "\\t".join((_MARK, "%t", "%q", "%r", "%x"))
_FORMAT_5 = "\\t".join((_FORMAT, "%C", "%D", "%E", "%F", "%P", "%R", "%S"))


class MosquittoAdapter(Adapter):
    """Subscribes with one filter at a time, which is how the process is started again after a loss."""

    name = "mosquitto"
    versions = (ProtocolVersion.V31, ProtocolVersion.V311, ProtocolVersion.V5)
    schemes = frozenset({Scheme.MQTT, Scheme.MQTTS, Scheme.UNIX})
    features: ClassVar[frozenset[Feature]] = frozenset()

    def __init__(self, endpoint: Endpoint, version: ProtocolVersion, client_id: str) -> None:
        super().__init__(endpoint, version, client_id)
        self._subscriber = require_tool("mosquitto_sub")
        self._publisher = require_tool("mosquitto_pub")
        self._process: _Terminal | None = None
        self._options: list[str] = []
        self._subscription: list[str] = []
        self._early: deque[str] = deque()

    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        await self.close()
        self._options = ["-i", self.client_id]
        if persistent:
            self._options += ["-c"]
            if self.is_five:
                self._options += ["-x", str(SESSION_EXPIRY_INTERVAL)]
        if will is not None:
            self._options += ["--will-topic", will.topic, "--will-payload", will.payload.decode()]
            self._options += ["--will-qos", str(will.qos)] + ["--will-retain"] * will.retain
        if self._subscription and persistent:
            await self._start()
        return None

    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        self._subscription = ["-t", topic_filter, "-q", str(qos)]
        if identifier is not None:
            self._subscription += ["-D", "subscribe", "subscription-identifier", str(identifier)]
        return await self._start()

    async def unsubscribe(self, topic_filter: str) -> None:
        raise NotImplementedError

    async def unsubscribe_and_subscribe(self, old: str, new: str, qos: int) -> int:
        """Start again, to unsubscribe from one filter and subscribe to another on the same connection."""
        self._subscription = ["-U", old, "-t", new, "-q", str(qos)]
        return await self._start()

    async def publish(self, message: Message) -> int | None:
        arguments = [*self._common(), "-t", message.topic, "-q", str(message.qos)]
        arguments += ["-s" if message.payload else "-n"] + ["-r"] * message.retain
        for name, value in (
            ("content-type", message.content_type),
            ("response-topic", message.response_topic),
            ("correlation-data", message.correlation_data and message.correlation_data.decode()),
            ("message-expiry-interval", message.message_expiry_interval),
            ("payload-format-indicator", message.payload_format_indicator),
        ):
            if value is not None:
                arguments += ["-D", "publish", name, str(value)]
        for name, text in message.user_properties:
            arguments += ["-D", "publish", "user-property", name, text]
        process = await asyncio.create_subprocess_exec(
            self._publisher, *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                output, _ = await process.communicate(message.payload)
        finally:
            await _end(process)
        assert process.returncode == 0 and b"failed" not in output, output.decode()
        return None

    async def next_message(self) -> Message:
        while not self._early:
            if (line := await self._running.read_line()).startswith(_MARK):
                self._early.append(line)
        fields = self._early.popleft().split("\t")
        _, topic, qos, retain, payload = fields[:5]
        message = Message(topic, bytes.fromhex(payload), int(qos), retain == "1")
        return _with_properties(message, fields[5:]) if self.is_five else message

    async def disconnect(self) -> None:
        process, self._process = self._running, None
        await process.terminate()

    async def kill(self) -> None:
        process, self._process = self._running, None
        await process.kill()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.kill()

    @property
    def _running(self) -> _Terminal:
        assert self._process is not None, "not connected"
        return self._process

    def _common(self) -> list[str]:
        return [*_connect_arguments(self.endpoint), "-V", _VERSIONS[self.version]]

    async def _start(self) -> int:
        """Start mosquitto_sub, wait until it has subscribed and return what was granted."""
        arguments = [*self._common(), *self._options, *self._subscription]
        if self._process is not None:
            await self.disconnect()
        self._early.clear()
        self._process = await _Terminal.run(
            self._subscriber, *arguments, "-d", "-F", _FORMAT_5 if self.is_five else _FORMAT
        )
        while not (line := await self._process.read_line()).startswith("Subscribed"):
            # What a resumed session is owed may come before the SUBACK.
            if line.startswith(_MARK):
                self._early.append(line)
        return int(line.rpartition(":")[2])


async def run(tool: str, endpoint: Endpoint, *arguments: str, stdin: bytes = b"", succeeds: bool = True) -> bytes:
    """Run one of the programs to its end, which must be a success, or none, and return all that it has written."""
    process = await asyncio.create_subprocess_exec(
        require_tool(tool), *_connect_arguments(endpoint), *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            output, _ = await process.communicate(stdin)
    finally:
        await _end(process)
    assert (process.returncode == 0) is succeeds, output.decode()
    return output


def _connect_arguments(endpoint: Endpoint) -> list[str]:
    """Tell one of the programs where to connect."""
    if endpoint.scheme is Scheme.UNIX:
        return ["--unix", endpoint.host]
    arguments = ["-h", endpoint.host, "-p", str(endpoint.port)]
    arguments += ["-A", endpoint.source] if endpoint.source else []
    for option, path in (("--cafile", endpoint.ca), ("--cert", endpoint.certificate), ("--key", endpoint.key)):
        arguments += [] if path is None else [option, str(path)]
    return arguments


class _Terminal:
    """A process whose output goes to a pseudo-terminal, since into a pipe it would be written in blocks."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self._process = process
        self._reader = reader
        self._transport = transport

    @classmethod
    async def run(cls, *command: str) -> _Terminal:
        import tty  # Not everywhere.

        ours, theirs = os.openpty()
        try:
            tty.setraw(theirs)
            process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=theirs, stderr=theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        reader = asyncio.StreamReader(limit=1 << 24)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", buffering=0)
        )
        return cls(process, reader, transport)

    async def read_line(self) -> str:
        async with asyncio.timeout(TIMEOUT):
            line = await self._reader.readline()
        if not line:
            raise AssertionError("mosquitto_sub has ended")
        return line.decode().rstrip("\n")

    async def terminate(self) -> None:
        """Let the process say DISCONNECT, and wait for its end."""
        self._process.terminate()
        async with asyncio.timeout(TIMEOUT):
            await self._process.wait()
        self._transport.close()

    async def kill(self) -> None:
        await _end(self._process)
        self._transport.close()


def _with_properties(message: Message, fields: list[str]) -> Message:
    content_type, correlation, expiry, payload_format, user, response_topic, identifiers = fields
    return Message(
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        content_type=content_type or None,
        response_topic=response_topic or None,
        correlation_data=correlation.encode() or None,
        message_expiry_interval=int(expiry) if expiry else None,
        payload_format_indicator=int(payload_format) if payload_format else None,
        user_properties=_pairs(user),
        subscription_identifiers=tuple(map(int, identifiers.split())),
    )


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Take "name:value name:value" apart; no name or value in these tests has a space or a colon."""
    pairs = (pair.partition(":") for pair in text.split())
    return tuple((name, value) for name, _, value in pairs)


async def _end(process: Process) -> None:
    """Kill the process unless it has ended, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    async with asyncio.timeout(TIMEOUT):
        await process.wait()
