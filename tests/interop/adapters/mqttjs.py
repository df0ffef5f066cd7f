"""MQTT.js, the npm package ``mqtt``: a Node process that takes commands and tells events as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import SESSION_EXPIRY_INTERVAL, TIMEOUT, Adapter, Endpoint, Message, Scheme
from tests.support.tools import require_tool

__all__ = ["MqttJsAdapter"]

_SCRIPT = Path(__file__).parent.parent / "node" / "client.mjs"


class MqttJsAdapter(Adapter):
    """One process, which is killed to lose the connection and else used for the next one too."""

    name = "mqttjs"
    versions = (ProtocolVersion.V31, ProtocolVersion.V311, ProtocolVersion.V5)
    node_modules: ClassVar[Path]
    """Where the npm packages are; set by the fixture that installs them."""

    more_options: Mapping[str, Any] = {}
    """Options of the library that the common suite has no words for."""
    _process: Process | None = None
    _reader: asyncio.Task[None]
    _numbers: itertools.count[int]
    _answers: dict[int, asyncio.Future[dict[str, Any]]]
    _messages: asyncio.Queue[Message]
    _ended: asyncio.Future[int]

    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        if self._process is None:
            await self._start()
        options: dict[str, Any] = {
            "clientId": self.client_id,
            "protocolVersion": int(self.version),
            "protocolId": "MQIsdp" if self.version is ProtocolVersion.V31 else "MQTT",
            "clean": not persistent,
            **_where(self.endpoint),
            **self.more_options,
        }
        if self.is_five:
            options["properties"] = {
                **({"sessionExpiryInterval": SESSION_EXPIRY_INTERVAL} if persistent else {}),
                **({"topicAliasMaximum": topic_alias_maximum} if topic_alias_maximum else {}),
            }
        if will is not None:
            options["will"] = {
                "topic": will.topic,
                "payload": will.payload.hex(),
                "qos": will.qos,
                "retain": will.retain,
                "properties": _properties(will),
            }
        answer = await self._call("connect", options=options)
        return bool(answer["sessionPresent"])

    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        options: dict[str, Any] = {"qos": qos}
        if self.is_five:
            options["nl"] = no_local
            if identifier is not None:
                options["properties"] = {"subscriptionIdentifier": identifier}
        return int((await self._call("subscribe", filter=topic_filter, options=options))["reasonCode"])

    async def unsubscribe(self, topic_filter: str) -> None:
        await self._call("unsubscribe", filter=topic_filter)

    async def publish(self, message: Message) -> int | None:
        options = {"qos": message.qos, "retain": message.retain, "properties": _properties(message)}
        answer = await self._call("publish", topic=message.topic, payload=message.payload.hex(), options=options)
        code: int | None = answer["reasonCode"]
        return code

    async def next_message(self) -> Message:
        async with asyncio.timeout(TIMEOUT):
            return await self._messages.get()

    async def disconnect(self) -> None:
        await self._call("disconnect")

    async def kill(self) -> None:
        await self.close()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            async with asyncio.timeout(TIMEOUT):
                await self._reader
                await process.wait()

    async def disconnect_reason(self) -> int:
        async with asyncio.timeout(TIMEOUT):
            return await self._ended

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._answers = {}
        self._messages = asyncio.Queue()
        self._ended = loop.create_future()
        self._process = await asyncio.create_subprocess_exec(
            require_tool("node"), str(_SCRIPT), stdin=PIPE, stdout=PIPE, limit=1 << 26,
            env=os.environ | {"NODE_MODULES": str(self.node_modules)},
        )  # fmt: skip
        self._reader = loop.create_task(self._read(self._process))

    async def _read(self, process: Process) -> None:
        """Hand out answers and events until the process ends."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            said = json.loads(line)
            match said.get("event"):
                case None:
                    self._answers.pop(said["id"]).set_result(said)
                case "message":
                    self._messages.put_nowait(_message(said))
                case "disconnect" if not self._ended.done():
                    self._ended.set_result(said["reasonCode"])
                case "close" if not self._ended.done():
                    self._ended.set_result(0)

    async def _call(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None, "not connected"
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, "command": command, **arguments}).encode() + b"\n")
        async with asyncio.timeout(TIMEOUT):
            said = await answer
        assert "error" not in said, said["error"]
        result: dict[str, Any] = said["result"]
        return result


def _where(endpoint: Endpoint) -> dict[str, Any]:
    """Options that tell where to connect, and how."""
    options: dict[str, Any] = {"protocol": endpoint.scheme.value}
    if endpoint.scheme is Scheme.UNIX:
        return options | {"path": endpoint.host}
    options |= {"host": endpoint.host, "port": endpoint.port}
    if endpoint.is_websocket:
        options["path"] = "/mqtt"
    files = {"ca": endpoint.ca, "cert": endpoint.certificate, "key": endpoint.key}
    return options | {name: path.read_text() for name, path in files.items() if path is not None}


def _properties(message: Message) -> dict[str, Any]:
    named = {
        "contentType": message.content_type,
        "responseTopic": message.response_topic,
        "correlationData": message.correlation_data and message.correlation_data.hex(),
        "messageExpiryInterval": message.message_expiry_interval,
        "payloadFormatIndicator": None if message.payload_format_indicator is None else True,
        "userProperties": _grouped(message.user_properties) or None,
        "topicAlias": message.topic_alias,
    }
    return {name: value for name, value in named.items() if value is not None}


def _message(said: dict[str, Any]) -> Message:
    properties = said["properties"]
    correlation = properties.get("correlationData")
    indicator = properties.get("payloadFormatIndicator")
    identifiers = properties.get("subscriptionIdentifier", [])
    return Message(
        said["topic"],
        bytes.fromhex(said["payload"]),
        said["qos"],
        said["retain"],
        content_type=properties.get("contentType"),
        response_topic=properties.get("responseTopic"),
        correlation_data=None if correlation is None else bytes.fromhex(correlation),
        message_expiry_interval=properties.get("messageExpiryInterval"),
        payload_format_indicator=None if indicator is None else int(indicator),
        user_properties=tuple(_flat(properties.get("userProperties", {}))),
        subscription_identifiers=tuple(identifiers if isinstance(identifiers, list) else [identifiers]),
    )


def _grouped(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _flat(pairs: dict[str, Any]) -> list[tuple[str, str]]:
    """The library makes one key with a list of values out of a name that comes twice."""
    return [
        (name, value) for name, values in pairs.items() for value in ([values] if isinstance(values, str) else values)
    ]
