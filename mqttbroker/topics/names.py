"""Topic names and topic filters: what is well formed, and whether one filter matches one name (MQTT 5.0, section 4.7).

Rules. A name or filter is split into levels at ``/`` first, and each level is then looked at by itself: no index
arithmetic, no regular expression, no recursion. Sizes are checked before anything is split, so that a hostile string
of 65,535 slashes costs one count. Levels may be empty, and ``/a``, ``a`` and ``a/`` are three different topics.
Comparison is by code point: nothing is normalised, folded or stripped, and U+FEFF is an ordinary character
[MQTT-4.7.3-4].

Deliberately absent: what a client may publish or subscribe to (a matter of access control), and the treatment of
topics such as ``$SYS/...`` beyond the one matching rule that the standard gives for a leading ``$``.
"""

from __future__ import annotations

__all__ = [
    "InvalidTopicFilter",
    "InvalidTopicName",
    "check_topic_filter",
    "check_topic_name",
    "filter_matches",
    "filters_overlap",
    "is_wildcard",
    "split_share",
]

_MAX_LENGTH = 65_535
_SHARE = "$share"
_SHARE_PREFIX = "$share/"


class InvalidTopicName(ValueError):
    """The string is not a topic name; the message says why, without repeating the name."""


class InvalidTopicFilter(ValueError):
    """The string is not a topic filter; the message says why, without repeating the filter."""


def _fault(text: str, spare_levels: int, max_levels: int, max_length: int) -> str:
    """What names and filters have in common: return what is wrong with the string as a whole, or ""."""
    if not text:
        return "is empty"  # [MQTT-4.7.3-1]
    limit = min(max_length, _MAX_LENGTH) if max_length else _MAX_LENGTH
    # A string never has fewer bytes than characters, so the encoder sees only strings of a bounded length.
    if len(text) > limit:
        return f"is longer than {limit} bytes"  # [MQTT-4.7.3-3]
    if not text.isascii():
        try:
            length = len(text.encode())
        except UnicodeEncodeError:
            return "has a surrogate code point"  # [MQTT-1.5.4-1]
        if length > limit:
            return f"is longer than {limit} bytes"  # [MQTT-4.7.3-3]
    if "\0" in text:
        return "has the null character"  # [MQTT-4.7.3-2]
    if max_levels and text.count("/") >= max_levels + spare_levels:
        return f"has more than {max_levels} levels"
    return ""


def check_topic_name(topic: str, max_levels: int = 0, max_length: int = 0) -> None:
    """Raise `InvalidTopicName` unless ``topic`` may be published to (section 4.7.3).

    ``max_levels`` counts levels and ``max_length`` bytes in UTF-8; 0 leaves only the standard's 65,535 bytes.
    """
    fault = _fault(topic, 0, max_levels, max_length)
    if fault:
        raise InvalidTopicName(f"topic name {fault}")
    if "+" in topic or "#" in topic:
        # [MQTT-3.3.2-2] [MQTT-4.7.0-1] [3.1.1: MQTT-4.7.1-1]
        raise InvalidTopicName("topic name has a wildcard character")


def check_topic_filter(topic_filter: str, max_levels: int = 0, max_length: int = 0) -> None:
    """Raise `InvalidTopicFilter` unless ``topic_filter`` may be subscribed to (sections 4.7.1, 4.7.3 and 4.8.2).

    The limits are those of `check_topic_name`. ``max_length`` is that of the whole string; ``max_levels`` does not
    count the two levels of ``$share/<group>``, so that what may be subscribed to may also be shared.
    """
    shared = topic_filter.startswith(_SHARE_PREFIX)
    fault = _fault(topic_filter, 2 if shared else 0, max_levels, max_length)
    if fault:
        raise InvalidTopicFilter(f"topic filter {fault}")
    plain = split_share(topic_filter)[1]
    if not is_wildcard(plain):
        return
    levels = plain.split("/")
    last = len(levels) - 1
    for at, level in enumerate(levels):
        if level == "#":
            if at != last:
                raise InvalidTopicFilter("'#' is not the last level")  # [MQTT-4.7.1-1] [3.1.1: MQTT-4.7.1-2]
        elif level != "+" and is_wildcard(level):
            # [MQTT-4.7.1-1] [MQTT-4.7.1-2] [3.1.1: MQTT-4.7.1-2] [3.1.1: MQTT-4.7.1-3]
            raise InvalidTopicFilter("a wildcard does not stand alone in its level")


def split_share(topic_filter: str) -> tuple[str, str]:
    """Split a shared subscription's filter into its group and its filter: ``("", topic_filter)`` when it is not shared.

    The filter of a shared subscription has the syntax of one that is not shared, so it cannot open with ``$share/``
    itself: whoever splits twice gets the same result. Raises `InvalidTopicFilter` for what has ``$share`` as its first
    level and breaks the grammar of section 4.8.2 (``$share`` by itself is refused as one cut short); the wildcards of
    the filter are not looked at.
    """
    if not topic_filter.startswith(_SHARE):
        return "", topic_filter
    if topic_filter == _SHARE:
        raise InvalidTopicFilter("no share name follows '$share'")  # [MQTT-4.8.2-1]
    if not topic_filter.startswith(_SHARE_PREFIX):
        return "", topic_filter
    group, slash, plain = topic_filter[len(_SHARE_PREFIX) :].partition("/")
    if not group:
        raise InvalidTopicFilter("the share name is empty")  # [MQTT-4.8.2-1]
    if is_wildcard(group):
        raise InvalidTopicFilter("the share name has a wildcard character")  # [MQTT-4.8.2-2]
    if not slash or not plain:
        raise InvalidTopicFilter("no topic filter follows the share name")  # [MQTT-4.8.2-2]
    if plain == _SHARE or plain.startswith(_SHARE_PREFIX):
        raise InvalidTopicFilter("a shared topic filter cannot be shared again")
    return group, plain


def is_wildcard(topic_filter: str) -> bool:
    """Whether a well-formed filter has a wildcard level."""
    return "+" in topic_filter or "#" in topic_filter


def filter_matches(topic_filter: str, topic: str) -> bool:
    """Whether a well-formed filter matches a well-formed topic name (section 4.7); linear in their length.

    The filter is taken literally: strip ``$share/<group>/`` with `split_share` first.
    """
    if not is_wildcard(topic_filter):
        return topic_filter == topic
    if topic.startswith("$") and (topic_filter.startswith("+") or topic_filter.startswith("#")):
        return False  # [MQTT-4.7.2-1]
    levels = topic.split("/")
    depth = len(levels)
    at = 0
    for level in topic_filter.split("/"):
        if level == "#":
            return True  # Also with no level left in the topic: '#' includes the parent level.
        if at == depth or (level != "+" and level != levels[at]):
            return False
        at += 1
    return at == depth


def filters_overlap(one: str, other: str) -> bool:
    """Whether there can be a topic name that both well-formed filters match; linear in their length.

    Both are taken literally, as by `filter_matches`.
    """
    if one.startswith("$") != other.startswith("$"):
        plain = other if one.startswith("$") else one
        if plain.startswith("+") or plain.startswith("#"):
            return False  # [MQTT-4.7.2-1]
    levels, others = one.split("/"), other.split("/")
    for level, against in zip(levels, others, strict=False):
        if level == "#" or against == "#":
            return True
        if level != against and level != "+" and against != "+":
            return False
    if len(levels) == len(others):
        return True
    longer, common = (levels, len(others)) if len(levels) > len(others) else (others, len(levels))
    # A "#" includes the parent level, which is a topic unless it is empty.
    return longer[common] == "#" and longer != ["", "#"]
