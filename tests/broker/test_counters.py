"""What is counted is what clients have sent and got, whatever path it took."""

from __future__ import annotations

from mqttbroker.protocol import Packet, Properties, ProtocolVersion, Publish, encode
from tests.broker.support import V5, V311, Peer, World


class Tally:
    """What one client has got, counted at its end."""

    def __init__(self, peer: Peer) -> None:
        self.bytes = sum(map(len, peer.carrier.sent))
        packets = peer.take()
        messages = [each for each in packets if isinstance(each, Publish)]
        self.packets = len(packets)
        self.messages = len(messages)
        self.message_bytes = sum(len(encode(each, peer.version)) for each in messages)


def sent(world: World) -> tuple[int, int, int, int]:
    """Packets, messages, bytes of messages, and all bytes."""
    counters, limits = world.core.counters, world.core.session_limits
    return counters.packets_sent, limits.messages_sent, limits.message_bytes_sent, counters.bytes_sent


def received(world: World) -> tuple[int, int, int, int]:
    """Packets, messages, bytes of messages, and all bytes."""
    counters = world.core.counters
    messages = counters.messages_received
    return (
        messages + counters.other_packets_received,
        messages,
        counters.message_bytes_received,
        counters.bytes_received,
    )


def test_messages_of_every_kind() -> None:
    world = World()
    versions: list[ProtocolVersion] = [V311, V311, V5, V5]
    readers = [world.client(f"reader {number}", version) for number, version in enumerate(versions)]
    for reader in readers[:3]:
        reader.subscribe("#", qos=2)
    readers[3].subscribe("#", identifier=7)
    writers = [world.client("three", V311), world.client("five", V5)]
    for peer in (*readers, *writers):
        peer.take()
    before_in, before_out = received(world), sent(world)
    packets: list[Packet] = [
        *(Publish("t", b"x" * size) for size in (1, 200)),
        Publish("t", b"one", 1, packet_id=1),
        Publish("t", b"two", 2, packet_id=2),
        Publish("t", b"kept", retain=True),
        Publish("other", b"once"),
    ]
    for writer in writers:
        for _ in range(2):  # The second time the routes are known.
            for each in packets:
                writer.feed(encode(each, writer.version))
        writer.feed(b"".join(encode(packets[0], writer.version) for _ in range(5)))
    given = [encode(each, writer.version) for writer in writers for each in [*packets, *packets, *[packets[0]] * 5]]
    size = sum(map(len, given))
    assert [now - then for now, then in zip(received(world), before_in, strict=True)] == [
        len(given),
        len(given),
        size,
        size,
    ]
    tallies = [Tally(peer) for peer in (*readers, *writers)]
    assert [now - then for now, then in zip(sent(world), before_out, strict=True)] == [
        sum(each.packets for each in tallies),
        sum(each.messages for each in tallies),
        sum(each.message_bytes for each in tallies),
        sum(each.bytes for each in tallies),
    ]
    # The QoS 2 message that came twice under one packet identifier was routed once.
    assert sum(each.messages for each in tallies) == 4 * 2 * (6 + 6 - 1 + 5)


def test_with_properties_from_one_to_many() -> None:
    world = World()
    readers = [world.client(f"reader {number}", V5) for number in range(3)] + [world.client("old", V311)]
    for reader in readers:
        reader.subscribe("t")
        reader.take()
    before = sent(world)
    world.client("writer").publish("t", b"x", properties=Properties(content_type="text/plain"))
    tallies = [Tally(peer) for peer in readers]
    assert sent(world)[1] - before[1] == sum(each.messages for each in tallies) == 4
    assert sent(world)[2] - before[2] == sum(each.message_bytes for each in tallies)


def test_what_is_dropped_is_not_sent() -> None:
    world = World()
    reader, writer = world.client("reader", V311), world.client("writer", V311)
    reader.subscribe("t")
    writer.publish("t")
    reader.congest()
    for _ in range(3):
        writer.publish("t")
    assert world.core.session_limits.messages_sent == 1


def test_other_packets() -> None:
    world = World()
    peer = world.client()
    before = received(world)
    peer.feed(b"\xc0\x00\xc0\x00")
    assert [now - then for now, then in zip(received(world), before, strict=True)] == [2, 0, 0, 4]


def test_the_farewell_counts() -> None:
    world = World()
    peer = world.client()
    peer.take()
    before = sent(world)
    world.core.shut_down(world.now)
    size = sum(map(len, peer.carrier.sent))
    assert size
    assert [now - then for now, then in zip(sent(world), before, strict=True)] == [1, 0, 0, size]


def test_clients_that_connected_and_sessions_that_expired() -> None:
    world = World()
    world.client("short", expiry=5).lose()
    world.client("long", expiry=500).lose()
    world.advance(10)
    assert world.core.counters.clients_connected == 2
    assert world.core.counters.sessions_expired == 1
