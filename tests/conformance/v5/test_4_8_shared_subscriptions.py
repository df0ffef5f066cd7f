"""MQTT 5.0 section 4.8: shared subscriptions."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, PubAck, PubComp, Publish, PubRec, PubRel, ReasonCode
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import KEPT
from tests.conformance.wire import cut
from tests.support.raw import RawClient

INVALID = ReasonCode.TOPIC_FILTER_INVALID
SHARED = "$share/g/a"


async def payloads(client: RawClient) -> list[bytes]:
    """The messages that a client has got, acknowledged."""
    await client.ping()
    found = [each for each in await client.drain() if isinstance(each, Publish)]
    for each in found:
        await client.ack(each)
    return [each.payload for each in found]


@pytest.mark.normative("MQTT-4.8.2-1", "MQTT-4.8.2-2")
async def test_the_grammar_of_shared_filters(connect: Connector) -> None:
    client = await connect()
    for bad in (
        "$share", "$share/", "$share//", "$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/#/a", "$share/#",
        "$share/+", "$share/a+/t", "$share/a#/t", "$share/+a/t", "$share/g/a#", "$share/g/#/a", "$share/g/a+",
    ):  # fmt: skip
        assert (await client.subscribe(bad, qos=1)).reason_codes == (INVALID,), bad
        assert (await client.unsubscribe(bad)).reason_codes == (INVALID,), bad
    for good in ("$share/g/a", "$share/g//", "$share/g//a", "$share/g/#", "$share/g/+/a", "$share/ /a", "$share/$/a"):
        assert (await client.subscribe(good, qos=1)).reason_codes == (1,), good
        assert (await client.unsubscribe(good)).reason_codes == (0,), good


@pytest.mark.normative("MQTT-4.8.2-1")
async def test_only_share_itself_makes_a_shared_subscription(connect: Connector, broker: RunningBroker) -> None:
    one, two = await connect(), await connect()
    for prefix in ("$shared", "$Share", "$SHARE", "share", "/$share", "$share2"):
        for client in (one, two):
            assert (await client.subscribe(f"{prefix}/g/a")).reason_codes == (0,)
        broker.publish("a", b"no")
        broker.publish(f"{prefix}/g/a", b"yes")
        assert await payloads(one) == await payloads(two) == [b"yes"]


@pytest.mark.normative("MQTT-4.8.2-2")
async def test_one_member_of_each_group_gets_a_message(connect: Connector) -> None:
    publisher = await connect()
    groups: dict[str, list[RawClient]] = {}
    for topic_filter in ("$share/g/a/b", "$share/h/a/b", "$share/g/a/+", "$share/g/#"):
        groups[topic_filter] = [await connect() for _ in range(3)]
        for client in groups[topic_filter]:
            await client.subscribe(topic_filter, qos=1)
    alone = await connect()
    await alone.subscribe("a/b", qos=1)
    for number in range(30):
        await publisher.publish("a/b", b"%d" % number, qos=number % 3)
    everything = [b"%d" % number for number in range(30)]
    assert await payloads(alone) == everything
    for members in groups.values():
        shares = [await payloads(client) for client in members]
        assert sorted((each for share in shares for each in share), key=int) == everything
        assert all(share == sorted(share, key=int) and share for share in shares)


@pytest.mark.normative("MQTT-4.8.2-2")
async def test_a_member_may_be_subscribed_by_itself_as_well(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a/#", qos=2, no_local=True, properties=Properties(subscription_identifiers=(1,)))
    await client.subscribe("$share/g/a/+", qos=1, properties=Properties(subscription_identifiers=(2,)))
    await publisher.publish("a/b", b"x", qos=2)
    found = [await client.expect_publish() for _ in range(2)]
    assert sorted((each.properties.subscription_identifiers, each.qos) for each in found) == [((1,), 2), ((2,), 1)]
    await client.publish("a/b", b"own", qos=2)
    assert (await client.expect_publish()).properties.subscription_identifiers == (2,)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.8.2-3")
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 1, 1)], ids=str)
async def test_the_qos_is_that_of_the_chosen_members_subscription(connect: Connector, order: tuple[int, ...]) -> None:
    publisher = await connect()
    members = [(granted, await connect()) for granted in order]
    for granted, client in members:
        assert (await client.subscribe(SHARED, qos=granted)).reason_codes == (granted,)
    for published in (0, 1, 2):
        for _ in range(6):
            await publisher.publish("a", b"x", qos=published)
        total = 0
        for granted, client in members:
            await client.ping()
            for each in await client.drain():
                if isinstance(each, Publish):
                    assert each.qos == min(granted, published)
                    await client.ack(each)
                    total += 1
        assert total == 6
    # A member that subscribes again gets what it asks for now.
    for granted, client in members:
        await client.subscribe(SHARED, qos=2 - granted)
    for _ in range(6):
        await publisher.publish("a", b"x", qos=2)
    for granted, client in members:
        assert {each.qos for each in await client.drain() if isinstance(each, Publish)} == {2 - granted}


async def chosen(connect: Connector, qos: int) -> tuple[RawClient, RawClient, RawClient, Publish]:
    """A publisher, the member with a delivery that is not acknowledged, another member, and the delivery."""
    publisher = await connect()
    one, two = await connect("one", properties=KEPT), await connect("two", properties=KEPT)
    await one.subscribe(SHARED, qos=2)
    await two.subscribe(SHARED, qos=2)
    await publisher.publish("a", b"x", qos=qos)
    for member, other in ((one, two), (two, one)):
        got = await member.drain()
        if got:
            assert len(got) == 1 and isinstance(got[0], Publish)
            await other.expect_silence()
            return publisher, member, other, got[0]
    raise AssertionError("nobody got the message")


@pytest.mark.normative("MQTT-4.8.2-4")
@pytest.mark.parametrize("reached", ["PUBLISH", "PUBREC"])
@pytest.mark.parametrize("how", ["cut", "DISCONNECT"])
async def test_a_delivery_of_qos_2_is_completed_to_the_same_client(connect: Connector, reached: str, how: str) -> None:
    _, member, other, delivery = await chosen(connect, 2)
    number = delivery.packet_id or 0
    if reached == "PUBREC":
        member.send(PubRec(number))
        await member.expect(PubRel)
    await (cut(member) if how == "cut" else member.disconnect())
    await other.expect_silence()
    member = await connect(member.client_id, clean_start=False, properties=KEPT)
    if reached == "PUBLISH":
        again = await member.expect(Publish)
        assert (again.packet_id, again.payload, again.dup) == (number, b"x", True)
        member.send(PubRec(number))
    assert await member.expect(PubRel) == PubRel(number)
    member.send(PubComp(number))
    await member.expect_silence()
    await other.expect_silence()


@pytest.mark.normative("MQTT-4.8.2-5")
@pytest.mark.parametrize("reached", ["PUBLISH", "PUBREC"])
@pytest.mark.parametrize("how", ["expired", "clean start", "expiry 0"])
async def test_a_delivery_of_qos_2_ends_with_its_session(
    connect: Connector, broker: RunningBroker, reached: str, how: str
) -> None:
    _, member, other, delivery = await chosen(connect, 2)
    if reached == "PUBREC":
        member.send(PubRec(delivery.packet_id or 0))
        await member.expect(PubRel)
    if how == "expired":
        await cut(member)
        broker.advance(3_602)
    elif how == "clean start":
        await cut(member)
        await connect(member.client_id, clean_start=True)
    else:
        await member.disconnect(properties=Properties(session_expiry_interval=0))
    await other.expect_silence()


@pytest.mark.normative("MQTT-4.8.2-6")
@pytest.mark.parametrize("qos", [1, 2], ids=["PUBACK", "PUBREC"])
@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x97, 0x99], ids="0x{:02x}".format)
async def test_a_refused_message_goes_to_nobody_else(connect: Connector, qos: int, code: int) -> None:
    publisher, member, other, delivery = await chosen(connect, qos)
    refusal = PubAck if qos == 1 else PubRec
    member.send(refusal(delivery.packet_id or 0, ReasonCode(code)))
    await member.expect_silence()
    await other.expect_silence()
    await cut(member)
    member = await connect(member.client_id, clean_start=False, properties=KEPT)
    await member.expect_silence()
    await member.disconnect(properties=Properties(session_expiry_interval=0))
    await other.expect_silence()
    await publisher.publish("a", b"next", qos=qos)
    assert await payloads(other) == [b"next"]


@pytest.mark.normative("MQTT-4.8.2-4", "MQTT-4.8.2-5")
async def test_a_message_of_qos_1_goes_to_another_member_when_its_session_ends(
    connect: Connector, broker: RunningBroker
) -> None:
    # Section 4.8.2 asks for this with SHOULD. While the session lasts, the delivery is that member's.
    _, member, other, delivery = await chosen(connect, 1)
    await cut(member)
    await other.expect_silence()
    broker.advance(3_602)
    handed_over = await other.expect_publish()
    assert (handed_over.payload, handed_over.qos, handed_over.dup) == (delivery.payload, 1, False)
    await other.expect_silence()


@pytest.mark.normative("MQTT-4.5.0-1", "MQTT-4.8.2-3")
async def test_members_that_are_away_keep_the_groups_messages(connect: Connector) -> None:
    publisher = await connect()
    for name in ("one", "two"):
        client = await connect(name, properties=KEPT)
        await client.subscribe(SHARED, qos=1)
        await client.disconnect()
    for number in range(10):
        await publisher.publish("a", b"%d" % number, qos=1)
    found = [await payloads(await connect(name, clean_start=False, properties=KEPT)) for name in ("one", "two")]
    assert sorted((each for share in found for each in share), key=int) == [b"%d" % number for number in range(10)]
    # While one is there, nothing is sent to the one that is away.
    await cut(await connect("two", clean_start=False, properties=KEPT))
    one = await connect("one", clean_start=False, properties=KEPT)
    for number in range(10):
        await publisher.publish("a", b"%d" % number, qos=1)
    assert await payloads(one) == [b"%d" % number for number in range(10)]


@pytest.mark.normative("MQTT-4.8.2-5")
async def test_an_expired_message_is_handed_to_nobody(connect: Connector, broker: RunningBroker) -> None:
    publisher, other = await connect(), await connect("other")
    away = await connect("away", properties=Properties(session_expiry_interval=100))
    await away.subscribe(SHARED, qos=1)
    await away.disconnect()
    await publisher.publish("a", b"short", qos=1, properties=Properties(message_expiry_interval=10))
    await publisher.publish("a", b"long", qos=1, properties=Properties(message_expiry_interval=1_000))
    await other.subscribe(SHARED, qos=1)
    broker.advance(102)
    # [MQTT-3.3.2-5] What has expired in the queue of a session is not sent when that session ends.
    assert await payloads(other) == [b"long"]
