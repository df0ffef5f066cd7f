"""Sessions by client identifier: how they begin, change hands, and end; and their wills.

A session is *open* while it has a connection. It ends when a connection ends and its expiry interval is 0, when that
interval has run out, or when a client asks for a clean start. Whatever ends it publishes a will that still waits
[MQTT-3.1.2-8], hands shared messages to other members, and forgets the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mqttbroker.broker.limits import UNLIMITED_EXPIRY
from mqttbroker.broker.timing import Due
from mqttbroker.protocol import MQTTError, ReasonCode
from mqttbroker.sessions import Session, SessionLimits, Waiting
from mqttbroker.storage import WillRecord

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection
    from mqttbroker.broker.core import BrokerCore

__all__ = ["Registry"]


class Registry:
    """Every session of one broker, and the connections of those that are open."""

    def __init__(self, core: BrokerCore, session_limits: SessionLimits) -> None:
        self._core = core
        self._session_limits = session_limits
        self.sessions: dict[str, Session] = {}  # [MQTT-3.1.3-2]
        self.online: dict[str, Connection] = {}

    def load(self, now: float) -> None:
        """Take over the sessions of a store; those whose time has come end at once."""
        restored = [Session.restored(record, self._session_limits) for record in self._core.store.sessions()]
        for session in restored:
            self.sessions[session.client_id] = session
            for subscription in list(session.subscriptions.values()):
                self._core.router.subscribe(subscription)
        for session in restored:
            self._resume_clocks(session, now)

    def _resume_clocks(self, session: Session, now: float) -> None:
        """Go on with will delay and expiry. A connection that was open when the broker stopped ended then."""
        if session.expiry_interval == 0 or 0.0 < session.expires_at <= now:
            self.end(session, now)
            return
        if session.will is not None and session.will.due_at:
            self._core.wheel.add(("will", session.client_id), session.will.due_at, self._will_due(session))
        else:
            self._delay_will(session, now)
        if session.expires_at:
            self._core.wheel.add(("expiry", session.client_id), session.expires_at, self._expiry_due(session))
        elif session.expiry_interval != UNLIMITED_EXPIRY:
            self._begin_expiry(session, now)

    # A client connects.

    def check_owner(self, connection: Connection, client_id: str) -> None:
        """Raise unless the client identifier is free or the user's own (section 5.4.2)."""
        identity = connection.identity
        session = self.sessions.get(client_id)
        if session is not None and session.username != identity.username:
            self._core.log(
                "warning",
                "client identifier belongs to somebody else",
                client=identity.client_id,
                user=identity.username,
                address=identity.address,
                owner=session.username,
            )
            connection.explained = True
            if self._core.events.heard:
                connection.tell_refused("connect", "this client identifier belongs to another user")
            raise MQTTError(ReasonCode.NOT_AUTHORIZED, "this client identifier belongs to another user")

    def take_over(self, client_id: str, now: float, by: Connection) -> None:
        """End the connection that uses the client identifier now [MQTT-3.1.4-3], for another one."""
        old = self.online.get(client_id)
        if old is not None:
            self._core.counters.takeovers += 1
            self._core.log("info", "session taken over", **old.who())
            if self._core.events.heard:
                details = {**old.whereabouts(), "by": by.identity.address}
                self._core.events.emit("takeover", old.identity.client_id, now, details)
            old.disconnect(ReasonCode.SESSION_TAKEN_OVER, "another connection uses this client identifier", now)

    def open(
        self, client_id: str, username: str | None, clean_start: bool, expiry: int, now: float
    ) -> tuple[Session, bool]:
        """The session for a new connection, and whether it was there before [MQTT-3.2.2-3] [3.1.1: MQTT-3.2.2-2]."""
        session = self.sessions.get(client_id)
        if session is not None and clean_start:
            self.end(session, now)  # [MQTT-3.1.2-4] [3.1.1: MQTT-3.1.2-6]
            session = None  # [MQTT-3.2.2-2] [MQTT-3.1.4-4]
        present = session is not None  # [MQTT-3.1.2-5]
        if session is None:
            # [MQTT-3.1.2-6]
            session = Session(client_id, username, self._session_limits, persistent=expiry > 0)
            self.sessions[client_id] = session
        session.expiry_interval = expiry
        return session, present

    def connected(self, connection: Connection, will: WillRecord | None) -> None:
        """The session has a connection: nothing is due any more [MQTT-3.1.3-9]."""
        session = connection.session
        client_id = session.client_id
        self.online[client_id] = connection
        self._core.counters.clients_connected += 1
        self._core.wheel.cancel(("expiry", client_id))  # [MQTT-4.1.0-1]
        self._core.wheel.cancel(("will", client_id))
        had_will = session.will is not None
        session.will = will  # [MQTT-3.1.2-7]
        if session.persistent:
            store = self._core.store
            store.put_session(client_id, session.username, session.expiry_interval, 0.0, session.listener)
            if will is not None:
                store.put_will(client_id, will)
            elif had_will:
                store.delete_will(client_id)

    # A client goes.

    def disconnected(self, connection: Connection, clean: bool, now: float) -> None:
        """The session's connection has ended; ``clean`` takes the will back."""
        session = connection.session
        client_id = session.client_id
        if self.online.get(client_id) is connection:
            del self.online[client_id]
        if session.persistent and session.inflight and not session.queue and not session.backlog:
            session.waiting = Waiting(next(iter(session.inflight.values())).sequence, now)
            session.waiting.joined(session.last_sequence, now)
        session.detach()
        if clean:
            self._forget_will(session)  # [MQTT-3.1.2-10]
        if session.expiry_interval == 0:
            self.end(session, now)
            return
        self._delay_will(session, now)
        self._begin_expiry(session, now)  # [MQTT-3.1.2-23]

    def _begin_expiry(self, session: Session, now: float) -> None:
        if session.expiry_interval != UNLIMITED_EXPIRY:
            session.expires_at = now + session.expiry_interval
            self._core.wheel.add(("expiry", session.client_id), session.expires_at, self._expiry_due(session))
        if session.persistent:
            self._core.store.put_session(
                session.client_id, session.username, session.expiry_interval, session.expires_at, session.listener
            )

    def _expiry_due(self, session: Session) -> Due:
        def due(now: float) -> float:
            self._core.counters.sessions_expired += 1
            self._core.log("info", "session expired", client=session.name, user=session.username)
            self.end(session, now)  # [MQTT-4.1.0-2]
            return 0.0

        return due

    # The end of a session.

    def end(self, session: Session, now: float) -> None:
        """End a session without a connection: will, shared messages, subscriptions, state."""
        client_id = session.client_id
        if self.sessions.get(client_id) is session:
            del self.sessions[client_id]
        self._core.wheel.cancel(("expiry", client_id))
        self._core.router.hand_over(session.leave_undelivered(now), session, now)
        self._core.router.unsubscribe_all(session)
        if session.persistent:
            self._core.store.delete_session(client_id)
        self._publish_will(session, now)

    # Wills.

    def _delay_will(self, session: Session, now: float) -> None:
        will = session.will
        if will is None:
            return
        if not will.delay:
            self._publish_will(session, now)
            return
        session.will = replace(will, due_at=now + will.delay)
        self._core.wheel.add(("will", session.client_id), session.will.due_at, self._will_due(session))
        if session.persistent:
            self._core.store.put_will(session.client_id, session.will)

    def _will_due(self, session: Session) -> Due:
        def due(now: float) -> float:
            self._publish_will(session, now)
            return 0.0

        return due

    def _publish_will(self, session: Session, now: float) -> None:
        will = session.will
        if will is not None:
            self._forget_will(session)
            self._core.publish_will(session, will, now)

    def _forget_will(self, session: Session) -> None:
        if session.will is not None:
            session.will = None
            self._core.wheel.cancel(("will", session.client_id))
            if session.persistent:
                self._core.store.delete_will(session.client_id)
