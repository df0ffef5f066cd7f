"""The client of amqtt: MQTT 3.1.1 only, one task for each direction."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from amqtt.client import MQTTClient

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import TIMEOUT, Adapter, Endpoint, Feature, Message, Scheme

__all__ = ["AmqttAdapter"]


class AmqttAdapter(Adapter):
    """One ``MQTTClient`` for each connection."""

    name = "amqtt"
    versions = (ProtocolVersion.V311,)
    schemes = frozenset(Scheme) - {Scheme.UNIX}
    features = frozenset(
        {Feature.UNSUBSCRIBE, Feature.CONNECT_ALONE, Feature.PUBLISH_WHILE_CONNECTED, Feature.NORMAL_DISCONNECT}
    )

    _client: Any = None

    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        await self.close()
        certificate = {"certfile": _text(self.endpoint.certificate), "keyfile": _text(self.endpoint.key)}
        configuration: dict[str, Any] = {"auto_reconnect": False, "connection": certificate}
        if will is not None:
            configuration["will"] = {
                "topic": will.topic,
                "message": will.payload.decode(),
                "qos": will.qos,
                "retain": will.retain,
            }
        client = MQTTClient(self.client_id, configuration)
        async with asyncio.timeout(TIMEOUT):
            await client.connect(_url(self.endpoint), cleansession=not persistent, cafile=_text(self.endpoint.ca))
        self._client = client
        return None

    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        async with asyncio.timeout(TIMEOUT):
            granted: list[int] = await self.library.subscribe([(topic_filter, qos)])
        return granted[0]

    async def unsubscribe(self, topic_filter: str) -> None:
        async with asyncio.timeout(TIMEOUT):
            await self.library.unsubscribe([topic_filter])

    async def publish(self, message: Message) -> int | None:
        async with asyncio.timeout(TIMEOUT):
            await self.library.publish(message.topic, message.payload, message.qos, message.retain)
        return None

    async def next_message(self) -> Message:
        received = await self.library.deliver_message(TIMEOUT)
        return Message(received.topic, bytes(received.data), received.qos, received.retain)

    async def disconnect(self) -> None:
        client, self._client = self.library, None
        await self._disconnect(client)

    async def _disconnect(self, client: Any) -> None:
        writer = client._handler.writer
        async with asyncio.timeout(TIMEOUT):
            await client.disconnect()
            if writer is not None and not self.endpoint.is_websocket:
                # The library goes on while TLS is still saying good-bye.
                await writer._writer.wait_closed()

    async def kill(self) -> None:
        client, self._client = self.library, None
        writer = client._handler.writer
        (writer._protocol if self.endpoint.is_websocket else writer._writer).transport.abort()
        async with asyncio.timeout(TIMEOUT):
            await client._disconnect_task

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # As gmqtt does, it may end TLS while the broker still sends.
            with contextlib.suppress(OSError):
                await self._disconnect(client)

    @property
    def library(self) -> Any:
        """The library's own client object."""
        assert self._client is not None, "not connected"
        return self._client


def _url(endpoint: Endpoint) -> str:
    path = "/mqtt" if endpoint.is_websocket else "/"
    return f"{endpoint.scheme.value}://{endpoint.host}:{endpoint.port}{path}"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
