"""A subscription and its record."""

from __future__ import annotations

from mqttbroker.sessions import Subscription
from mqttbroker.storage import SubscriptionRecord
from tests.sessions.support import make_session


class TestSubscription:
    def test_the_record_has_all_options(self) -> None:
        subscription = Subscription(make_session(), "a/#", 2, True, True, 268_435_455)
        assert subscription.record() == SubscriptionRecord("a/#", 2, True, True, 268_435_455)

    def test_the_defaults_are_those_of_mqtt_3(self) -> None:
        assert Subscription(make_session(), "a", 1).record() == SubscriptionRecord("a", 1, False, False, 0)
