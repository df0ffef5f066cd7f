"""Reading access rules: what is accepted, and what is said about the rest."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mqttbroker.broker.authority import Identity
from mqttbroker.security import Rule, SecurityError, load_rules, parse_rules
from mqttbroker.security.rules import Pattern

EXAMPLE = Path(__file__).parents[2] / "config" / "acl.toml"

GOOD = """
[[rules]]
who = "alice"
action = "publish"
topics = ["a/#"]
effect = "allow"
"""


def error(text: str) -> str:
    with pytest.raises(SecurityError) as caught:
        parse_rules(text, "acl.toml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    """What is said about a second rule in which one thing was changed."""
    assert old in GOOD
    return error(GOOD + GOOD.replace(old, new))


def only(text: str) -> Rule:
    (rule,) = parse_rules(text, "acl.toml")
    return rule


class TestReading:
    def test_rule(self) -> None:
        rule = only(GOOD)
        assert rule.number == 1
        assert rule.names == {"alice"}
        assert (rule.everybody, rule.anonymous, rule.clients) == (False, False, None)
        assert (rule.publish, rule.subscribe, rule.allow) == (True, False, True)
        assert [pattern.text for pattern in rule.patterns] == ["a/#"]

    @pytest.mark.parametrize(
        ("action", "publish", "subscribe"),
        [("publish", True, False), ("subscribe", False, True), ("both", True, True)],
        ids=["publish", "subscribe", "both"],
    )
    def test_action(self, action: str, publish: bool, subscribe: bool) -> None:
        rule = only(GOOD.replace("publish", action))
        assert (rule.publish, rule.subscribe) == (publish, subscribe)

    def test_lists(self) -> None:
        rule = only(GOOD.replace('"alice"', '["bob", "anonymous", "*"]\nclients = ["c", "d"]'))
        assert rule.names == {"bob"}
        assert (rule.everybody, rule.anonymous) == (True, True)
        assert rule.clients == frozenset({"c", "d"})

    def test_rules_are_numbered_from_one(self) -> None:
        assert [rule.number for rule in parse_rules(GOOD * 3, "acl.toml")] == [1, 2, 3]

    def test_example_file(self) -> None:
        assert len(load_rules(EXAMPLE)) > 3


class TestFile:
    """A file that cannot be used is an error, never "allow"."""

    @pytest.mark.parametrize(
        "content", ["", "\n", "# No rules\n", "rules = []\n"], ids=["empty", "line", "comment", "list"]
    )
    def test_file_without_rules_is_valid_and_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
    ) -> None:
        path = tmp_path / "acl.toml"
        path.write_text(content)
        assert load_rules(path) == ()
        assert caplog.messages == [f"{path} holds no rules: everything is denied"]

    def test_good_file_is_not_logged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "acl.toml"
        path.write_text(GOOD)
        assert len(load_rules(path)) == 1
        assert caplog.messages == []

    def test_missing_file(self, tmp_path: Path) -> None:
        path = tmp_path / "acl.toml"
        with pytest.raises(SecurityError) as caught:
            load_rules(path)
        assert str(caught.value) == f"{path}: cannot be read: No such file or directory"

    def test_unreadable_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied")

        path = tmp_path / "acl.toml"
        path.write_text(GOOD)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(SecurityError, match="cannot be read: Permission denied"):
            load_rules(path)

    def test_text_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "acl.toml"
        path.write_bytes(b"# Rules\n# \xff\n")
        with pytest.raises(SecurityError) as caught:
            load_rules(path)
        assert str(caught.value) == f"{path}: line 2: expected text in UTF-8"

    def test_file_that_is_cut_off_anywhere(self) -> None:
        """What is left is refused, or is whole rules: a part of a rule is never taken for one."""
        whole = parse_rules(GOOD * 2, "acl.toml")
        for length in range(len(GOOD * 2)):
            try:
                rules = parse_rules((GOOD * 2)[:length], "acl.toml")
            except SecurityError:
                continue
            assert [rule.number for rule in rules] == [rule.number for rule in whole[: len(rules)]]
            assert all(rule.names == {"alice"} for rule in rules)


class TestMessages:
    """Each names the file, the place and what was expected."""

    def test_not_toml(self) -> None:
        message = error('[[rules]]\nwho = "alice\n')
        assert message.startswith("acl.toml: is not valid TOML: ")
        assert "line 2" in message

    def test_unknown_table(self) -> None:
        assert error("[[rule]]\n") == "acl.toml: rule: unknown key; did you mean rules?"
        assert error("x = 1\n") == "acl.toml: x: unknown key; expected rules"

    @pytest.mark.parametrize("text", ["rules = 1", "[rules]", "rules = [1]"], ids=["number", "one table", "numbers"])
    def test_rules_that_are_no_tables(self, text: str) -> None:
        assert error(text) == "acl.toml: rules: expected tables [[rules]]"

    def test_unknown_key(self) -> None:
        assert changed("topics =", "topic =") == "acl.toml: rule 2, topic: unknown key; did you mean topics?"
        assert changed("who =", "zzz =") == (
            "acl.toml: rule 2, zzz: unknown key; expected who, action, topics, effect, clients"
        )

    @pytest.mark.parametrize("key", ["who", "action", "topics", "effect"])
    def test_missing_key(self, key: str) -> None:
        line = next(line for line in GOOD.splitlines() if line.startswith(key))
        message = changed(line, "")
        assert message.startswith("acl.toml: rule 2: ")
        assert f"missing required field `{key}`" in message

    @pytest.mark.parametrize(
        ("old", "new", "place"),
        [
            ('"alice"', "1", "who"),
            ('"alice"', "[1]", "who[0]"),
            ('"publish"', '"write"', "action"),
            ('"publish"', '["publish"]', "action"),
            ('["a/#"]', '"a/#"', "topics"),
            ('["a/#"]', '["a", 1]', "topics[1]"),
            ('"allow"', '"permit"', "effect"),
            ('"allow"', "true", "effect"),
            ('"alice"', '"alice"\nclients = "c"', "clients"),
        ],
        ids=[
            "who",
            "who in list",
            "unknown action",
            "list of actions",
            "one topic",
            "number among topics",
            "unknown effect",
            "true",
            "one client",
        ],
    )
    def test_wrong_type(self, old: str, new: str, place: str) -> None:
        message = changed(old, new)
        assert message.startswith((f"acl.toml: rule 2, {place}: expected ", f"acl.toml: rule 2, {place}: invalid "))

    @pytest.mark.parametrize(
        ("old", "new", "place"),
        [
            ('"alice"', '""', "who"),
            ('"alice"', "[]", "who"),
            ('"alice"', '["a", ""]', "who"),
            ('["a/#"]', "[]", "topics"),
            ('["a/#"]', '["a", ""]', "topics"),
            ('"alice"', '"alice"\nclients = []', "clients"),
            ('"alice"', '"alice"\nclients = [""]', "clients"),
        ],
        ids=["who", "no who", "empty who", "no topics", "empty topic", "no clients", "empty client"],
    )
    def test_nothing_where_something_is_expected(self, old: str, new: str, place: str) -> None:
        assert changed(old, new) == f"acl.toml: rule 2, {place}: expected at least one entry, none of them empty"

    @pytest.mark.parametrize("topic_filter", ["a#", "#/a", "a+/b", "+${clientid}", "${username}#", "a/\\u0000"])
    def test_malformed_filter(self, topic_filter: str) -> None:
        message = changed("a/#", topic_filter)
        assert message.startswith("acl.toml: rule 2, topics: expected a topic filter, found '")

    @pytest.mark.parametrize("topic_filter", ["$share", "$share/g/a", "$share/${clientid}/a"])
    def test_shared_filter(self, topic_filter: str) -> None:
        message = changed("a/#", topic_filter)
        assert message == f"acl.toml: rule 2, topics: expected a topic filter without $share: '{topic_filter}'"

    @pytest.mark.parametrize("placeholder", ["${user}", "${}", "${ clientid }", "${clientid", "${CLIENTID}"])
    def test_unknown_placeholder(self, placeholder: str) -> None:
        message = changed("a/#", f"a/{placeholder}")
        expected = "acl.toml: rule 2, topics: expected ${username} or ${clientid}, found "
        assert message == f"{expected}{placeholder} in 'a/{placeholder}'"


class TestWho:
    @pytest.mark.parametrize(
        ("who", "username", "expected"),
        [
            ('"alice"', "alice", True),
            ('"alice"', "Alice", False),
            ('"alice"', "alice ", False),
            ('"alice"', None, False),
            ('["alice", "bob"]', "bob", True),
            ('"*"', "alice", True),
            ('"*"', "", True),
            ('"*"', None, True),
            ('"anonymous"', None, True),
            ('"anonymous"', "", False),
            ('"anonymous"', "anonymous", False),
            ('["anonymous", "alice"]', "alice", True),
            ('"al*"', "alice", False),
            ('".*"', "alice", False),
        ],
    )
    def test_user(self, who: str, username: str | None, expected: bool) -> None:
        rule = only(GOOD.replace('"alice"', who))
        assert rule.concerns(Identity("c", username)) is expected

    @pytest.mark.parametrize(
        ("client_id", "expected"), [("c", True), ("d", True), ("", False), ("c/d", False), ("C", False)]
    )
    def test_client(self, client_id: str, expected: bool) -> None:
        rule = only(GOOD.replace('"alice"', '"*"\nclients = ["c", "d"]'))
        assert rule.concerns(Identity(client_id, "alice")) is expected

    def test_client_alone_is_not_enough(self) -> None:
        rule = only(GOOD.replace('"alice"', '"alice"\nclients = ["c"]'))
        assert not rule.concerns(Identity("c", "bob"))
        assert not rule.concerns(Identity("c"))


class TestPlaceholders:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a/+/#", "a/+/#"),
            ("${username}", "u"),
            ("${clientid}", "c"),
            ("a/${username}/${clientid}/#", "a/u/c/#"),
            ("a/x-${clientid}-y/${clientid}", "a/x-c-y/c"),
            ("${clientid}${username}/+", "cu/+"),
            ("a$b/{clientid}/$", "a$b/{clientid}/$"),
        ],
    )
    def test_filled(self, text: str, expected: str) -> None:
        assert Pattern(text).filter_for(Identity("c", "u")) == expected

    @pytest.mark.parametrize("value", ["+", "#", "a/b", "/", "a+", "#a", ""])
    def test_value_that_means_more_than_itself(self, value: str) -> None:
        """CVE-2017-7650: a client identifier or user name must not widen a rule."""
        assert Pattern("dev/${clientid}/#").filter_for(Identity(value, "u")) is None
        assert Pattern("dev/${username}/#").filter_for(Identity("c", value)) is None
        assert Pattern("dev/#").filter_for(Identity(value, value)) == "dev/#"

    def test_absent_user_name(self) -> None:
        assert Pattern("dev/${username}").filter_for(Identity("c")) is None
        assert Pattern("dev/${clientid}").filter_for(Identity("c")) == "dev/c"

    @pytest.mark.parametrize("value", ["$SYS", "$share", "$"])
    def test_value_that_would_open_a_tree_of_the_brokers_own(self, value: str) -> None:
        assert Pattern("${clientid}/#").filter_for(Identity(value)) is None
        assert Pattern("a/${clientid}/#").filter_for(Identity(value)) == f"a/{value}/#"
        assert Pattern("a${clientid}").filter_for(Identity(value)) == f"a{value}"

    @pytest.mark.parametrize("value", ["${username}", "${clientid}", "a${username}"])
    def test_value_is_not_filled_again(self, value: str) -> None:
        assert Pattern("a/${clientid}").filter_for(Identity(value, "root")) == f"a/{value}"
