"""Decisions by rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.broker.authority import Action, Identity
from mqttbroker.security import AccessList, SecurityError, parse_rules

ALICE = Identity("c", "alice")
NOBODY = Identity("c")


def access(*rules: tuple[str, str, list[str], str]) -> AccessList:
    """An access list of (effect, action, topics, who) rows."""
    text = "".join(
        f'[[rules]]\nwho = "{who}"\naction = "{action}"\ntopics = {topics}\neffect = "{effect}"\n'
        for effect, action, topics, who in rules
    )
    return AccessList(parse_rules(text, "acl.toml"), "acl.toml")


def allowed(acl: AccessList, identity: Identity, action: Action, topic: str) -> bool:
    return acl.decide(identity, action, topic).allowed


class TestDefault:
    @pytest.mark.parametrize("action", ["publish", "subscribe", "receive"])
    def test_no_rules_deny_everything(self, action: Action) -> None:
        decision = access().decide(ALICE, action, "a")
        assert (decision.allowed, decision.rule) == (False, "no rule allows it")

    def test_empty_file_denies_everything(self, tmp_path: Path) -> None:
        """CVE-2018-12550: an empty file allowed everything."""
        path = tmp_path / "acl.toml"
        path.write_text("")
        assert not allowed(AccessList.load(path), ALICE, "publish", "a")

    def test_broken_file_makes_no_access_list(self, tmp_path: Path) -> None:
        path = tmp_path / "acl.toml"
        path.write_text("[[rules]]\n")
        with pytest.raises(SecurityError):
            AccessList.load(path)

    def test_others_rules_do_not_count(self) -> None:
        acl = access(("allow", "both", ["#"], "bob"))
        assert not allowed(acl, ALICE, "publish", "a")
        assert not allowed(acl, NOBODY, "publish", "a")


class TestOrder:
    def test_first_match_decides(self) -> None:
        acl = access(
            ("deny", "publish", ["a/secret"], "*"), ("allow", "publish", ["a/+"], "*"), ("deny", "both", ["#"], "*")
        )
        assert allowed(acl, ALICE, "publish", "a/b")
        assert not allowed(acl, ALICE, "publish", "a/secret")
        assert not allowed(acl, ALICE, "publish", "b")

    def test_decision_names_the_rule_and_the_filter(self) -> None:
        acl = access(
            ("allow", "subscribe", ["x"], "*"),
            ("allow", "both", ["a/#", "b/#"], "*"),
            ("deny", "publish", ["secret/#", "dev/${clientid}"], "*"),
        )
        assert acl.decide(ALICE, "publish", "b/c").rule == "acl.toml rule 2 (allow publish b/#)"
        assert acl.decide(ALICE, "subscribe", "b/c").rule == "acl.toml rule 2 (allow subscribe b/#)"
        assert acl.decide(ALICE, "receive", "a").rule == "acl.toml rule 2 (allow subscribe a/#)"
        assert acl.decide(ALICE, "publish", "secret/x").rule == "acl.toml rule 3 (deny publish secret/#)"
        assert acl.decide(ALICE, "publish", "dev/c").rule == "acl.toml rule 3 (deny publish dev/${clientid})"

    def test_path_of_the_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "acl.toml"
        path.write_text('[[rules]]\nwho = "*"\naction = "both"\ntopics = ["#"]\neffect = "deny"\n')
        assert AccessList.load(path).decide(ALICE, "publish", "a").rule == f"{path} rule 1 (deny publish #)"


class TestActions:
    def test_publish_only(self) -> None:
        acl = access(("allow", "publish", ["a"], "*"))
        assert allowed(acl, ALICE, "publish", "a")
        assert not allowed(acl, ALICE, "subscribe", "a")
        assert not allowed(acl, ALICE, "receive", "a")

    def test_subscribe_only(self) -> None:
        acl = access(("allow", "subscribe", ["a"], "*"))
        assert not allowed(acl, ALICE, "publish", "a")
        assert allowed(acl, ALICE, "subscribe", "a")
        assert allowed(acl, ALICE, "receive", "a")


class TestSubscribing:
    def test_rule_must_cover_the_whole_filter(self) -> None:
        acl = access(("allow", "subscribe", ["a/#"], "*"))
        assert allowed(acl, ALICE, "subscribe", "a/+/c")
        assert not allowed(acl, ALICE, "subscribe", "+/b")
        assert not allowed(acl, ALICE, "subscribe", "#")

    def test_denied_part_is_withheld_at_delivery(self) -> None:
        """CVE-2018-12546: what is denied under an allowed wildcard is not delivered, whenever it was stored."""
        acl = access(("deny", "subscribe", ["secret/#"], "*"), ("allow", "subscribe", ["#"], "*"))
        assert allowed(acl, ALICE, "subscribe", "#")
        assert allowed(acl, ALICE, "subscribe", "+/x")
        assert not allowed(acl, ALICE, "subscribe", "secret/#")
        assert not allowed(acl, ALICE, "subscribe", "secret/x")
        assert allowed(acl, ALICE, "receive", "open/x")
        assert not allowed(acl, ALICE, "receive", "secret/x")
        assert not allowed(acl, ALICE, "receive", "secret")

    def test_dollar_topics_need_a_rule_of_their_own(self) -> None:
        acl = access(("allow", "both", ["#"], "*"))
        for action in ("publish", "subscribe", "receive"):
            assert not allowed(acl, ALICE, action, "$SYS/uptime")
        assert not allowed(acl, ALICE, "subscribe", "$SYS/#")
        assert allowed(access(("allow", "subscribe", ["$SYS/#"], "*")), ALICE, "subscribe", "$SYS/#")

    def test_shared_subscription_is_decided_on_the_filter_inside(self) -> None:
        acl = access(("deny", "subscribe", ["secret/#"], "*"), ("allow", "subscribe", ["#"], "*"))
        assert allowed(acl, ALICE, "subscribe", "$share/g/a/+")
        assert not allowed(acl, ALICE, "subscribe", "$share/g/secret/x")
        assert not allowed(acl, ALICE, "subscribe", "$share/g/$SYS/#")
        assert acl.decide(ALICE, "subscribe", "$share/secret/a").rule == "acl.toml rule 2 (allow subscribe #)"

    @pytest.mark.parametrize("topic_filter", ["$share", "$share/", "$share/g", "$share/g/", "$share/+/a", "$share//a"])
    def test_malformed_shared_filter_is_denied(self, topic_filter: str) -> None:
        decision = access(("allow", "subscribe", ["#", "$share2/#"], "*")).decide(ALICE, "subscribe", topic_filter)
        assert not decision.allowed
        assert decision.rule not in {"", "no rule allows it"}


class TestPlaceholders:
    """A client's name stands for itself and nothing else."""

    ACL = access(
        ("allow", "both", ["dev/${clientid}/#"], "*"),
        ("allow", "both", ["home/${username}/#"], "*"),
        ("allow", "both", ["${clientid}/own"], "*"),
    )

    def test_own_topics(self) -> None:
        for action in ("publish", "subscribe", "receive"):
            assert allowed(self.ACL, ALICE, action, "dev/c/x")
            assert allowed(self.ACL, ALICE, action, "home/alice/x")
            assert allowed(self.ACL, ALICE, action, "c/own")
            assert not allowed(self.ACL, ALICE, action, "dev/d/x")
            assert not allowed(self.ACL, ALICE, action, "home/bob/x")
        assert allowed(self.ACL, ALICE, "subscribe", "dev/c/#")

    @pytest.mark.parametrize("name", ["+", "#", "a/b", "/", "", "+/+", "a/#"])
    def test_name_that_acts_as_a_wildcard_or_spans_levels(self, name: str) -> None:
        """CVE-2017-7650."""
        identity = Identity(name, name)
        filters = [
            f"dev/{name}/#",
            f"home/{name}/#",
            "dev/#",
            "dev/+/x",
            "home/#",
            "dev/a/b/x",
            "#",
            "dev//x",
            f"{name}/own",
        ]
        for topic in [*filters, "dev/a/x", "home/a/x", "x/own"]:
            assert not allowed(self.ACL, identity, "subscribe", topic)
        for topic in ("dev/a/x", "dev/a/b/x", "dev//x", "home/a/x", "home/a/b/x", "dev/x", "x/own", "/own", "a/b/own"):
            assert not allowed(self.ACL, identity, "publish", topic)
            assert not allowed(self.ACL, identity, "receive", topic)

    @pytest.mark.parametrize("name", [".*", "a|b", "(", "[a-z]", "a\\", "^", "%c", "${username}", "{0}"])
    def test_name_that_means_something_elsewhere(self, name: str) -> None:
        """CVE-2026-44838: client identifiers were put into a regular expression unescaped."""
        identity = Identity(name, name)
        assert allowed(self.ACL, identity, "publish", f"dev/{name}/x")
        assert allowed(self.ACL, identity, "publish", f"home/{name}/x")
        for topic in ("dev/a/x", "dev/b/x", "home/a/x", "dev/alice/x", "dev//x"):
            assert not allowed(self.ACL, identity, "publish", topic)

    def test_absent_names(self) -> None:
        """CVE-2026-32696: templates without a user name to fill them."""
        for identity in (NOBODY, Identity(""), Identity("", None, "192.0.2.1")):
            for topic in ("home/x", "home//x", "home/None/x", "home/${username}/x", "dev//x", "/own"):
                for action in ("publish", "subscribe", "receive"):
                    assert not allowed(self.ACL, identity, action, topic)

    def test_name_that_begins_with_a_dollar(self) -> None:
        acl = access(("allow", "both", ["${clientid}/#"], "*"))
        identity = Identity("$SYS")
        assert not allowed(acl, identity, "publish", "$SYS/x")
        assert not allowed(acl, identity, "subscribe", "$SYS/#")

    def test_next_filter_and_next_rule_are_still_tried(self) -> None:
        acl = access(("deny", "publish", ["dev/${username}/#", "x"], "*"), ("allow", "publish", ["y"], "*"))
        assert acl.decide(NOBODY, "publish", "x").rule == "acl.toml rule 1 (deny publish x)"
        assert allowed(acl, NOBODY, "publish", "y")


def test_example_file() -> None:
    """What the comments of the file that comes with the broker say."""
    acl = AccessList.load(Path(__file__).parents[2] / "config" / "acl.toml")
    device, dashboard = Identity("x", "lamp-1"), Identity("x", "dashboard")
    assert allowed(acl, NOBODY, "subscribe", "$SYS/#")
    assert allowed(acl, device, "publish", "devices/lamp-1/state/on")
    assert allowed(acl, device, "subscribe", "devices/lamp-1/commands/#")
    assert not allowed(acl, device, "publish", "devices/lamp-2/state/on")
    assert not allowed(acl, device, "subscribe", "#")
    assert not allowed(acl, NOBODY, "publish", "devices/lamp-1/state/on")
    assert allowed(acl, dashboard, "subscribe", "#")
    assert not allowed(acl, dashboard, "receive", "private/x")
    assert not allowed(acl, dashboard, "publish", "a")
    assert allowed(acl, Identity("scheduler-1", "scheduler"), "publish", "devices/lamp-1/commands/on")
    assert not allowed(acl, Identity("elsewhere", "scheduler"), "publish", "devices/lamp-1/commands/on")
