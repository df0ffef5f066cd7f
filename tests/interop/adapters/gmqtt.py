"""gmqtt: an asyncio client with its own codec."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import gmqtt

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import SESSION_EXPIRY_INTERVAL, TIMEOUT, Adapter, Feature, Message, Scheme

__all__ = ["GmqttAdapter"]

_NEVER_RECONNECT = -2
"""Below the number of failures at any time; -1 means "for ever"."""


class GmqttAdapter(Adapter):
    """The library answers no call by itself: results arrive in callbacks, by packet identifier."""

    name = "gmqtt"
    versions = (ProtocolVersion.V311, ProtocolVersion.V5)
    schemes = frozenset({Scheme.MQTT, Scheme.MQTTS})
    features = frozenset(Feature) - {Feature.PUBLISH_REASON}

    _client: Any = None
    _answers: dict[int, asyncio.Future[tuple[int, ...]]]
    _connected: asyncio.Future[bool]
    _ended: asyncio.Future[bytes]
    _messages: asyncio.Queue[Message]

    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        await self.close()
        loop = asyncio.get_running_loop()
        self._answers = {}
        self._connected = loop.create_future()
        self._ended = loop.create_future()
        self._messages = asyncio.Queue()
        properties: dict[str, Any] = {}
        if self.is_five and persistent:
            properties["session_expiry_interval"] = SESSION_EXPIRY_INTERVAL
        if self.is_five and topic_alias_maximum:
            properties["topic_alias_maximum"] = topic_alias_maximum
        client = gmqtt.Client(
            self.client_id,
            clean_session=not persistent,
            will_message=None if will is None else _to_gmqtt(will),
            **properties,
        )
        client.set_config({"reconnect_retries": _NEVER_RECONNECT, "reconnect_delay": 0})
        self._set_callbacks(client)
        self._client = client
        async with asyncio.timeout(TIMEOUT):
            endpoint = self.endpoint
            encryption = endpoint.tls_context() or False
            await client.connect(endpoint.host, endpoint.port, ssl=encryption, version=int(self.version))
            return await self._connected

    def _set_callbacks(self, client: Any) -> None:
        def on_connect(_: Any, session_present: int, __: int, ___: Any) -> None:
            self._connected.set_result(bool(session_present))

        def on_message(_: Any, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
            self._messages.put_nowait(_from_gmqtt(topic, payload, qos, properties))
            return 0

        def on_disconnect(_: Any, packet: Any, __: Any = None) -> None:
            if not self._ended.done():
                self._ended.set_result(packet if isinstance(packet, bytes) else b"")

        def on_subscribe(_: Any, mid: int, codes: tuple[int, ...], __: Any) -> None:
            self._answer(mid).set_result(codes)

        def on_unsubscribe(_: Any, mid: int, codes: tuple[int, ...]) -> None:
            self._answer(mid).set_result(codes)

        client.on_connect = on_connect
        client.on_message = on_message
        client.on_disconnect = on_disconnect
        client.on_subscribe = on_subscribe
        client.on_unsubscribe = on_unsubscribe

    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        properties = {} if identifier is None else {"subscription_identifier": identifier}
        mid = self.library.subscribe(topic_filter, qos=qos, no_local=no_local, **properties)
        return (await self._result(mid))[0]

    async def unsubscribe(self, topic_filter: str) -> None:
        await self._result(self.library.unsubscribe(topic_filter))

    async def publish(self, message: Message) -> int | None:
        self.library.publish(_to_gmqtt(message))
        async with asyncio.timeout(TIMEOUT):
            # The library tells the end of an exchange only by having nothing left to send again.
            await self.library._persistent_storage.wait_empty()
        return None

    async def next_message(self) -> Message:
        async with asyncio.timeout(TIMEOUT):
            return await self._messages.get()

    async def disconnect(self) -> None:
        client, self._client = self.library, None
        async with asyncio.timeout(TIMEOUT):
            await client.disconnect()

    async def kill(self) -> None:
        client, self._client = self.library, None
        client._connection._transport.abort()
        async with asyncio.timeout(TIMEOUT):
            await self._ended

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and client._connection is not None:
            # A client in asyncio that ends TLS while the broker still sends takes that for an error.
            with contextlib.suppress(OSError):
                async with asyncio.timeout(TIMEOUT):
                    await client.disconnect()

    async def disconnect_reason(self) -> int:
        async with asyncio.timeout(TIMEOUT):
            packet = await self._ended
        return packet[0] if packet else 0

    @property
    def library(self) -> Any:
        """The library's own client object, which has no annotations."""
        assert self._client is not None, "not connected"
        return self._client

    def _answer(self, mid: int) -> asyncio.Future[tuple[int, ...]]:
        return self._answers.setdefault(mid, asyncio.get_running_loop().create_future())

    async def _result(self, mid: int) -> tuple[int, ...]:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._answer(mid)
        finally:
            self._answers.pop(mid, None)


def _to_gmqtt(message: Message) -> Any:
    named = {
        "content_type": message.content_type,
        "response_topic": message.response_topic,
        "correlation_data": message.correlation_data,
        "message_expiry_interval": message.message_expiry_interval,
        "payload_format_id": message.payload_format_indicator,
        "user_property": list(message.user_properties) or None,
        "topic_alias": message.topic_alias,
    }
    properties = {name: value for name, value in named.items() if value is not None}
    return gmqtt.Message(message.topic, message.payload, qos=message.qos, retain=message.retain, **properties)


def _from_gmqtt(topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> Message:
    def first(name: str) -> Any:
        return properties.get(name, [None])[0]

    return Message(
        topic,
        payload,
        qos,
        bool(properties["retain"]),
        content_type=first("content_type"),
        response_topic=first("response_topic"),
        correlation_data=first("correlation_data"),
        message_expiry_interval=first("message_expiry_interval"),
        payload_format_indicator=first("payload_format_id"),
        user_properties=tuple(properties.get("user_property", ())),
        subscription_identifiers=tuple(properties.get("subscription_identifier", ())),
    )
