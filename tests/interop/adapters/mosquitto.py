"""mosquitto_pub and mosquitto_sub: one process that receives, and one for each message sent.

mosquitto_sub connects and subscribes in one go. So ``connect`` only takes note of what is wanted unless there
is a subscription from before to go on with, and ``subscribe`` starts the process.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from typing import ClassVar

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import SESSION_EXPIRY_INTERVAL, TIMEOUT, Adapter, Endpoint, Feature, Message
from tests.support.tools import require_tool

__all__ = ["MosquittoAdapter"]

_VERSIONS = {ProtocolVersion.V31: "mqttv31", ProtocolVersion.V311: "mqttv311", ProtocolVersion.V5: "mqttv5"}
_MARK = "MESSAGE"
_FORMAT = "\\t".join((_MARK, "%t", "%q", "%r", "%x"))
_FORMAT_5 = "\\t".join((_FORMAT, "%C", "%D", "%E", "%F", "%P", "%R", "%S"))


class MosquittoAdapter(Adapter):
    """Subscribes with one filter at a time, which is how the process is started again after a loss."""

    name = "mosquitto"
    versions = (ProtocolVersion.V31, ProtocolVersion.V311, ProtocolVersion.V5)
    features: ClassVar[frozenset[Feature]] = frozenset()

    def __init__(self, endpoint: Endpoint, version: ProtocolVersion, client_id: str) -> None:
        super().__init__(endpoint, version, client_id)
        self._subscriber = require_tool("mosquitto_sub")
        self._publisher = require_tool("mosquitto_pub")
        self._process: Process | None = None
        self._options: list[str] = []
        self._subscription: list[str] = []
        self._lines: list[str] = []

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
        if self._subscription:
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
        await self.close()
        self._subscription = ["-U", old, "-t", new, "-q", str(qos)]
        return await self._start()

    async def publish(self, message: Message) -> int | None: arguments = [*self._common(), "-t", message.topic,
        "-q", str(message.qos)] arguments += ["-s" if message.payload else "-n"] arguments += ["-r"] *
        message.retain for name, value in ( ("content-type", message.content_type), ("response-topic",
        message.response_topic), ("correlation-data", message.correlation_data and
        message.correlation_data.decode()), ("message-expiry-interval", message.message_expiry_interval),
        ("payload-format-indicator", message.payload_format_indicator), ("topic-alias", message.topic_alias), ):
        if value is not None: arguments += ["-D", "publish", name, str(value)] for name, text in
        message.user_properties: arguments += ["-D", "publish", "user-property", name, text] process = await
        asyncio.create_subprocess_exec(self._publisher, *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT) try:
        async with asyncio.timeout(TIMEOUT): output, _ = await process.communicate(message.payload) finally:
        await _end(process) assert process.returncode == 0 and b"failed" not in output, output.decode() return
        None

    async def next_message(self) -> Message:
        while not (line := await self._next_line()).startswith(_MARK):
            pass
        fields = line.split("\t")
        _, topic, qos, retain, payload = fields[:5]
        message = Message(topic, bytes.fromhex(payload), int(qos), retain == "1")
        return _with_properties(message, fields[5:]) if self.is_five else message

    async def disconnect(self) -> None:
        process, self._process = self._running, None
        process.terminate()
        async with asyncio.timeout(TIMEOUT):
            await process.communicate()

    async def kill(self) -> None:
        process, self._process = self._running, None
        await _end(process)

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await _end(process)

    @property
    def _running(self) -> Process:
        assert self._process is not None, "not connected"
        return self._process

    def _common(self) -> list[str]:
        return ["-h", self.endpoint.host, "-p", str(self.endpoint.port), "-V", _VERSIONS[self.version]]

    async def _start(self) -> int:
        """Start mosquitto_sub, wait until it has subscribed and return what was granted."""
        arguments = [*self._common(), *self._options, *self._subscription]
        self._process = await asyncio.create_subprocess_exec(
            self._subscriber, *arguments, "-d", "-F", _FORMAT_5 if self.is_five else _FORMAT,
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, limit=1 << 24,
        )  # fmt: skip
        held: list[str] = []
        while not (line := await self._next_line()).startswith("Subscribed"):
            held.append(line)
        # What a resumed session is owed may come before the SUBACK.
        self._lines = [line for line in held if line.startswith(_MARK)]
        return int(line.rpartition(":")[2])

    async def _next_line(self) -> str:
        if self._lines and self._lines[0].startswith(_MARK) and self._process is not None:
            return self._lines.pop(0)
        stream = self._running.stdout
        assert stream is not None
        async with asyncio.timeout(TIMEOUT):
            line = await stream.readline()
        if not line:
            raise AssertionError("mosquitto_sub has ended")
        return line.decode().rstrip("\n")


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
        await process.communicate()
