"""Who is asked who he is and held to which rules, and what a client may do: "may u publish to a/b?"."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from mqttbroker.access import Access, AccessSet
from mqttbroker.admin.access_sets import editable_rules, editable_users
from mqttbroker.admin.effects import Decider, every
from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, endpoint
from mqttbroker.admin.problems import bad_request
from mqttbroker.admin.resources.rules import RuleText, RuleView, rule_view
from mqttbroker.broker import Connection, EverythingAllowed, Identity
from mqttbroker.config import ListenerConfig
from mqttbroker.security import AccessList, SecurityError, parse_rules
from mqttbroker.sessions import mounted_filter
from mqttbroker.topics import InvalidTopicFilter, InvalidTopicName, check_topic_filter, check_topic_name

__all__ = ["access_sets", "what_if"]


class UserSetView(Output):
    """A password file, and the listeners that ask for its passwords."""

    id: Annotated[str, Meta(description="``default``, or ``listener:NAME``.")]
    file: str | None
    in_force: Annotated[bool, Meta(description="False where there is no file yet: nobody is asked for a password.")]
    managed: Annotated[bool, Meta(description="Whether it is in the data directory, and no configuration names it.")]
    listeners: list[str]
    users: int
    anonymous: Annotated[list[str], Meta(description="Those of the listeners that let in clients without a user name.")]
    anonymous_later: Annotated[
        list[str], Meta(description="Those that do so also with users, since ``allow_anonymous`` says so.")
    ]
    without_name: Annotated[int, Meta(description="Clients without a user name that are connected there now.")]
    editable: bool
    reason: Annotated[str, Meta(description="Why it cannot be edited here.")]


class RuleSetView(Output):
    """A rule file, and the listeners whose clients are held to it."""

    id: Annotated[str, Meta(description="``default``, or ``listener:NAME``.")]
    file: str | None
    in_force: Annotated[bool, Meta(description="False where there is no file yet.")]
    managed: Annotated[bool, Meta(description="Whether it is in the data directory, and no configuration names it.")]
    listeners: list[str]
    rules: int
    open: Annotated[list[str], Meta(description="Those of the listeners where everybody may do everything.")]
    editable: bool
    reason: Annotated[str, Meta(description="Why it cannot be edited here.")]


class AccessView(Output):
    """Files of users and rules. The one in ``[security]``, or in the data directory, is the first."""

    users: list[UserSetView]
    rules: list[RuleSetView]


class WhatIf(Input):
    """Who would like to do what."""

    topic: Annotated[str, Meta(min_length=1, max_length=65_535, description="A topic, or a filter to subscribe to.")]
    action: Literal["publish", "subscribe"]
    user: Annotated[
        Annotated[str, Meta(max_length=65_535)] | None, Meta(description="``null``: a client without a user name.")
    ] = None
    client: Annotated[str, Meta(max_length=65_535, description="Client identifier.")] = ""
    listener: Annotated[str, Meta(description="Through which it comes; empty: the first.")] = ""
    address: str = ""
    text: Annotated[RuleText | None, Meta(description="Rules that are not in force, to be asked instead.")] = None


class Withheld(Output):
    """A part that a subscriber is not sent."""

    filter: str
    rule: RuleView


class Answer(Output):
    """Whether it may, and why."""

    allowed: bool
    because: Annotated[
        Literal["rule", "default", "no_rules", "broker"],
        Meta(
            description="``rule``: this rule; ``default``: no rule allows it; ``no_rules``: there are none, and "
            "everybody may do everything; ``broker``: whatever the rules say."
        ),
    ]
    decision: Annotated[str, Meta(description="The same in words, as in the log.")]
    set: Annotated[str, Meta(description="The rules that were asked.")]
    rule: RuleView | None
    withheld: Annotated[list[Withheld], Meta(description="Of a subscription: what it is not sent all the same.")]
    notes: Annotated[list[str], Meta(description="What else there is to know, such as that nobody is asked his name.")]


@endpoint("GET", f"{PREFIX}/access", role="admin", tag="access", summary="Files of users and rules")
async def access_sets(call: Call[None, None]) -> AccessView:
    """Which there are, for which listeners, and whether they can be edited here."""
    access, config = call.context.broker.access, call.context.broker.config
    without_name: dict[str, int] = {}

    def look(connection: Connection) -> None:
        identity = connection.identity
        if identity.username is None:
            without_name[identity.listener] = without_name.get(identity.listener, 0) + 1

    await every(call.context.broker.core, look)
    return AccessView(
        users=[_user_set(access, config.listeners, each, without_name) for each in access.user_sets],
        rules=[_rule_set(access, each) for each in access.rule_sets],
    )


@endpoint("POST", f"{PREFIX}/access/what-if", role="admin", tag="access", summary="What may a client do?")
async def what_if(call: Call[None, WhatIf]) -> Answer:
    """The decision and the rule that makes it; by the rules in force, or by a draft. Nothing is changed."""
    body, context = call.body, call.context
    access = context.broker.access
    listener = _listener(context.broker.config.listeners, body.listener)
    topic = _mounted(listener, body)
    of = next(each for each in access.rule_sets if listener.name in each.listeners)
    decider = Decider.of(access)
    if body.text is not None:
        decider = Decider(access.authorizers(of.path, await context.offload(lambda: _draft(body.text or "", of))))
    identity = Identity(body.client, body.user, body.address, listener.name)
    notes = _notes(access, listener, body)
    if body.action == "publish" and topic.startswith("$", len(listener.mount_point)):
        decision = context.broker.core.may_publish(identity, topic, listener.mount_point)
        return _answer(False, "broker", decision.rule, of, notes)
    authorizer = decider.at(listener.name)
    if not access.decides_what:
        decision = context.broker.core.authorizer.decide(identity, body.action, topic)
        return _answer(decision.allowed, "broker", decision.rule, of, notes)
    decision, rule = decider.decide(identity, body.action, topic)
    if isinstance(authorizer, EverythingAllowed):
        return _answer(True, "no_rules", decision.rule, of, notes)
    answer = _answer(decision.allowed, "default" if rule is None else "rule", decision.rule, of, notes)
    answer.rule = None if rule is None else rule_view(rule)
    if decision.allowed and body.action == "subscribe":
        withheld = decider.withheld(identity, topic)
        answer.withheld = [Withheld(filter=each, rule=rule_view(denying)) for each, denying in withheld.items()]
    return answer


def _answer(
    allowed: bool,
    because: Literal["rule", "default", "no_rules", "broker"],
    decision: str,
    of: AccessSet,
    notes: list[str],
) -> Answer:
    return Answer(allowed=allowed, because=because, decision=decision, set=of.id, rule=None, withheld=[], notes=notes)


def _draft(text: str, of: AccessSet) -> AccessList:
    try:
        return AccessList(parse_rules(text, "draft"), str(of.path or "draft"))
    except SecurityError as error:
        where = f"line {error.line}: " if error.line else ""
        raise bad_request(f"{where}{error}", "$.text") from error


def _listener(listeners: tuple[ListenerConfig, ...], name: str) -> ListenerConfig:
    for each in listeners:
        if not name or each.name == name:
            return each
    raise bad_request(f"there is no listener {name!r}", "$.listener")


def _mounted(listener: ListenerConfig, body: WhatIf) -> str:
    """The topic as the broker knows it."""
    try:
        if body.action == "publish":
            check_topic_name(body.topic)
            return listener.mount_point + body.topic
        check_topic_filter(body.topic)
        return mounted_filter(listener.mount_point, body.topic)
    except (InvalidTopicName, InvalidTopicFilter) as error:
        raise bad_request(str(error), "$.topic") from error


def _notes(access: Access, listener: ListenerConfig, body: WhatIf) -> list[str]:
    if not access.decides_who:
        return []
    security = access.security(listener)
    if body.user is None:
        if security.anonymous or listener.username_from is not None:
            return []
        return [f"the listener {listener.name} lets in nobody without a user name"]
    if security.password_file is None:
        if listener.username_from is not None:
            return []
        return [
            f"the listener {listener.name} asks nobody for a password, so that user names count for nothing there: "
            "rules take all its clients for anonymous"
        ]
    users = access.users(security.password_file)
    if users is not None and body.user not in users and listener.username_from is None:
        return [f"there is no user {body.user!r}, who could log in at the listener {listener.name}"]
    return []


def _user_set(
    access: Access, listeners: tuple[ListenerConfig, ...], of: AccessSet, without_name: dict[str, int]
) -> UserSetView:
    users = None if of.path is None else access.users(of.path)
    mine = [each for each in listeners if each.name in of.listeners]
    editable = editable_users(access, of)
    return UserSetView(
        id=of.id,
        file=None if of.path is None else str(of.path),
        in_force=users is not None,
        managed=of.managed,
        listeners=list(of.listeners),
        users=0 if users is None else len(users),
        anonymous=[each.name for each in mine if access.security(each).anonymous],
        anonymous_later=[each.name for each in mine if access.security(each).allow_anonymous],
        without_name=sum(without_name.get(each, 0) for each in of.listeners),
        editable=bool(editable),
        reason=editable.reason,
    )


def _rule_set(access: Access, of: AccessSet) -> RuleSetView:
    rules = None if of.path is None else access.rules(of.path)
    decider = Decider.of(access)
    editable = editable_rules(access, of)
    return RuleSetView(
        id=of.id,
        file=None if of.path is None else str(of.path),
        in_force=rules is not None,
        managed=of.managed,
        listeners=list(of.listeners),
        rules=0 if rules is None else len(rules.rules),
        open=[each for each in of.listeners if isinstance(decider.at(each), EverythingAllowed)],
        editable=bool(editable),
        reason=editable.reason,
    )
