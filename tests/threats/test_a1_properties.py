"""Property lists that lie about their length, hold what they may not, or hold far too much of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mqttbroker.protocol import (
    PROPERTIES,
    ConnAck,
    Properties,
    PropertyContext,
    PropertyDefinition,
    ReasonCode,
    WireType,
)
from mqttbroker.testing.running import RunningBroker
from tests.conformance.wire import connect_packet, packet, prefixed, varint
from tests.support.raw import RawClient
from tests.threats.attack import MALFORMED, MALFORMED_OR_VIOLATION, SECRET, VIOLATION, Attack, ended
from tests.threats.sans_io import calls_while_feeding

CONTEXTS = (
    PropertyContext.CONNECT,
    PropertyContext.WILL,
    PropertyContext.PUBLISH,
    PropertyContext.PUBACK,
    PropertyContext.PUBREC,
    PropertyContext.PUBREL,
    PropertyContext.PUBCOMP,
    PropertyContext.SUBSCRIBE,
    PropertyContext.UNSUBSCRIBE,
    PropertyContext.DISCONNECT,
    PropertyContext.AUTH,
)
"""Where a client sends a property list."""

EACH_CONTEXT = pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.name)

_HEADERS: dict[PropertyContext, tuple[int, bytes, bytes]] = {
    PropertyContext.PUBLISH: (0x30, prefixed(b"a"), SECRET),
    PropertyContext.PUBACK: (0x40, b"\x00\x01\x00", b""),
    PropertyContext.PUBREC: (0x50, b"\x00\x01\x00", b""),
    PropertyContext.PUBREL: (0x62, b"\x00\x01\x00", b""),
    PropertyContext.PUBCOMP: (0x70, b"\x00\x01\x00", b""),
    PropertyContext.SUBSCRIBE: (0x82, b"\x00\x01", prefixed(b"b") + b"\x00"),
    PropertyContext.UNSUBSCRIBE: (0xA2, b"\x00\x01", prefixed(b"b")),
    PropertyContext.DISCONNECT: (0xE0, b"\x04", b""),
    PropertyContext.AUTH: (0xF0, b"\x19", b""),
}
"""First byte, what is before the property list, and what is behind it."""


def with_list(context: PropertyContext, listed: bytes) -> bytes:
    """A packet with these bytes in the place of its property list, length included."""
    if context is PropertyContext.CONNECT:
        return packet(0x10, prefixed(b"MQTT") + b"\x05\x02\x00\x00" + listed + prefixed(b""))
    if context is PropertyContext.WILL:
        return connect_packet(prefixed(b""), listed + prefixed(b"a") + prefixed(SECRET), flags=0x06)
    first, before, behind = _HEADERS[context]
    return packet(first, before + listed + behind)


def counted(content: bytes) -> bytes:
    """A property list that says how long it is."""
    return varint(len(content)) + content


@asynccontextmanager
async def ready(attack: Attack, context: PropertyContext) -> AsyncIterator[RawClient]:
    """A client that may send a packet of this context now."""
    if context in (PropertyContext.CONNECT, PropertyContext.WILL):
        async with attack.open() as client:
            yield client
    else:
        async with attack.connected(properties=Properties(session_expiry_interval=1)) as client:
            yield client


class TestLengths:
    @EACH_CONTEXT
    async def test_cve_2026_21888_nanomq_property_length(
        self, attack: Attack, overhearing: RawClient, context: PropertyContext
    ) -> None:
        """A property length of five bytes made NanoMQ up to 0.24.6 read past its buffer."""
        user = b"\x26" + prefixed(b"name") + prefixed(b"value")
        rest = len(with_list(context, b"")) - 2
        lists = {
            "four bytes, the largest": b"\xff\xff\xff\x7f" + user,
            "four bytes, not the shortest": b"\x8e\x80\x80\x00" + user,
            "five bytes": b"\x8e\x80\x80\x80\x00" + user,
            "five bytes, a large number": b"\xff\xff\xff\xff\x7f" + user,
            "ten bytes": b"\x80" * 9 + b"\x01" + user,
            "larger than the packet": varint(len(user) + rest + 1) + user,
            "one less than there is": varint(len(user) - 1) + user,
            "in the middle of a name": varint(4) + user,
            "only the identifier": varint(1) + user,
        }
        for listed in lists.values():
            async with ready(attack, context) as client:
                await attack.rejected(client, with_list(context, listed), *MALFORMED_OR_VIOLATION)
        await overhearing.expect_silence()

    @EACH_CONTEXT
    async def test_cve_2026_21888_nanomq_no_end_of_the_property_length(
        self, attack: Attack, overhearing: RawClient, context: PropertyContext
    ) -> None:
        """As above: the packet ends inside of the property length, or at once behind it."""
        whole = with_list(context, b"\x00")
        behind = _HEADERS[context][2] if context in _HEADERS else prefixed(b"")
        if context is PropertyContext.WILL:
            behind = prefixed(b"a") + prefixed(SECRET)
        body = whole[2 : len(whole) - len(behind) - 1]
        for listed in (b"\x80", b"\xff\xff", b"\xff\xff\xff", b"\xff\xff\xff\xff", b"\x01", b"\xff\xff\xff\x7f"):
            async with ready(attack, context) as client:
                await attack.rejected(client, packet(whole[0], body + listed), MALFORMED)
        await overhearing.expect_silence()


_VALUES: dict[WireType, bytes] = {
    WireType.BYTE: b"\x01",
    WireType.TWO_BYTE_INTEGER: b"\x00\x01",
    WireType.FOUR_BYTE_INTEGER: b"\x00\x00\x01\x00",
    WireType.VARIABLE_BYTE_INTEGER: b"\x01",
    WireType.BINARY_DATA: prefixed(b"x"),
    WireType.UTF8_STRING: prefixed(b"x"),
    WireType.UTF8_STRING_PAIR: prefixed(b"x") + prefixed(b"y"),
}

OTHER_ANSWERS: dict[tuple[PropertyContext, int], tuple[ReasonCode, ...]] = {
    (PropertyContext.CONNECT, 0x15): (ReasonCode.BAD_AUTHENTICATION_METHOD,),
    (PropertyContext.CONNECT, 0x16): (VIOLATION,),
    # The table has Subscription Identifier for the messages of a server.
    (PropertyContext.PUBLISH, 0x0B): (VIOLATION,),
}
"""Properties that the standard's table has for a packet, and that are refused there all the same."""


