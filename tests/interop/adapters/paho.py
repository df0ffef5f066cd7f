"""Eclipse Paho for Python: a blocking client with a thread of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from paho.mqtt.client import (
    MQTT_CLEAN_START_FIRST_ONLY,
    CleanStartOption,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import SESSION_EXPIRY_INTERVAL, TIMEOUT, Adapter, Endpoint, Feature, Message, Scheme

__all__ = [
    "PahoAdapter",
    "break_off",
    "connect_properties",
    "from_paho",
    "paho_transport",
    "publish_properties",
    "subscribe_properties",
]


T = TypeVar("T")


class PahoAdapter(Adapter):
    """Callbacks arrive in Paho's thread and are carried to the event loop, where everything else happens."""

    name = "paho"
    versions = (ProtocolVersion.V31, ProtocolVersion.V311, ProtocolVersion.V5)
    features = frozenset(Feature) - {Feature.RECEIVES_TOPIC_ALIAS}

    _client: Client | None = None
    _loop: asyncio.AbstractEventLoop
    _answers: dict[tuple[str, int], asyncio.Future[list[ReasonCode]]]
    _connected: asyncio.Future[tuple[bool, ReasonCode]]
    _disconnected: asyncio.Future[ReasonCode]
    _messages: asyncio.Queue[Message]

    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        await self.close()
        self._loop = asyncio.get_running_loop()
        self._answers = {}
        self._connected = self._loop.create_future()
        self._disconnected = self._loop.create_future()
        self._messages = asyncio.Queue()
        client = self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=None if self.is_five else not persistent,
            protocol=MQTTProtocolVersion(self.version),
            reconnect_on_failure=False,
            transport=paho_transport(self.endpoint),
        )
        if (context := self.endpoint.tls_context()) is not None:
            client.tls_set_context(context)
        self._set_callbacks(client)
        if will is not None:
            properties = publish_properties(will, PacketTypes.WILLMESSAGE) if self.is_five else None
            client.will_set(will.topic, will.payload, will.qos, will.retain, properties)
        clean_start: CleanStartOption = not persistent if self.is_five else MQTT_CLEAN_START_FIRST_ONLY
        await asyncio.to_thread(
            client.connect,
            self.endpoint.host,
            self.endpoint.port,
            bind_address=self.endpoint.source,
            clean_start=clean_start,
            properties=connect_properties(persistent, topic_alias_maximum) if self.is_five else None,
        )
        client.loop_start()
        async with asyncio.timeout(TIMEOUT):
            session_present, reason = await self._connected
        assert not reason.is_failure, reason
        return session_present

    def _set_callbacks(self, client: Client) -> None:
        def on_connect(_: Client, __: Any, flags: ConnectFlags, reason: ReasonCode, ___: Properties | None) -> None:
            self._in_loop(lambda: _settle(self._connected, (flags.session_present, reason)))

        def on_disconnect(
            _: Client, __: Any, flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
        ) -> None:
            self._in_loop(lambda: _settle(self._disconnected, reason))

        def on_message(_: Client, __: Any, message: MQTTMessage) -> None:
            received = from_paho(message.topic, message)
            self._in_loop(lambda: self._messages.put_nowait(received))

        def on_subscribe(_: Client, __: Any, mid: int, reasons: list[ReasonCode], ___: Properties | None) -> None:
            self._in_loop(lambda: _settle(self._answer("subscribe", mid), reasons))

        def on_unsubscribe(_: Client, __: Any, mid: int, reasons: list[ReasonCode], ___: Properties | None) -> None:
            self._in_loop(lambda: _settle(self._answer("unsubscribe", mid), reasons))

        def on_publish(_: Client, __: Any, mid: int, reason: ReasonCode, ___: Properties) -> None:
            self._in_loop(lambda: _settle(self._answer("publish", mid), [reason]))

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_message = on_message
        client.on_subscribe = on_subscribe
        client.on_unsubscribe = on_unsubscribe
        client.on_publish = on_publish

    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        if self.is_five:
            options = SubscribeOptions(qos, noLocal=no_local)
            result, mid = self.library.subscribe(
                topic_filter, options=options, properties=subscribe_properties(identifier)
            )
        else:
            result, mid = self.library.subscribe(topic_filter, qos)
        return (await self._result("subscribe", result, mid))[0].value

    async def unsubscribe(self, topic_filter: str) -> None:
        result, mid = self.library.unsubscribe(topic_filter)
        await self._result("unsubscribe", result, mid)

    async def unsubscribe_reason(self, topic_filter: str) -> int:
        """Unsubscribe and return the reason code of the UNSUBACK (MQTT 5)."""
        result, mid = self.library.unsubscribe(topic_filter)
        return (await self._result("unsubscribe", result, mid))[0].value

    async def publish(self, message: Message) -> int | None:
        properties = publish_properties(message, PacketTypes.PUBLISH) if self.is_five else None
        info = self.library.publish(message.topic, message.payload, message.qos, message.retain, properties)
        return (await self._result("publish", info.rc, info.mid))[0].value

    async def next_message(self) -> Message:
        async with asyncio.timeout(TIMEOUT):
            return await self._messages.get()

    async def disconnect(self) -> None:
        self.library.disconnect()
        await self.close()

    async def kill(self) -> None:
        break_off(self.library)
        await self.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            if not self._disconnected.done() and client.is_connected():
                client.disconnect()
            async with asyncio.timeout(TIMEOUT):
                await asyncio.to_thread(client.loop_stop)

    async def disconnect_reason(self) -> int:
        async with asyncio.timeout(TIMEOUT):
            return (await self._disconnected).value

    @property
    def library(self) -> Client:
        """The library's own client object."""
        assert self._client is not None, "not connected"
        return self._client

    def _in_loop(self, action: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(action)

    def _answer(self, kind: str, mid: int) -> asyncio.Future[list[ReasonCode]]:
        return self._answers.setdefault((kind, mid), self._loop.create_future())

    async def _result(self, kind: str, result: MQTTErrorCode, mid: int | None) -> list[ReasonCode]:
        assert result == MQTTErrorCode.MQTT_ERR_SUCCESS and mid is not None, result
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._answer(kind, mid)
        finally:
            self._answers.pop((kind, mid), None)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]  # Paho leaves this class without annotations.


