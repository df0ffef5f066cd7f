"""What MQTT.js does beyond the common suite: it makes up and uses topic aliases by itself."""

from __future__ import annotations

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import Adapter, Message
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.interop.matrix import clients
from tests.support.raw import RawClient


@clients(of=(MqttJsAdapter,), versions=(ProtocolVersion.V5,))
async def test_automatic_topic_aliases(client: Adapter, peer: RawClient) -> None:
    assert isinstance(client, MqttJsAdapter)
    await peer.subscribe("auto/#", qos=1)
    client.more_options = {"autoAssignTopicAlias": True}
    await client.connect()
    topics = [f"auto/{number}" for number in (1, 2, 1, 2, 3, 1)]
    for topic in topics:
        await client.publish(Message(topic, topic.encode(), 1))
    received = [await peer.expect_publish() for _ in topics]
    assert [(publish.topic, publish.payload) for publish in received] == [(topic, topic.encode()) for topic in topics]
