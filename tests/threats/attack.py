"""Clients that misbehave, and what the broker may do about it: give a reason, end it, and log one line."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from mqttbroker.broker import Accepted, Credentials, Refused, VerdictCallback
from mqttbroker.protocol import (
    ConnAck,
    Disconnect,
    Packet,
    Properties,
    ProtocolVersion,
    ReasonCode,
    SubAck,
    Will,
)
from mqttbroker.server import Broker
from mqttbroker.testing.running import RunningBroker
from tests.support.raw import RawClient

__all__ = [
    "MALFORMED",
    "MALFORMED_OR_VIOLATION",
    "PASSWORD",
    "SECRET",
    "V5",
    "V31",
    "V311",
    "VIOLATION",
    "Attack",
    "Census",
    "Doorkeeper",
    "Growth",
    "Line",
    "census",
    "ended",
    "growth",
    "leaves_nothing",
    "restored",
    "subscribed",
]

V31 = ProtocolVersion.V31
V311 = ProtocolVersion.V311
V5 = ProtocolVersion.V5
MALFORMED = ReasonCode.MALFORMED_PACKET
VIOLATION = ReasonCode.PROTOCOL_ERROR
MALFORMED_OR_VIOLATION = (MALFORMED, VIOLATION)

SECRET = b"never-to-be-logged"
"""Put into payloads, so that a log line that shows one is found."""
PASSWORD = b"right:" + SECRET

Line = tuple[str, str, dict[str, object]]
"""Level, event and details of a line of the log."""


class Doorkeeper:
    """An authenticator that accepts any user name with :data:`PASSWORD`, and clients without one."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Look at the password, and at nothing else."""
        if credentials.username is None or credentials.password == PASSWORD:
            done(Accepted(credentials.username))
        else:
            done(Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "wrong password"))


def _log_everything(broker: Broker) -> None:
    """All attacks come from one address, and each test wants to see its own line."""
    broker.core.quiet_log.lines = sys.maxsize


class Attack:
    """The attacker's side of one test."""

    def __init__(self, broker: RunningBroker) -> None:
        self.broker: RunningBroker = broker
        broker.call(_log_everything)
        self._before: WeakKeyDictionary[RawClient, Line | None] = WeakKeyDictionary()
        """The last line of the log as a client came: ports are used again, so what is older is not about it."""

    @asynccontextmanager
    async def open(self, version: ProtocolVersion = V5) -> AsyncIterator[RawClient]:
        """A network connection on which nothing was sent."""
        client = RawClient(self.broker.host, self.broker.port, version=version)
        self._before[client] = self.broker.logged[-1] if self.broker.logged else None
        async with client:
            yield client

    @asynccontextmanager
    async def connected(
        self,
        version: ProtocolVersion = V5,
        client_id: str | None = None,
        *,
        clean_start: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
        properties: Properties | None = None,
    ) -> AsyncIterator[RawClient]:
        """A client that was accepted, as user ``mallory`` with the right password."""
        async with self.open(version) as client:
            connack = await client.connect(
                client_id,
                clean_start=clean_start,
                keep_alive=keep_alive,
                username="mallory",
                password=PASSWORD,
                will=will,
                properties=properties or Properties(),
            )
            assert connack.reason_code == ReasonCode.SUCCESS
            yield client

    async def accepted(self, *clients: RawClient) -> None:
        """Wait until the broker knows of these network connections: the operating system completes them earlier."""
        ports = {f":{client.local_port}" for client in clients}

        def known(running: Broker) -> bool:
            addresses = [connection.identity.address for connection in running.core.connections]
            return ports <= {f":{address.rpartition(':')[2]}" for address in addresses}

        async with asyncio.timeout(5):
            while not self.broker.call(known):
                await asyncio.sleep(0)

    async def rejected(self, client: RawClient, data: bytes, *reasons: ReasonCode) -> None:
        """These bytes end the connection for one of these reasons, and one line of the log says so."""
        client.send_bytes(data)
        await ended(client, *reasons)
        self.failure(client, *reasons)

    def lines(self, client: RawClient) -> list[Line]:
        """What the log has about this connection, other than that it came."""
        port = f":{client.local_port}"
        lines: list[Line] = []
        for line in reversed(self.broker.logged):
            if line is self._before.get(client):
                break
            if str(line[2].get("address")).endswith(port) and line[1] != "connected":
                lines.insert(0, line)
        return lines

    def line(self, client: RawClient, level: str, event: str) -> dict[str, object]:
        """The details of the one and only line about this connection."""
        lines = self.lines(client)
        assert [line[:2] for line in lines] == [(level, event)], lines
        return lines[0][2]

    def failure(self, client: RawClient, *reasons: ReasonCode) -> None:
        """The one line about this connection says whose it was, what went wrong, and with which code."""
        details = self.line(client, "warning", "connection failed")
        assert details["detail"]
        assert not reasons or details["code"] in [f"0x{reason:02x}" for reason in reasons], details

    def refusal(self, client: RawClient, action: str) -> None:
        """The one line about this connection says what was refused and why."""
        details = self.line(client, "warning", "refused")
        assert details["action"] == action
        assert details["rule"] and details["topic"] is not None
        assert len(repr(details)) < 1_000


