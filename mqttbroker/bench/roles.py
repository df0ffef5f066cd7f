"""Those who publish, those who subscribe, and those who do not keep up."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from mqttbroker.bench.client import BUFFER, Client
from mqttbroker.bench.latency import Latencies
from mqttbroker.bench.links import Link
from mqttbroker.bench.packets import PUBACK, PUBCOMP, PUBREC, PUBREL, STAMP, Template, acknowledgement, version_of
from mqttbroker.bench.scenario import BenchError, Scenario
from mqttbroker.protocol import TEXT, Packet, SubAck, Subscribe, SubscriptionRequest

__all__ = ["Budget", "Publisher", "SlowReader", "Subscriber", "WithoutReturns"]

RING: Final = 1_048_576
"""Bytes of packets that a publisher may keep ready."""
SMALL: Final = 4_096
"""Bytes up to which the two pieces of a packet are sent as one."""
FILTERS_AT_ONCE: Final = 100
"""Topics of one SUBSCRIBE."""


class Budget:
    """Messages that may still be sent, by all publishers together."""

    def __init__(self, left: int | None = None) -> None:
        self.left = 1 << 62 if left is None else left


class Publisher(Client):
    """Sends as many messages as its window allows."""

    def __init__(self, link: Link, scenario: Scenario, client_id: str, topic: str, budget: Budget) -> None:
        super().__init__(link, version_of(scenario), client_id)
        self.qos = scenario.qos
        self.window = scenario.window
        self.budget = budget
        self.sent = self.acknowledged_count = self.returned_count = 0
        self.template = Template(topic, scenario, self.framed)
        self.release = acknowledgement(PUBREL, self.framed)
        self._ring: memoryview | None = None
        self._ring_count = self._next = 0

    def prepare(self) -> None:
        """Make the packets, when it is known what the broker takes."""
        if self.qos:
            self.window = min(self.window, self.receive_maximum)
        # Enough that an identifier is free when it is its turn again. At QoS 0 all packets are the same.
        count = max(self.window * 2, 500) if self.qos else self.window
        size = self.template.framed_size
        if count * size <= RING:
            self._ring_count = count
            self._ring = memoryview(self.template.ring(count))

    def returned(self, count: int) -> None:
        """So many messages have been delivered: send as many again."""
        if self.qos:
            # A message is under way until it is both delivered and acknowledged.
            self.returned_count += count
            count = min(self.returned_count, self.acknowledged_count) + self.window - self.sent
        if count > 0:
            self.send(count)

    def send(self, count: int) -> None:
        """Send so many messages, as long as there are any."""
        budget = self.budget
        count = min(count, budget.left)
        if count <= 0:
            return
        budget.left -= count
        self.sent += count
        ring, size = self._ring, self.template.framed_size
        if ring is None:
            for _ in range(count):
                self.send_one()
            return
        if not self.qos:
            self.write(ring[: count * size])
            return
        begin, all_of_them = self._next, self._ring_count
        while count:
            part = min(count, all_of_them - begin)
            self.write(ring[begin * size : (begin + part) * size])
            begin = (begin + part) % all_of_them
            count -= part
        self._next = begin

    def send_one(self, stamp: int | None = None) -> None:
        """Send one message, made now; ``stamp`` is when it was due."""
        self._next = self._next % 65_535 + 1
        head, body = self.template.make(self._next, stamp)
        if len(body) <= SMALL:
            self.write(head + body)
        else:
            self.write(head)
            self.write(body)

    def send_due(self, stamp: int) -> None:
        """Send one message of a fixed rate."""
        if self.budget.left > 0:
            self.budget.left -= 1
            self.sent += 1
            self.send_one(stamp)

    def acknowledged(self, first: int, data: bytes | bytearray, at: int, count: int) -> None:
        if first == PUBREC:
            self.write(_answers(self.release, data, at + 2, 4, count))
        elif first in (PUBACK, PUBCOMP):
            self.acknowledged_count += count
            self.returned(0)


class WithoutReturns(Publisher):
    """Sends only what it is told to: at a fixed rate, or while those that it publishes to are away."""

    def returned(self, count: int) -> None:
        self.returned_count += count


class Subscriber(Client):
    """Counts messages, acknowledges them, and lets publishers send on."""

    def __init__(
        self, link: Link, scenario: Scenario, client_id: str, topics: list[str], latencies: Latencies | None
    ) -> None:
        super().__init__(link, version_of(scenario), client_id)
        self.qos = scenario.qos
        self.topics = topics
        self.publishers: list[Publisher] = []
        """Those that send on when it has got messages."""
        self.received = 0
        self.latencies = latencies
        """Where the times are counted, if there are any in the messages."""
        template = Template(topics[0], scenario, False)
        self.packet_size = template.size
        self.first, self.second = template.make(1)[0][:2]
        self._id_at = template.id_at
        self._stamp_at = template.stamp_at
        self._acknowledgement = acknowledgement(PUBACK if scenario.qos == 1 else PUBREC, self.framed)
        self._complete = acknowledgement(PUBCOMP, self.framed)
        self._turn = 0

    def subscribe(self) -> None:
        """Subscribe. Raise :class:`BenchError` where the broker refuses, or grants less."""
        for begin in range(0, len(self.topics), FILTERS_AT_ONCE):
            some = self.topics[begin : begin + FILTERS_AT_ONCE]
            answer = self.ask(Subscribe(1, tuple(SubscriptionRequest(each, self.qos) for each in some)), SubAck)
            for topic, reason in zip(some, answer.reason_codes, strict=False):
                if reason >= 0x80:
                    raise BenchError(f"the broker refused the subscription to {topic}: {TEXT[reason]}")
                if reason < self.qos:
                    raise BenchError(f"the broker grants only QoS {int(reason)} for {topic}")

    def published(self, data: bytes | bytearray, at: int, count: int, size: int) -> None:
        self.received += count
        if self.qos:
            self.write(_answers(self._acknowledgement, data, at + self._id_at, size, count))
        if self.latencies is not None:
            now = time.monotonic_ns()
            for place in range(at + self._stamp_at, at + count * size, size):
                self.latencies.add(now - STAMP.unpack_from(data, place)[0])
        publishers = self.publishers
        if len(publishers) == 1:
            publishers[0].returned(count)
        elif publishers:
            self._share_out(count)

    def _share_out(self, count: int) -> None:
        """Whose message it was, nobody looks: publishers take turns."""
        number = len(self.publishers)
        each, more = divmod(count, number)
        if each:
            for place, publisher in enumerate(self.publishers):
                publisher.returned(each + ((place - self._turn) % number < more))
        else:
            for place in range(self._turn, self._turn + more):
                self.publishers[place % number].returned(1)
        self._turn = (self._turn + more) % number

    def acknowledged(self, first: int, data: bytes | bytearray, at: int, count: int) -> None:
        if first == PUBREL:
            self.write(_answers(self._complete, data, at + 2, 4, count))


class SlowReader(Subscriber):
    """Subscribes, and reads so many bytes a second or none; it acknowledges nothing."""

    def start_slowly(self, bytes_per_second: int) -> None:
        """Begin not to read."""
        assert self._socket is not None
        self._socket.setblocking(False)
        self._rate = bytes_per_second
        self._due = 0.0

    def read_slowly(self, seconds: float) -> None:
        """Read what may be read in this time."""
        self._due += self._rate * seconds
        if self._due >= 1 and self._socket is not None:
            with suppress(OSError):
                self._due -= len(self._socket.recv(min(int(self._due), BUFFER)))

    def other(self, packet: Packet) -> None:
        """What comes to it is of no interest."""


def _answers(answer: bytes, data: bytes | bytearray, at: int, size: int, count: int) -> bytes | bytearray:
    """Acknowledgements of packets of that size, whose identifiers are from ``at`` on."""
    if count == 1:
        return answer[:-2] + data[at : at + 2]
    each = len(answer)
    answers = bytearray(answer * count)
    stop = at + (count - 1) * size + 1
    answers[each - 2 :: each] = data[at:stop:size]
    answers[each - 1 :: each] = data[at + 1 : stop + 1 : size]
    return answers
