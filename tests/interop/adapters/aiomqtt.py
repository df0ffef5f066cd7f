"""aiomqtt: Paho driven by asyncio, without a thread."""

from __future__ import annotations

import asyncio
import contextlib

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import TIMEOUT, Adapter, Feature, Message
from tests.interop.adapters.paho import (
    break_off,
    connect_properties,
    from_paho,
    paho_transport,
    publish_properties,
    subscribe_properties,
)

__all__ = ["AiomqttAdapter"]


class AiomqttAdapter(Adapter):
    """One ``aiomqtt.Client`` for each connection."""

    name = "aiomqtt"
    versions = (ProtocolVersion.V311, ProtocolVersion.V5)
    features = frozenset(Feature) - {
        Feature.SESSION_PRESENT,
        Feature.PUBLISH_REASON,
        Feature.RECEIVES_TOPIC_ALIAS,
    }

    _client: aiomqtt.Client | None = None

    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        await self.close()
        client = aiomqtt.Client(
            self.endpoint.host,
            self.endpoint.port,
            identifier=self.client_id,
            transport=paho_transport(self.endpoint),
            tls_context=self.endpoint.tls_context(),
            bind_address=self.endpoint.source,
            protocol=aiomqtt.ProtocolVersion(self.version),
            timeout=TIMEOUT,
            will=self._will(will),
            clean_session=None if self.is_five else not persistent,
            clean_start=not persistent if self.is_five else MQTT_CLEAN_START_FIRST_ONLY,
            properties=connect_properties(persistent, topic_alias_maximum) if self.is_five else None,
        )
        await client.__aenter__()
        self._client = client
        return None

    def _will(self, will: Message | None) -> aiomqtt.Will | None:
        if will is None:
            return None
        properties = publish_properties(will, PacketTypes.WILLMESSAGE) if self.is_five else None
        return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, properties)

    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        if not self.is_five:
            granted = await self.library.subscribe(topic_filter, qos)
        else:
            options = SubscribeOptions(qos, noLocal=no_local)
            granted = await self.library.subscribe(
                topic_filter, options=options, properties=subscribe_properties(identifier)
            )
        first = granted[0]
        return first if isinstance(first, int) else first.value

    async def unsubscribe(self, topic_filter: str) -> None:
        await self.library.unsubscribe(topic_filter)

    async def publish(self, message: Message) -> int | None:
        properties = publish_properties(message, PacketTypes.PUBLISH) if self.is_five else None
        await self.library.publish(message.topic, message.payload, message.qos, message.retain, properties)
        return None

    async def next_message(self) -> Message:
        async with asyncio.timeout(TIMEOUT):
            message = await anext(self.library.messages)
        return from_paho(str(message.topic), message)

    async def disconnect(self) -> None:
        client, self._client = self.library, None
        await client.__aexit__(None, None, None)

    async def kill(self) -> None:
        break_off(self.library._client)
        with contextlib.suppress(aiomqtt.MqttError):
            await self.next_message()
        await self.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    async def disconnect_reason(self) -> int:
        try:
            await self.next_message()
        except aiomqtt.MqttError as error:
            cause = error.__cause__
            assert isinstance(cause, aiomqtt.MqttCodeError), cause
            code = cause.rc
            return code if isinstance(code, int) else code.value if code is not None else -1
        raise AssertionError("a message came instead of a DISCONNECT")

    @property
    def library(self) -> aiomqtt.Client:
        """The library's own client object."""
        assert self._client is not None, "not connected"
        return self._client