class TestContents:
    @EACH_CONTEXT
    async def test_vernemq_1883_property_that_does_not_belong(
        self, attack: Attack, overhearing: RawClient, context: PropertyContext
    ) -> None:
        """VerneMQ forwarded a PUBLISH with properties of other packets, and the subscribers' libraries threw."""
        refused = [row for row in PROPERTIES.values() if context not in row.contexts]
        unknown = [0x00, 0x04, 0x10, 0x2B, 0x7F, 0xFF]
        for listed in (*map(once, refused), *(bytes((identifier, 0x01)) for identifier in unknown)):
            async with ready(attack, context) as client:
                await attack.rejected(client, with_list(context, counted(listed)), *MALFORMED_OR_VIOLATION)
        await overhearing.expect_silence()

    @EACH_CONTEXT
    async def test_vernemq_1883_property_twice(
        self, attack: Attack, overhearing: RawClient, context: PropertyContext
    ) -> None:
        """As above, with a property that may occur once and occurs twice."""
        for row in PROPERTIES.values():
            if context in row.contexts and context not in row.repeatable:
                async with ready(attack, context) as client:
                    await attack.rejected(client, with_list(context, counted(once(row) * 2)), VIOLATION)
        await overhearing.expect_silence()

    @pytest.mark.parametrize("context", CONTEXTS[:-1], ids=lambda context: context.name)
    async def test_vernemq_1883_property_that_belongs(
        self, attack: Attack, overhearing: RawClient, context: PropertyContext
    ) -> None:
        """As above, the other way round: what may be sent is accepted, and only a PUBLISH is forwarded.

        AUTH is left out: nobody has asked for one.
        """
        for row in PROPERTIES.values():
            if context not in row.contexts:
                continue
            times = 2 if context in row.repeatable else 1
            data = with_list(context, counted(once(row) * times))
            reasons = OTHER_ANSWERS.get((context, row.identifier), ())
            async with ready(attack, context) as client:
                if reasons:
                    client.send_bytes(data)
                    await ended(client, *reasons)
                    assert len(attack.lines(client)) == 1
                    continue
                client.send_bytes(data)
                if context is PropertyContext.DISCONNECT:
                    assert await client.expect_closed() == []
                else:
                    answers = await client.drain()
                    accepted = [each.reason_code == 0 for each in answers if isinstance(each, ConnAck)]
                    assert accepted == [True] * (context in (PropertyContext.CONNECT, PropertyContext.WILL))
                    if context is PropertyContext.WILL:
                        client.send_bytes(b"\xe0\x00")
                        await client.expect_closed()
            if context is PropertyContext.PUBLISH:
                assert (await overhearing.expect_publish()).payload == SECRET
        await overhearing.expect_silence()


