"""Wills, sessions and subscriptions of each client, in every version of the protocol."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish
from tests.interop.adapter import Adapter, Feature, Message
from tests.interop.matrix import clients
from tests.support.raw import RawClient

TOPIC = "interop/Zähler/1"

all_qos = pytest.mark.parametrize("qos", [0, 1, 2], ids=lambda qos: f"qos{qos}")
acknowledged_qos = pytest.mark.parametrize("qos", [1, 2], ids=lambda qos: f"qos{qos}")


class TestWill:
    """Section 3.1.2.5."""

    @clients()
    @all_qos
    async def test_loss_publishes_the_will(self, client: Adapter, peer: RawClient, qos: int) -> None:
        await peer.subscribe("will/#", qos=2)
        await client.connect(will=Message("will/client", b"lost", qos))
        await client.subscribe(TOPIC)
        await client.kill()
        received = await peer.expect_publish()
        assert (received.topic, received.payload, received.qos) == ("will/client", b"lost", qos)

    @clients()
    async def test_will_is_retained(self, client: Adapter, peer: RawClient) -> None:
        await peer.subscribe("will")
        await client.connect(will=Message("will", b"lost", 1, retain=True))
        await client.subscribe(TOPIC)
        await client.kill()
        assert not (await peer.expect_publish()).retain
        await peer.subscribe("will")
        received = await peer.expect_publish()
        assert (received.payload, received.retain) == (b"lost", True)

    @clients(Feature.NORMAL_DISCONNECT)
    async def test_disconnect_removes_the_will(self, client: Adapter, peer: RawClient) -> None:
        await peer.subscribe("will", qos=1)
        await client.connect(will=Message("will", b"first", 1))
        await client.subscribe(TOPIC)
        await client.disconnect()
        await client.connect(will=Message("will", b"second", 1))
        await client.subscribe(TOPIC)
        await client.kill()
        assert (await peer.expect_publish()).payload == b"second"
        await peer.expect_silence()


class TestSession:
    """Section 4.1: what a client is owed after it was away."""

    @clients()
    @acknowledged_qos
    @pytest.mark.parametrize("end", ["disconnect", "kill"])
    async def test_resumed_session_delivers_what_was_missed(
        self, client: Adapter, peer: RawClient, qos: int, end: str
    ) -> None:
        present = await client.connect(persistent=True)
        assert present is False or not client.tells(Feature.SESSION_PRESENT)
        await client.subscribe(TOPIC, qos)
        await (client.disconnect() if end == "disconnect" else client.kill())
        for payload in (b"1", b"2", b"3"):
            await peer.publish(TOPIC, payload, qos=qos)
        present = await client.connect(persistent=True)
        assert present is True or not client.tells(Feature.SESSION_PRESENT)
        missed = [await client.next_message() for _ in range(3)]
        assert [(message.payload, message.qos) for message in missed] == [(b"1", qos), (b"2", qos), (b"3", qos)]
        await peer.publish(TOPIC, b"4", qos=qos)
        assert (await client.next_message()).payload == b"4"

    @clients(Feature.CONNECT_ALONE)
    async def test_clean_start_discards_the_session(self, client: Adapter, peer: RawClient) -> None:
        await client.connect(persistent=True)
        await client.subscribe(TOPIC, 1)
        await client.disconnect()
        present = await client.connect(persistent=False)
        assert present is False or not client.tells(Feature.SESSION_PRESENT)
        await peer.publish(TOPIC, b"nobody's", qos=1)
        await client.subscribe("interop/other", 1)
        await peer.publish("interop/other", b"seen", qos=1)
        assert (await client.next_message()).payload == b"seen"


class TestSubscriptions:
    """Sections 3.8 to 3.11 and 4.8.2."""

    @clients(Feature.UNSUBSCRIBE)
    async def test_unsubscribed_client_receives_nothing(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.subscribe("interop/a", 1)
        await client.subscribe("interop/b", 1)
        await client.unsubscribe("interop/a")
        await peer.publish("interop/a", b"unwanted", qos=1)
        await peer.publish("interop/b", b"wanted", qos=1)
        assert (await client.next_message()).payload == b"wanted"

    @clients()
    async def test_shared_subscription_divides_the_messages(
        self, client: Adapter, peer: RawClient, sender: RawClient
    ) -> None:
        await client.connect()
        await client.subscribe("$share/group/work/#", 1)
        await peer.subscribe("$share/group/work/#", qos=1)
        payloads = [str(number).encode() for number in range(10)]
        for payload in payloads:
            await sender.publish("work/item", payload, qos=1)
        theirs = [packet.payload for packet in await peer.drain() if isinstance(packet, Publish)]
        ours = [(await client.next_message()).payload for _ in range(len(payloads) - len(theirs))]
        assert theirs and ours
        assert sorted(theirs + ours) == payloads
