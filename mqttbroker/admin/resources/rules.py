"""Access rules: the text of their file as it is, checked, compared, replaced, and what it was before."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta

from mqttbroker.access import DEFAULT, AccessSet
from mqttbroker.admin.access_sets import editable_rules, editing_rules, holds_for, named_set
from mqttbroker.admin.context import Context
from mqttbroker.admin.effects import Changes, Decider, changes_for_clients
from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, endpoint
from mqttbroker.admin.ids import path_id
from mqttbroker.admin.problems import bad_request, conflict, not_found
from mqttbroker.admin.text_diff import text_diff
from mqttbroker.security import (
    NO_FILE,
    AccessList,
    Rule,
    RuleFile,
    RulesChangedMeanwhile,
    SecurityError,
    check_rules,
)

__all__ = [
    "RuleText",
    "RuleView",
    "apply_rules",
    "diff_rules",
    "former_rules",
    "one_former_rules",
    "roll_back_rules",
    "rule_view",
    "rules",
    "validate_rules",
]

LONGEST: Final = 262_144
_PLACE: Final = re.compile(r"rule (\d+)(?:, (.*))?")

Set = Annotated[str, Meta(description="Which rules: ``id`` of one of ``GET /access``.")]
RuleText = Annotated[str, Meta(max_length=LONGEST, description="Rules in TOML.")]
Version = Annotated[
    str, Meta(description="What tells a text from others; ``none`` where there is no file.", max_length=64)
]


class SetQuery(Input):
    """Which rules."""

    set: Set = DEFAULT


class RuleView(Output):
    """A rule as it was understood."""

    number: Annotated[int, Meta(description="Position in the file, from 1.")]
    line: Annotated[int, Meta(description="Where it begins, from 1; 0 where that is not known.")]
    last_line: int
    who: Annotated[list[str], Meta(description="User names; ``*`` and ``anonymous`` as in the file.")]
    clients: list[str] | None
    action: Literal["publish", "subscribe", "both"]
    topics: list[str]
    effect: Literal["allow", "deny"]


class RuleProblem(Output):
    """What is wrong with a text."""

    line: Annotated[int, Meta(description="From 1; 0 where that is not known.")]
    rule: Annotated[int | None, Meta(description="Position of the rule, from 1.")]
    key: str
    message: Annotated[str, Meta(description="What was expected.")]


class Rules(Output):
    """A rule file."""

    set: str
    file: str | None
    text: Annotated[str | None, Meta(description="As it is, comments too; null where there is no file.")]
    version: Version
    rules: list[RuleView]
    problems: list[RuleProblem]
    in_force: Annotated[bool, Meta(description="Whether this text holds, and not what was read of the file before.")]
    editable: bool
    reason: Annotated[str, Meta(description="Why it cannot be edited here.")]


class Draft(Input):
    """Rules that are not in force."""

    text: RuleText


class Validation(Output):
    """What a text was understood as."""

    rules: list[RuleView]
    problems: Annotated[list[RuleProblem], Meta(description="The first mistake of each rule.")]


class Effect(Output):
    """Something that a client that is connected may do from then on, or not any more."""

    client: Annotated[str, Meta(description="``id`` of the client.")]
    client_id: str
    username: str | None
    listener: str
    kind: Annotated[
        Literal["subscription", "part", "publish"],
        Meta(
            description="``subscription``: a filter that it is subscribed to; ``part``: of one; ``publish``: a topic "
            "that it has published to lately."
        ),
    ]
    topic: str
    allowed: bool
    decision: str
    line: Annotated[int, Meta(description="Of the rule that decides; 0: none does.")]


class Effects(Output):
    """What would change for clients that are connected."""

    clients: Annotated[int, Meta(description="Those that were looked at.")]
    complete: Annotated[bool, Meta(description="Whether these are all.")]
    lose: Annotated[int, Meta(description="Clients that could no longer do something.")]
    gain: Annotated[int, Meta(description="Clients that could do something which they cannot do now.")]
    examples: list[Effect]


class RulesDiff(Output):
    """What a draft would change."""

    version: Annotated[str, Meta(description="The version that it was held against, for ``PUT``.")]
    diff: Annotated[str, Meta(description="A unified diff; empty where nothing changes.")]
    problems: list[RuleProblem]
    warnings: list[str]
    effects: Annotated[Effects | None, Meta(description="Null where the draft is not understood.")]


class NewRules(Input):
    """Rules to be put into force."""

    text: RuleText
    version: Annotated[Version, Meta(description="The version that the text was made from.")]


class RulesApplied(Output):
    """What is in force now."""

    version: Version
    rules: int
    warnings: list[str]


class FormerRulesView(Output):
    """A version that was replaced."""

    id: str
    until: Annotated[float, Meta(description="When it was replaced.")]
    version: Version
    size: int
    exists: Annotated[bool, Meta(description="False: there was no file then.")]


class FormerVersions(Output):
    """Versions that are kept, the latest first."""

    items: list[FormerRulesView]


class FormerText(Output):
    """The text of such a version."""

    id: str
    text: str | None


class Rollback(Input):
    """Which version to go back to."""

    id: Annotated[str, Meta(max_length=100)]
    version: Annotated[Version, Meta(description="The version that is there now.")]


@endpoint("GET", f"{PREFIX}/rules", role="admin", tag="rules", summary="Rules in force")
async def rules(call: Call[SetQuery, None]) -> Rules:
    """The file as it is, and what it was understood as."""
    access = call.context.broker.access
    of = named_set(access.rule_sets, call.query.set)
    editable = editable_rules(access, of)
    text, version = await _read(call.context, of)
    understood = await call.context.offload(lambda: check_rules(text or "", "rules"))
    in_force = None if of.path is None else access.rules(of.path)
    return Rules(
        set=of.id,
        file=None if of.path is None else str(of.path),
        text=text,
        version=version,
        rules=[rule_view(each) for each in understood[0]],
        problems=[_problem(each) for each in understood[1]],
        in_force=version == (NO_FILE if in_force is None else in_force.version),
        editable=bool(editable),
        reason=editable.reason,
    )


@endpoint("POST", f"{PREFIX}/rules/validate", role="admin", tag="rules", summary="Check rules")
async def validate_rules(call: Call[None, Draft]) -> Validation:
    """What is wrong with a text, or what it means. Nothing is changed."""
    text = call.body.text
    found, problems = await call.context.offload(lambda: check_rules(text, "draft"))
    return Validation(rules=[rule_view(each) for each in found], problems=[_problem(each) for each in problems])


@endpoint("POST", f"{PREFIX}/rules/diff", role="admin", tag="rules", summary="What would other rules change?")
async def diff_rules(call: Call[SetQuery, Draft]) -> RulesDiff:
    """The difference to the file, and what it would mean for the clients that are connected. Nothing is changed."""
    context = call.context
    of, path = editing_rules(context.broker.access, call.query.set)
    before, version = await _read(context, of)
    text = _like(before, call.body.text)

    def work() -> tuple[tuple[Rule, ...], list[SecurityError], str]:
        found, problems = check_rules(text, str(path))
        return found, problems, text_diff(before or "", text, "in force", "draft")

    found, problems, diff = await context.offload(work)
    effects: Effects | None = None
    warnings: list[str] = []
    if not problems:
        draft = AccessList(found, str(path))
        warnings = _warnings(context, of, path, draft)
        effects = _effects(await _changes(context, path, draft))
    return RulesDiff(
        version=version,
        diff=diff,
        problems=[_problem(each) for each in problems],
        warnings=warnings,
        effects=effects,
    )


@endpoint("PUT", f"{PREFIX}/rules", role="admin", tag="rules", summary="Put other rules into force")
async def apply_rules(call: Call[SetQuery, NewRules]) -> RulesApplied:
    """The text is written as it is, and holds at once for everybody who is connected. 409 where the file is not the
    version that the text was made from, or cannot be written. What was there before is kept: the last 20 versions.
    """
    of, path = editing_rules(call.context.broker.access, call.query.set)
    return await _replace(call, of, path, call.body.version, lambda file, before: _like(before, call.body.text))


@endpoint("GET", f"{PREFIX}/rules/versions", role="admin", tag="rules", summary="What rules were before")
async def former_rules(call: Call[SetQuery, None]) -> FormerVersions:
    """Versions that are kept, the latest first."""
    of = named_set(call.context.broker.access.rule_sets, call.query.set)
    if of.path is None:
        return FormerVersions(items=[])
    file = RuleFile(of.path, of.managed)
    try:
        found = await call.context.offload(file.former)
    except SecurityError as error:
        raise conflict(str(error)) from error
    return FormerVersions(
        items=[
            FormerRulesView(
                id=each.id, until=each.until, version=each.version, size=each.size, exists=each.version != NO_FILE
            )
            for each in found
        ]
    )


@endpoint("GET", f"{PREFIX}/rules/versions/{{id}}", role="admin", tag="rules", summary="One version of the rules")
async def one_former_rules(call: Call[SetQuery, None]) -> FormerText:
    """Its text; null where there was no file then."""
    of = named_set(call.context.broker.access.rule_sets, call.query.set)
    id = call.path["id"]
    if of.path is None:
        raise not_found(f"version {id!r}")
    file = RuleFile(of.path, of.managed)
    return FormerText(id=id, text=await call.context.offload(lambda: _former_text(file, id)))


@endpoint("POST", f"{PREFIX}/rules/rollback", role="admin", tag="rules", summary="Go back to rules that were replaced")
async def roll_back_rules(call: Call[SetQuery, Rollback]) -> RulesApplied:
    """Put a version that was replaced into force again. What is there now is kept in turn."""
    of, path = editing_rules(call.context.broker.access, call.query.set)
    return await _replace(call, of, path, call.body.version, lambda file, _: _former_text(file, call.body.id))


def rule_view(rule: Rule) -> RuleView:
    """A rule as it is shown."""
    words = ["*"] * rule.everybody + ["anonymous"] * rule.anonymous
    return RuleView(
        number=rule.number,
        line=rule.line,
        last_line=rule.last_line,
        who=[*words, *sorted(rule.names)],
        clients=None if rule.clients is None else sorted(rule.clients),
        action="both" if rule.publish and rule.subscribe else "publish" if rule.publish else "subscribe",
        topics=[each.text for each in rule.patterns],
        effect="allow" if rule.allow else "deny",
    )


async def _read(context: Context, of: AccessSet) -> tuple[str | None, str]:
    """Text and version of a file as it is."""
    if of.path is None:
        return None, NO_FILE
    try:
        return await context.offload(RuleFile(of.path, of.managed).read)
    except SecurityError as error:
        raise conflict(str(error)) from error


async def _replace(
    call: Call[SetQuery, NewRules] | Call[SetQuery, Rollback],
    of: AccessSet,
    path: Path,
    version: str,
    make: Callable[[RuleFile, str | None], str | None],
) -> RulesApplied:
    """Write what ``make`` makes of the text that is there, and put it into force."""
    context, now = call.context, call.context.broker.now()
    file = RuleFile(path, of.managed)

    def work() -> tuple[AccessList | None, str]:
        before, _ = file.read()
        text = make(file, before)
        diff = text_diff(before or "", text or "", "before", "after")
        return file.replace(text, version, now), diff

    try:
        found, diff = await context.offload(work)
    except RulesChangedMeanwhile:
        raise conflict("somebody has changed the rules meanwhile; look at them, and apply yours to them") from None
    except SecurityError as error:
        if error.line or error.place or error.problem.startswith("is not valid TOML"):
            where = f"line {error.line}: " if error.line else ""
            place = f"{error.place}: " if error.place else ""
            raise bad_request(f"{where}{place}{error.problem}", "$.text") from error
        raise conflict(str(error)) from error
    warnings = _warnings(context, of, path, found)
    context.broker.access.put_rules(path, found)
    context.broker.core.rules_changed()
    applied = RulesApplied(
        version=NO_FILE if found is None else found.version,
        rules=0 if found is None else len(found.rules),
        warnings=warnings,
    )
    context.log("info", "rules replaced", file=str(path), rules=applied.rules)
    call.changed({"set": of.id, "version": version}, {"version": applied.version, "diff": diff})
    return applied


def _former_text(file: RuleFile, id: str) -> str | None:
    try:
        return file.former_text(id)
    except KeyError:
        raise not_found(f"version {id!r}") from None
    except SecurityError as error:
        raise conflict(str(error)) from error


def _like(before: str | None, text: str) -> str:
    """The text with the ends of lines that the file has; browsers know only one kind."""
    return text.replace("\n", "\r\n") if before and "\r\n" in before and "\r" not in text else text


async def _changes(context: Context, path: Path, draft: AccessList) -> Changes:
    access = context.broker.access
    return await changes_for_clients(context.broker.core, Decider.of(access), Decider(access.authorizers(path, draft)))


def _effects(changes: Changes) -> Effects:
    return Effects(
        clients=changes.clients,
        complete=changes.complete,
        lose=changes.lose,
        gain=changes.gain,
        examples=[
            Effect(
                client=path_id(each.client),
                client_id=each.identity.client_id,
                username=each.identity.username,
                listener=each.identity.listener,
                kind=each.kind,
                topic=each.topic,
                allowed=each.allowed,
                decision=each.decision.rule,
                line=0 if each.rule is None else each.rule.line,
            )
            for each in changes.shown
        ],
    )


def _warnings(context: Context, of: AccessSet, path: Path, draft: AccessList | None) -> list[str]:
    """What somebody should know who puts rules into force, before or just then."""
    access = context.broker.access
    listeners = holds_for(of, context.broker.config.listeners)
    asking = [each for each in listeners if access.security(each).password_file is not None]
    if draft is None:
        warnings = []
        if asking:
            warnings.append("without rules nobody may publish or subscribe, since there are users")
        if len(asking) < len(listeners):
            warnings.append("without rules everybody may publish and subscribe to everything")
        return warnings
    warnings = []
    if not draft.rules:
        warnings.append("there is no rule in it: nobody may publish or subscribe")
    elif access.rules(path) is None:
        warnings.append("these are the first rules: what none of them allows is refused from now on")
    named = any(each.names for each in draft.rules)
    nameless = [
        each.name for each in listeners if each.username_from is None and access.security(each).password_file is None
    ]
    if named and nameless and access.decides_who:
        warnings.append(
            f"rules name users, but nobody is asked for a password at {', '.join(nameless)}: all clients there are "
            "anonymous"
        )
    return warnings


def _problem(error: SecurityError) -> RuleProblem:
    place = _PLACE.fullmatch(error.place)
    key = "" if error.place.startswith("line ") else error.place
    if place is not None:
        key = place[2] or ""
    return RuleProblem(line=error.line, rule=None if place is None else int(place[1]), key=key, message=error.problem)
