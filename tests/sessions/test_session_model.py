"""A session against a model of one list, through deliveries, acknowledgements, reconnections and restarts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mqttbroker.protocol import Packet, Publish, PubRel
from mqttbroker.sessions import Drop, Session, SessionLimits
from mqttbroker.storage import MemoryStore
from tests.broker.support import START
from tests.sessions.support import Line, make_limits, make_message

LARGE = 60
SMALL_PACKETS = 50


@dataclass
class Owed:
    """One message of the model; the list that it is in has the order of delivery."""

    payload: bytes
    qos: int
    expires_at: float
    packet_id: int = 0
    released: bool = False
    here: bool = False
    """Sent, or sent again, on this connection."""


@dataclass(frozen=True)
class Sent:
    """What the model expects the client to get."""

    payload: bytes
    qos: int
    dup: bool


class SessionMachine(RuleBasedStateMachine):
    """What the session sends, stores, counts and drops is what the model says."""

    def __init__(self) -> None:
        super().__init__()
        self.now: float = START
        self.owed: list[Owed] = []
        self.line: Line | None = None
        self.maximum: int = 0
        self.largest: int = 0
        self.count: int = 0
        self.dropped: dict[Drop, int] = {}
        self.expected: list[Sent | PubRel] = []
        self.unnumbered: list[Owed] = []

    @initialize(
        persistent=st.booleans(),
        max_messages=st.integers(1, 12),
        window=st.integers(1, 5),
        drop_oldest=st.booleans(),
    )
    def begin(self, persistent: bool, max_messages: int, window: int, drop_oldest: bool) -> None:
        self.limits: SessionLimits = make_limits(
            MemoryStore(), max_messages=max_messages, window=window, drop_oldest=drop_oldest
        )
        self.limits.store.put_session("client", None, 100, 0.0)
        self.session: Session = Session("client", None, self.limits, persistent)

    # The model.

    @property
    def quota(self) -> int:
        return self.maximum - sum(each.here for each in self.owed)

    def too_large(self, each: Owed) -> bool:
        return bool(self.largest) and len(each.payload) >= LARGE

    def lose(self, each: Owed, cause: Drop) -> None:
        self.owed = [other for other in self.owed if other is not each]
        self.dropped[cause] = self.dropped.get(cause, 0) + 1

    def send(self, each: Owed) -> None:
        if self.too_large(each):
            self.lose(each, Drop.TOO_LARGE)
            return
        self.expected.append(Sent(each.payload, each.qos, bool(each.packet_id)))
        each.here = True
        if not each.packet_id:
            self.unnumbered.append(each)
            each.packet_id = -1  # Known when it has arrived.

    def pump(self) -> None:
        """Send what may be sent, in the order of the list, in which those in flight come first."""
        if self.line is None or not self.line.outbox.open:
            return
        for each in list(self.owed):
            if each.here:
                continue
            if each.released:
                if self.quota <= 0 and each.packet_id not in self.session.inflight:
                    return  # PUBREL waits for no quota, but what the store still has is not read for its sake alone.
                self.expected.append(PubRel(each.packet_id))
                each.here = True
            elif self.quota <= 0:
                return
            elif not each.packet_id and each.expires_at and self.now >= each.expires_at:
                self.lose(each, Drop.EXPIRED)
            else:
                self.send(each)

    def check(self) -> None:
        """What has arrived is what was expected; packet identifiers become known."""
        taken: list[Packet] = self.line.take() if self.line is not None else []
        arrived: list[Sent | PubRel] = []
        for packet in taken:
            if isinstance(packet, Publish):
                arrived.append(Sent(packet.payload, packet.qos, packet.dup))
                if not packet.dup:
                    each = self.unnumbered.pop(0)
                    assert packet.packet_id not in {other.packet_id for other in self.owed}, "identifier in use"
                    each.packet_id = packet.packet_id or 0
                else:
                    assert packet.packet_id in {other.packet_id for other in self.owed}
            else:
                assert isinstance(packet, PubRel)
                arrived.append(packet)
        assert arrived == self.expected
        self.expected = []
        assert not self.unnumbered

    # The rules.

    @rule(qos=st.integers(1, 2), large=st.booleans(), lifetime=st.sampled_from([0, 0, 3]))
    def deliver(self, qos: int, large: bool, lifetime: int) -> None:
        self.count += 1
        payload = str(self.count).encode().rjust(LARGE if large else 3, b"0")
        expires_at = self.now + lifetime if lifetime else 0.0
        self.session.deliver(make_message(payload, expires_at=expires_at), qos, False, (), self.now)
        each = Owed(payload, qos, expires_at)
        is_open = self.line is not None and self.line.outbox.open
        if is_open and self.quota > 0 and all(other.here for other in self.owed):
            self.owed.append(each)
            self.send(each)
        else:
            self.queue(each)
        self.check()

    def queue(self, each: Owed) -> None:
        while len(self.owed) >= self.limits.max_messages:
            waiting = [other for other in self.owed if not other.packet_id]
            if not waiting or not self.limits.drop_oldest:
                self.dropped[Drop.QUEUE_FULL] = self.dropped.get(Drop.QUEUE_FULL, 0) + 1
                return
            expired = waiting[0].expires_at and self.now >= waiting[0].expires_at
            self.lose(waiting[0], Drop.EXPIRED if expired else Drop.QUEUE_FULL)
        self.owed.append(each)

    @precondition(lambda self: self.line is None)
    @rule(maximum=st.integers(1, 6), small=st.booleans())
    def connect(self, maximum: int, small: bool) -> None:
        self.maximum = maximum
        self.largest = SMALL_PACKETS if small else 0
        self.line = Line(self.session, maximum, self.now, self.largest)
        self.pump()
        self.check()

    @precondition(lambda self: self.line is not None)
    @rule()
    def lose_connection(self) -> None:
        self.session.detach()
        self.gone()

    def gone(self) -> None:
        self.line = None
        self.maximum = 0
        for each in self.owed:
            each.here = False

    @precondition(lambda self: self.session.persistent)
    @rule()
    def restart(self) -> None:
        (record,) = self.limits.store.sessions()
        # A new process has objects of its own.
        self.session = Session.restored(replace(record), self.limits)
        self.session.dropped = dict(self.dropped) or None
        self.gone()

    @precondition(lambda self: self.line is not None)
    @rule(yes=st.booleans())
    def congest(self, yes: bool) -> None:
        assert self.line is not None
        self.line.outbox.open = not yes
        if not yes:
            self.session.pump(self.now)
            self.pump()
        self.check()

    @precondition(lambda self: self.line is not None)
    @rule(place=st.integers(0, 20))
    def acknowledge(self, place: int) -> None:
        """PUBACK, PUBCOMP or a refusing PUBREC for something in flight, sent on this connection or not."""
        known = [each for each in self.owed if each.packet_id and each.packet_id in self.session.inflight]
        if not known:
            return
        each = known[place % len(known)]
        self.session.acknowledged(each.packet_id, self.now)
        self.owed = [other for other in self.owed if other is not each]
        self.pump()
        self.check()

    @precondition(lambda self: self.line is not None)
    @rule(place=st.integers(0, 20))
    def receive(self, place: int) -> None:
        known = [each for each in self.owed if each.qos == 2 and each.packet_id in self.session.inflight]
        if not known:
            return
        each = known[place % len(known)]
        assert self.session.received(each.packet_id)
        each.released = True
        self.check()

    @rule()
    def purge(self) -> None:
        waiting = [each for each in self.owed if not each.packet_id]
        assert self.session.purge() == len(waiting)
        for each in waiting:
            self.lose(each, Drop.PURGED)
        self.check()

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    # What always holds.

    @invariant()
    def counts_agree(self) -> None:
        assert self.session.load == len(self.owed)
        assert self.session.owed_bytes == sum(len(each.payload) + 1 for each in self.owed)
        assert (self.session.dropped or {}) == self.dropped
        if self.line is not None:
            assert self.session.quota == self.quota

    @invariant()
    def the_store_has_it_all(self) -> None:
        if self.session.persistent:
            queue = self.limits.store.read_queue("client", 0, 1_000)
            assert [(each.message.payload, each.qos, each.packet_id, each.released) for each in queue] == [
                (each.payload, each.qos, each.packet_id, each.released) for each in self.owed
            ]

    @invariant()
    def memory_is_bounded(self) -> None:
        if self.session.persistent and self.session.queue:
            assert len(self.session.queue) <= self.limits.window


TestSession = SessionMachine.TestCase
