"""Routes: what one session gets of a topic, and when bytes can be passed on as they are."""

from __future__ import annotations

import pytest

from mqttbroker.broker.route import Route, SinkSubscription, Target
from mqttbroker.sessions import Session, Subscription
from mqttbroker.storage import Message
from tests.sessions.support import make_session


class Nothing:
    def accept(self, message: Message, qos: int) -> None: ...


def session_of(kind: int) -> Session:
    session = make_session()
    session.wire_kind = kind
    return session


def target(kind: int = 5, **options: int) -> Target:
    session = session_of(kind)
    return Target(session, [Subscription(session, "t", 1, **options)])  # type: ignore[arg-type]


class TestTarget:
    """[MQTT-3.3.4-2] [MQTT-3.3.4-4]"""

    def test_several_subscriptions_are_one_target(self) -> None:
        session = session_of(5)
        found = Target(
            session,
            [
                Subscription(session, "a", 0, identifier=3),
                Subscription(session, "+", 2, retain_as_published=True),
                Subscription(session, "#", 1, identifier=4),
            ],
        )
        assert (found.qos, found.retain_as_published, found.identifiers) == (2, True, (3, 4))
        assert not found.parted
        assert found.kind == 0

    def test_no_local_leaves_the_others(self) -> None:
        """[MQTT-3.8.3-3]"""
        session = session_of(5)
        found = Target(
            session,
            [Subscription(session, "a", 2, no_local=True, identifier=3), Subscription(session, "+", 1, identifier=4)],
        )
        assert found.parted
        assert found.own is not None
        assert (found.own.qos, found.own.identifiers) == (1, (4,))
        assert found.kind == 0

    def test_nothing_but_no_local(self) -> None:
        found = target(no_local=True)
        assert found.parted
        assert found.own is None

    def test_the_kind_is_that_of_the_wire(self) -> None:
        assert [target(kind).kind for kind in (0, 4, 5)] == [0, 4, 5]


class TestRoute:
    @pytest.mark.parametrize(
        ("targets", "verbatim4", "verbatim5"),
        [
            pytest.param([], True, True, id="nobody"),
            pytest.param([target(4), target(4)], True, False, id="MQTT 3 alone"),
            pytest.param([target(5), target(5)], False, True, id="MQTT 5 alone"),
            pytest.param([target(4), target(5)], False, False, id="mixed"),
            pytest.param([target(5), target(0)], False, False, id="one with wishes"),
            pytest.param([target(5, identifier=1)], False, False, id="identifier"),
            pytest.param([target(5, no_local=True)], False, False, id="no local"),
        ],
    )
    def test_verbatim(self, targets: list[Target], verbatim4: bool, verbatim5: bool) -> None:
        route = Route("t", targets, [], [], [])
        sessions = [each.session for each in targets]
        assert route.verbatim4 == (sessions if verbatim4 else None)
        assert route.verbatim5 == (sessions if verbatim5 else None)
        assert route.empty is (not targets)

    def test_a_sink_needs_a_message(self) -> None:
        route = Route("t", [], [], [SinkSubscription(Nothing(), "t", 1)], [])
        assert (route.verbatim4, route.verbatim5, route.empty) == (None, None, False)

    def test_a_new_route_is_stale_until_it_is_cached(self) -> None:
        assert Route("t", [], [], [], []).version == 0
