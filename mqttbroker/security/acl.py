"""Who may publish and subscribe to what, by a list of rules. The first rule that matches decides; if none does, no.

What "matches" means for a topic filter of the rule:

- publish: it matches the topic name;
- subscribe: it covers the whole filter that the client asks for (see ``covers.py``), or, in a shared subscription, the
  filter inside. So ``deny secret/#`` before ``allow #`` lets a client subscribe to ``#``;
- receive: rules for subscribing are held against the name of the topic that is about to be delivered. So that same
  client is sent everything but ``secret/#``. This closes what covering leaves open, and what was granted earlier.

Decisions are computed anew each time: routes and subscriptions remember them, and ask again when the rules change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mqttbroker.broker.authority import Action, Decision, Identity
from mqttbroker.security.covers import covers
from mqttbroker.security.rules import Pattern, Rule, load_rules, read_rules, version_of
from mqttbroker.topics import InvalidTopicFilter, filter_matches, filters_overlap, split_share

__all__ = ["AccessList"]

_NO_RULE: Final = Decision(False, "no rule allows it")


class AccessList:
    """An authoriser by rules. Never changes: rules that were read anew make a new one."""

    __slots__ = ("_publish", "_subscribe", "rules", "version")

    def __init__(self, rules: Sequence[Rule], source: str, version: str = "") -> None:
        """``source`` is what decisions call the list, such as the path of its file; ``version`` tells its text from
        others.
        """
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.version: str = version
        self._publish: list[_Prepared] = [_prepare(rule, "publish", source) for rule in rules if rule.publish]
        self._subscribe: list[_Prepared] = [_prepare(rule, "subscribe", source) for rule in rules if rule.subscribe]

    @classmethod
    def load(cls, path: Path) -> AccessList:
        """Read a rule file. Raise :class:`mqttbroker.security.errors.SecurityError` when any of it is wrong."""
        content = read_rules(path)
        return cls(load_rules(path, content), str(path), version_of(content))

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Decide on a topic name ("publish", "receive") or a topic filter ("subscribe")."""
        matches: Callable[[str, str], bool] = filter_matches
        if action == "subscribe":
            matches = covers
            try:
                topic = split_share(topic)[1]
            except InvalidTopicFilter as error:
                return Decision(False, str(error))
        for rule, decisions in self._publish if action == "publish" else self._subscribe:
            if rule.concerns(identity):
                for pattern, decision in decisions:
                    topic_filter = pattern.filter_for(identity)
                    if topic_filter is not None and matches(topic_filter, topic):
                        return decision
        return _NO_RULE

    def rule_of(self, decision: Decision) -> Rule | None:
        """The rule that made a decision of this list; ``None`` where none did."""
        for rule, decisions in (*self._publish, *self._subscribe):
            if any(each is decision for _, each in decisions):
                return rule
        return None

    def withheld(self, identity: Identity, topic_filter: str) -> dict[str, Rule]:
        """What a subscription is not sent although it is granted: filters that overlap with it and are denied, each
        with its rule. The filter is one that this list allows, without a share.
        """
        found: dict[str, Rule] = {}
        for rule, decisions in self._subscribe:
            if not rule.concerns(identity):
                continue
            for pattern, _ in decisions:
                own = pattern.filter_for(identity)
                if own is None:
                    continue
                if not rule.allow and filters_overlap(own, topic_filter):
                    found.setdefault(own, rule)
                if rule.allow and covers(own, topic_filter):
                    return found
        return found


_Prepared = tuple[Rule, list[tuple[Pattern, Decision]]]
"""A rule, and for each of its filters the decision that it makes."""


def _prepare(rule: Rule, action: str, source: str) -> _Prepared:
    effect = "allow" if rule.allow else "deny"
    return rule, [
        (pattern, Decision(rule.allow, f"{source} rule {rule.number} ({effect} {action} {pattern.text})"))
        for pattern in rule.patterns
    ]