def once(row: PropertyDefinition) -> bytes:
    """One property with a legal value."""
    return varint(row.identifier) + _VALUES[row.wire_type]


EMPTY = b"\x26" + prefixed(b"") + prefixed(b"")
"""The smallest User Property: five bytes."""


class TestManyProperties:
    async def test_cve_2021_41039_mosquitto_many_user_properties(self, attack: Attack, overhearing: RawClient) -> None:
        """A CONNECT with tens of thousands of User Properties kept Mosquitto before 2.0.12 busy for minutes."""
        for context in (PropertyContext.CONNECT, PropertyContext.WILL, PropertyContext.PUBLISH):
            # 256 are taken by default. As many as fit into what may be sent before authentication.
            for count in (257, 52_000):
                async with ready(attack, context) as client:
                    data = with_list(context, counted(EMPTY * count))
                    await attack.rejected(client, data, ReasonCode.QUOTA_EXCEEDED)
            async with ready(attack, context) as client:
                client.send_bytes(with_list(context, counted(EMPTY * 256)))
                await client.ping()
                await client.disconnect()
        received = await overhearing.expect_publish()
        assert received.properties.user_properties == (("", ""),) * 256
        async with attack.open() as client:
            data = with_list(PropertyContext.CONNECT, counted(EMPTY * 60_000))
            await attack.rejected(client, data, ReasonCode.PACKET_TOO_LARGE)

    @pytest.mark.parametrize("context", [PropertyContext.CONNECT, PropertyContext.WILL], ids=lambda each: each.name)
    def test_cve_2021_41039_mosquitto_work_is_bounded(self, context: PropertyContext) -> None:
        """As above: what is over the limit is not even read, and where it is allowed, the work is linear."""

        def work(count: int, most: int = 256) -> int:
            data = with_list(context, counted(EMPTY * count))
            return calls_while_feeding([data], alive=count <= most, max_user_properties=most)

        assert work(50_000) < 1.1 * work(1_000) < 20_000
        assert work(10_000, 65_535) < 2.1 * work(5_000, 65_535)

    async def test_cve_2026_44248_netty_size_limit_before_properties(
        self, attack: Attack, overhearing: RawClient
    ) -> None:
        """Netty buffered a property list, and read it from its start at each piece, before its size was limited."""
        listed = b"\xff\xff\xff\x6f" + EMPTY
        async with attack.connected() as client:
            data = b"\x30\xff\xff\xff\x7f" + prefixed(b"a") + listed
            for byte in data[:5]:
                client.send_bytes(bytes((byte,)))
            await ended(client, ReasonCode.PACKET_TOO_LARGE)
            attack.failure(client, ReasonCode.PACKET_TOO_LARGE)
        async with attack.open() as client:
            client.send_bytes(b"\x10\xff\xff\xff\x7f" + prefixed(b"MQTT") + b"\x05\x02\x00\x00" + listed)
            assert await client.expect_closed() == []
            attack.failure(client, ReasonCode.PACKET_TOO_LARGE)
        await overhearing.expect_silence()

    def test_cve_2026_44248_netty_drip(self) -> None:
        """As above, below the limit and in pieces of one byte: the list is read once, when it is whole."""

        def work(count: int, size: int) -> int:
            data = with_list(PropertyContext.PUBLISH, counted(EMPTY * count))
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            return calls_while_feeding([connect_packet(), *pieces], max_user_properties=65_535)

        whole, drip = work(2_000, 1 << 20), work(2_000, 1)
        # Each arrival costs the same few calls, however much has come before.
        assert drip - whole < 10 * 5 * 2_000
        assert work(4_000, 1) < 2.1 * drip

    @pytest.mark.parametrize("broker", [{"max_packet_size": 1_024, "max_connect_size": 512}], indirect=True)
    async def test_cve_2026_44248_netty_size_limit_is_exact(self, broker: RunningBroker, attack: Attack) -> None:
        """As above: a packet of the announced size is taken, and one byte more is not, however it is cut."""

        def publish(size: int) -> bytes:
            return packet(0x30, prefixed(b"a") + b"\x00" + bytes(size - 7))

        assert len(publish(1_024)) == 1_024
        for cut in (1, 2, 3, 500, 1_023):
            async with attack.connected() as client:
                client.send_bytes(publish(1_024)[:cut])
                await client.flush()
                client.send_bytes(publish(1_024)[cut:])
                await client.ping()
                client.send_bytes(publish(1_025)[:cut])
                await client.flush()
                await attack.rejected(client, publish(1_025)[cut:], ReasonCode.PACKET_TOO_LARGE)