def break_off(client: Client) -> None:
    """Cut the connection below all that Paho knows of it."""
    connection = client.socket()
    # A WebSocket is one of its own, around the socket.
    connection = getattr(connection, "_socket", connection)
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)


def paho_transport(endpoint: Endpoint) -> Literal["tcp", "websockets", "unix"]:
    """What Paho and aiomqtt call the transport; they know TLS apart from it."""
    if endpoint.is_websocket:
        return "websockets"
    return "unix" if endpoint.scheme is Scheme.UNIX else "tcp"


def connect_properties(persistent: bool, topic_alias_maximum: int = 0) -> Properties:
    """Properties of a CONNECT."""
    properties = _properties(PacketTypes.CONNECT)
    if persistent:
        properties.SessionExpiryInterval = SESSION_EXPIRY_INTERVAL
    if topic_alias_maximum:
        properties.TopicAliasMaximum = topic_alias_maximum
    return properties


def subscribe_properties(identifier: int | None) -> Properties:
    """Properties of a SUBSCRIBE."""
    properties = _properties(PacketTypes.SUBSCRIBE)
    if identifier is not None:
        properties.SubscriptionIdentifier = identifier
    return properties


def publish_properties(message: Message, packet_type: int) -> Properties:
    """Properties of a PUBLISH or a Will."""
    properties = _properties(packet_type)
    named = {
        "ContentType": message.content_type,
        "ResponseTopic": message.response_topic,
        "CorrelationData": message.correlation_data,
        "MessageExpiryInterval": message.message_expiry_interval,
        "PayloadFormatIndicator": message.payload_format_indicator,
        "UserProperty": list(message.user_properties) or None,
        "TopicAlias": message.topic_alias,
    }
    for name, value in named.items():
        if value is not None:
            setattr(properties, name, value)
    return properties


def from_paho(topic: str, message: Any) -> Message:
    """Translate a message of Paho or of aiomqtt."""
    properties = getattr(message, "properties", None)

    def get(name: str, default: Any = None) -> Any:
        return getattr(properties, name, default)

    return Message(
        topic,
        message.payload,
        message.qos,
        bool(message.retain),
        content_type=get("ContentType"),
        response_topic=get("ResponseTopic"),
        correlation_data=get("CorrelationData"),
        message_expiry_interval=get("MessageExpiryInterval"),
        payload_format_indicator=get("PayloadFormatIndicator"),
        user_properties=tuple(get("UserProperty", ())),
        subscription_identifiers=tuple(get("SubscriptionIdentifier", ())),
    )
