"""Topic names and filters, section 4.7; shared subscriptions, section 4.8.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.topics import (
    InvalidTopicFilter,
    InvalidTopicName,
    check_topic_filter,
    check_topic_name,
    filter_matches,
    is_wildcard,
    split_share,
)
from tests.topics import oracle
from tests.topics.strategies import MANY, filters, topics

# What is neither a topic name nor a topic filter.
INVALID_STRINGS = {
    "empty": "",
    "null-character": "a/\0",
    "null-character-alone": "\0",
    "surrogate": "a/\ud800",
    "65536-bytes": "a" * 65_536,
    "65536-bytes-in-32768-characters": "é" * 32_768,
    "far-too-long": "/" * 1_000_000,
}
# What is both.
VALID_STRINGS = {
    "one-level": "a",
    "slash": "/",
    "two-slashes": "//",
    "leading-slash": "/a",
    "trailing-slash": "a/",
    "empty-level-inside": "a//b",
    "spaces": " / a ",
    "unicode": "温度/é/🌡",
    "byte-order-mark": "\ufeff",
    "byte-order-mark-in-front": "\ufeffa",
    "control-character": "a\x01\x7f\x85",
    "non-character": "\uffff",
    "dollar": "$",
    "system": "$SYS/broker",
    "looks-like-share": "$shared/g/a",
    "share-not-in-front": "/$share/g/a",
    "65535-bytes": "a" * 65_535,
    "65535-slashes": "/" * 65_535,
    "65535-bytes-in-21845-characters": "温" * 21_845,
}
# What may be subscribed to, but not published to.
VALID_FILTERS = {
    "hash": "#",
    "plus": "+",
    "plus-plus": "+/+",
    "plus-hash": "+/#",
    "slash-plus": "/+",
    "plus-slash": "+/",
    "slash-hash": "/#",
    "plus-inside": "a/+/b",
    "hash-behind": "a/b/#",
    "system-hash": "$SYS/#",
    "unicode-plus": "温度/+",
    "byte-order-mark-hash": "\ufeff/#",
}
INVALID_FILTERS = {
    "hash-behind-text": "a#",
    "hash-in-front": "#/a",
    "hash-in-front-of-slash": "#/",
    "hash-hash": "##",
    "hash-slash-hash": "#/#",
    "hash-inside": "a/#/b",
    "hash-in-front-of-text": "a/#b",
    "plus-behind-text": "a+",
    "plus-in-front-of-text": "+a",
    "plus-twice": "++",
    "plus-and-hash": "+#",
    "hash-and-plus": "#+",
    "plus-inside-text": "a/b+c/d",
    "plus-behind-byte-order-mark": "\ufeff+",
    "plus-many": "+a" * 10_000,
}
VALID_SHARES = {
    "exact": ("$share/g/a", "g", "a"),
    "deep": ("$share/g/a/b/c", "g", "a/b/c"),
    "hash": ("$share/g/#", "g", "#"),
    "plus": ("$share/g/+/a", "g", "+/a"),
    "slash": ("$share/g//", "g", "/"),
    "leading-slash": ("$share/g//a", "g", "/a"),
    "unicode-group": ("$share/é 🌡/a", "é 🌡", "a"),
    "byte-order-mark-group": ("$share/\ufeff/a", "\ufeff", "a"),
    "dollar-group": ("$share/$share/a", "$share", "a"),
    "system": ("$share/g/$SYS/#", "g", "$SYS/#"),
    "looks-like-share": ("$share/g/$shared/g/a", "g", "$shared/g/a"),
}
INVALID_SHARES = {
    "bare": "$share",
    "no-group": "$share/",
    "no-filter": "$share/g",
    "empty-filter": "$share/g/",
    "empty-group": "$share//x",
    "empty-group-and-filter": "$share//",
    "plus-group": "$share/+/x",
    "plus-in-group": "$share/g+/x",
    "hash-group": "$share/#/x",
    "hash-for-group": "$share/#",
    "hash-in-group": "$share/g#/x",
    "shared-twice": "$share/g/$share/h/x",
    "shared-twice-cut-short": "$share/g/$share",
}
INVALID_SHARED_FILTERS = {
    "hash-behind-text": "$share/g/a#",
    "hash-in-front": "$share/g/#/a",
    "plus-behind-text": "$share/g/a+",
    "null-character": "$share/g/\0",
}


class TestTopicNames:
    """Sections 4.7.1 and 4.7.3."""

    @pytest.mark.parametrize("topic", VALID_STRINGS.values(), ids=VALID_STRINGS.keys())
    def test_valid(self, topic: str) -> None:
        check_topic_name(topic)

    @pytest.mark.parametrize("topic", INVALID_STRINGS.values(), ids=INVALID_STRINGS.keys())
    def test_invalid(self, topic: str) -> None:  # [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3] [MQTT-1.5.4-1]
        with pytest.raises(InvalidTopicName, match=r"^topic name (is|has) "):
            check_topic_name(topic)

    @pytest.mark.parametrize("topic", VALID_FILTERS.values(), ids=VALID_FILTERS.keys())
    def test_wildcards(self, topic: str) -> None:  # [MQTT-3.3.2-2] [MQTT-4.7.0-1]
        with pytest.raises(InvalidTopicName, match="wildcard"):
            check_topic_name(topic)

    @pytest.mark.parametrize("topic", INVALID_FILTERS.values(), ids=INVALID_FILTERS.keys())
    def test_misplaced_wildcards(self, topic: str) -> None:  # [MQTT-4.7.0-1]
        with pytest.raises(InvalidTopicName, match="wildcard"):
            check_topic_name(topic)


class TestTopicFilters:
    """Sections 4.7.1 and 4.7.3."""

    @pytest.mark.parametrize("topic_filter", VALID_STRINGS.values(), ids=VALID_STRINGS.keys())
    def test_valid_exact(self, topic_filter: str) -> None:
        check_topic_filter(topic_filter)
        assert not is_wildcard(topic_filter)

    @pytest.mark.parametrize("topic_filter", VALID_FILTERS.values(), ids=VALID_FILTERS.keys())
    def test_valid_wildcard(self, topic_filter: str) -> None:
        check_topic_filter(topic_filter)
        assert is_wildcard(topic_filter)

    @pytest.mark.parametrize("topic_filter", INVALID_STRINGS.values(), ids=INVALID_STRINGS.keys())
    def test_invalid_string(self, topic_filter: str) -> None:  # [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3]
        with pytest.raises(InvalidTopicFilter, match=r"^topic filter (is|has) "):
            check_topic_filter(topic_filter)

    @pytest.mark.parametrize("topic_filter", INVALID_FILTERS.values(), ids=INVALID_FILTERS.keys())
    def test_invalid_wildcard(self, topic_filter: str) -> None:  # [MQTT-4.7.1-1] [MQTT-4.7.1-2]
        with pytest.raises(InvalidTopicFilter):
            check_topic_filter(topic_filter)


class TestSharedSubscriptions:
    """Section 4.8.2."""

    @pytest.mark.parametrize(("shared", "group", "topic_filter"), VALID_SHARES.values(), ids=VALID_SHARES.keys())
    def test_valid(self, shared: str, group: str, topic_filter: str) -> None:
        check_topic_filter(shared)
        assert split_share(shared) == (group, topic_filter)
        assert split_share(topic_filter) == ("", topic_filter)

    @pytest.mark.parametrize("shared", INVALID_SHARES.values(), ids=INVALID_SHARES.keys())
    def test_invalid(self, shared: str) -> None:  # [MQTT-4.8.2-1] [MQTT-4.8.2-2]
        with pytest.raises(InvalidTopicFilter):
            check_topic_filter(shared)
        with pytest.raises(InvalidTopicFilter):
            split_share(shared)

    @pytest.mark.parametrize("shared", INVALID_SHARED_FILTERS.values(), ids=INVALID_SHARED_FILTERS.keys())
    def test_invalid_filter(self, shared: str) -> None:
        with pytest.raises(InvalidTopicFilter):
            check_topic_filter(shared)

    @pytest.mark.parametrize(
        "topic_filter", [*VALID_STRINGS.values(), *VALID_FILTERS.values()], ids=[*VALID_STRINGS, *VALID_FILTERS]
    )
    def test_not_shared(self, topic_filter: str) -> None:
        assert split_share(topic_filter) == ("", topic_filter)


class TestLimits:
    """What the broker's owner allows, below what the standard does."""

    def test_levels_of_a_name(self) -> None:
        check_topic_name("a/b/c", max_levels=3)
        check_topic_name("//", max_levels=3)
        with pytest.raises(InvalidTopicName, match="3 levels"):
            check_topic_name("a/b/c/d", max_levels=3)
        with pytest.raises(InvalidTopicName, match="3 levels"):
            check_topic_name("///", max_levels=3)

    def test_levels_of_a_filter(self) -> None:
        check_topic_filter("a/+/#", max_levels=3)
        with pytest.raises(InvalidTopicFilter, match="3 levels"):
            check_topic_filter("a/+/b/#", max_levels=3)

    def test_levels_of_a_shared_filter_are_those_of_the_filter(self) -> None:
        check_topic_filter("$share/g/a/+/#", max_levels=3)
        with pytest.raises(InvalidTopicFilter, match="3 levels"):
            check_topic_filter("$share/g/a/+/b/#", max_levels=3)

    @pytest.mark.parametrize("count", [128, 65_535], ids=["one-too-many", "all-that-fit"])
    def test_slashes(self, count: int) -> None:
        with pytest.raises(InvalidTopicName, match="128 levels"):
            check_topic_name("/" * count, max_levels=128)
        with pytest.raises(InvalidTopicFilter, match="128 levels"):
            check_topic_filter("/" * count, max_levels=128)

    @pytest.mark.parametrize("text", ["abcde", "éé", "éa", "温a"], ids=["ascii", "two-two", "two-one", "three-one"])
    def test_length_is_in_bytes(self, text: str) -> None:
        length = len(text.encode())
        check_topic_name(text, max_length=length)
        check_topic_filter(text, max_length=length)
        with pytest.raises(InvalidTopicName, match=f"longer than {length - 1} bytes"):
            check_topic_name(text, max_length=length - 1)
        with pytest.raises(InvalidTopicFilter, match=f"longer than {length - 1} bytes"):
            check_topic_filter(text, max_length=length - 1)

    def test_length_never_goes_beyond_the_standard(self) -> None:
        with pytest.raises(InvalidTopicName, match="longer than 65535 bytes"):
            check_topic_name("a" * 65_536, max_length=100_000)