async def ended(client: RawClient, *reasons: ReasonCode) -> list[Packet]:
    """The broker has closed the connection; what it sent before is at most one CONNACK or DISCONNECT that says why.

    A client of MQTT 5.0 that was connected must be told.
    """
    packets = await client.expect_closed()
    told = [packet.reason_code for packet in packets if isinstance(packet, ConnAck | Disconnect)]
    assert len(told) == len(packets) <= 1, packets
    if reasons and client.version == V5:
        assert told == [] or told[0] in reasons, packets
        assert told or not client.client_id, "no reason given"
    return packets


async def subscribed(client: RawClient, topic_filter: str) -> ReasonCode:
    """Subscribe, and return what the SUBACK has for the filter."""
    suback: SubAck = await client.subscribe(topic_filter, qos=2)
    (code,) = suback.reason_codes
    return code


@dataclass(frozen=True)
class Census:
    """How much of everything the broker holds."""

    connections: int
    addresses: int
    sessions: int
    online: int
    subscriptions: int
    retained: int
    deadlines: int
    carriers: int


def census(broker: RunningBroker) -> Census:
    """Count, in the broker's thread."""

    def count(running: Broker) -> Census:
        core = running.core
        assert running._host is not None
        return Census(
            len(core.connections),
            core.gate.connections,
            len(core.registry.sessions),
            len(core.registry.online),
            len(core.router),
            len(core.retained),
            len(core.wheel),
            len(running._host.carriers),
        )

    return broker.call(count)


async def restored(broker: RunningBroker, before: Census) -> None:
    """Wait until the broker holds what it held before.

    A socket is let go of a little later than its client sees the end, which is why this waits.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while census(broker) != before:
                await asyncio.sleep(0)
    assert census(broker) == before


@dataclass
class Growth:
    """What a stretch of a test has added to the process; set when it is over."""

    objects: int = 0
    size: int = 0
    """Bytes held at its end and not at its start."""
    peak: int = 0
    """Bytes held at some moment in it and not at its start."""
    kinds: dict[str, int] = field(default_factory=dict)
    """The types that most of these objects are of."""


def _objects() -> Counter[type]:
    """The objects there are. The event loop forgets a timer that was cancelled when its time comes, not before."""
    kinds = Counter(map(type, gc.get_objects()))
    del kinds[asyncio.TimerHandle], kinds[Context]
    return kinds


@contextmanager
def growth(broker: RunningBroker, sizes: bool = True) -> Iterator[Growth]:
    """Measure what this stretch leaves behind. The log that the fixture keeps is not a part of it: it is emptied.

    Without ``sizes`` only objects are counted, which costs nothing while the broker works.
    """
    found = Growth()
    broker.logged.clear()
    started = sizes and not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        gc.collect()
        objects, size = _objects(), tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield found
        found.peak = tracemalloc.get_traced_memory()[1] - size
        broker.logged.clear()
        gc.collect()
        found.size = tracemalloc.get_traced_memory()[0] - size
        after = _objects()
        found.objects = after.total() - objects.total()
        found.kinds = {kind.__qualname__: more for kind, more in (after - objects).most_common(5)}
    finally:
        if started:
            tracemalloc.stop()


STRETCHES = 5


async def leaves_nothing(
    broker: RunningBroker, stretch: Callable[[], Awaitable[None]], *, objects: int, size: int | None = None
) -> None:
    """Fail when the process has so many objects more after a stretch, or so many bytes, each time.

    What leaks is left by every stretch; what the interpreter and the event loop keep for later use is not.
    """
    found: list[Growth] = []
    while len(found) < STRETCHES:
        with growth(broker, sizes=size is not None) as grown:
            await stretch()
        if grown.objects < objects and (size is None or grown.size < size):
            return
        found.append(grown)
    raise AssertionError(f"left each time: {found}")
