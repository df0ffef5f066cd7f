"""Properties are written on the command line as for mosquitto_pub."""

from __future__ import annotations

import json

import pytest
import typer

from mqttbroker.cli.properties import parse_properties
from mqttbroker.protocol import NO_PROPERTIES, Properties


def parse(*options: tuple[str, ...]) -> dict[str, Properties]:
    """The properties of these -D options."""
    return parse_properties([json.dumps(words) for words in options])


def test_each_kind_of_value() -> None:
    assert parse(
        ("PUBLISH", "content-type", "text/plain"),
        ("publish", "payload-format-indicator", "1"),
        ("publish", "correlation-data", "größe"),
        ("publish", "user-property", "a", "1"),
        ("publish", "user-property", "a", "2"),
        ("subscribe", "subscription-identifier", "7"),
        ("connect", "receive-maximum", "20"),
        ("will", "will-delay-interval", "5"),
    ) == {
        "publish": Properties(
            content_type="text/plain",
            payload_format_indicator=1,
            correlation_data="größe".encode(),
            user_properties=(("a", "1"), ("a", "2")),
        ),
        "subscribe": Properties(subscription_identifiers=(7,)),
        "connect": Properties(receive_maximum=20),
        "will": Properties(will_delay_interval=5),
    }


def test_none() -> None:
    assert set(parse().values()) == {NO_PROPERTIES}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("publish", "content-type"), "expected a packet, a property and a value"),
        (("puback", "reason-string", "x"), "expected one of connect, will, publish, subscribe, got 'puback'"),
        (("publish", "content-typ", "x"), "unknown property 'content-typ'"),
        (("publish", "user-properties", "x"), "unknown property 'user-properties'"),
        (("publish", "user_properties", "x"), "unknown property 'user_properties'"),
        (("publish", "user-property", "x"), "user-property takes a name and a value"),
        (("publish", "topic-alias", "x"), "topic-alias takes a number, got 'x'"),
        (("subscribe", "subscription-identifier", "x"), "subscription-identifier takes a number, got 'x'"),
    ],
    ids=["too few", "packet", "property", "plural", "field", "one word", "no number", "no identifier"],
)
def test_mistakes(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        parse(words)
    assert str(caught.value) == message