# The examples of sections 4.7.1.2, 4.7.1.3, 4.7.2 and 4.7.3, and the edges around them.
MATCHES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/tennis/player1/#", "sport/tennis/player10", False),
    ("sport/#", "sport", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("#", "a", True),
    ("#", "/", True),
    ("+/#", "a", True),
    ("+/#", "/", True),
    ("+/+/#", "a", False),
    ("#", "$SYS/a", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("+", "$SYS", False),
    ("$SYS/#", "$SYS/monitor/Clients", True),
    ("$SYS/#", "$SYS", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ("a/+", "a/$SYS", True),
    ("a/#", "a/$SYS/b", True),
    ("$SYS/a", "$SYS/a", True),
    ("ACCOUNTS", "Accounts", False),
    ("a", "a/", False),
    ("a/", "a", False),
    ("/a", "a", False),
    ("+/", "a/", True),
    ("é", "e\u0301", False),
    ("\ufeffa", "a", False),
    ("\ufeffa/+", "a/b", False),
]
# In ASCII and without the backslashes that pytest would put in: so a test can be named on a command line.
MATCHES_IDS = [
    "".join(each if each.isascii() else f"U+{ord(each):04X}" for each in f"{one} on {other}")
    for one, other, _ in MATCHES
]


class TestFilterMatches:
    """Section 4.7."""

    @pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES, ids=MATCHES_IDS)
    def test_table(self, topic_filter: str, topic: str, expected: bool) -> None:  # [MQTT-4.7.2-1] [MQTT-4.7.3-4]
        assert filter_matches(topic_filter, topic) is expected
        assert oracle.matches(topic_filter, topic) is expected

    @given(filters, topics)
    @MANY
    def test_against_the_oracle(self, topic_filter: str, topic: str) -> None:
        check_topic_filter(topic_filter)
        check_topic_name(topic)
        assert filter_matches(topic_filter, topic) is oracle.matches(topic_filter, topic)

    @given(st.text(st.sampled_from("a/+#$é\0"), max_size=6), st.text(st.sampled_from("a/+#$é\0"), max_size=6))
    @MANY
    def test_any_strings(self, topic_filter: str, topic: str) -> None:
        try:
            check_topic_filter(topic_filter)
            check_topic_name(topic)
        except (InvalidTopicFilter, InvalidTopicName):
            return
        assert filter_matches(topic_filter, topic) is oracle.matches(topic_filter, topic)

    def test_many_levels(self) -> None:
        assert filter_matches("+/" * 32_767 + "#", "/" * 65_534)
        assert not filter_matches("+/" * 32_767 + "a", "/" * 65_534)
