"""Which files of users and rules there are, which of them may be edited, and what follows from the first of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mqttbroker.access import Access, AccessSet
from mqttbroker.admin.problems import conflict, not_found
from mqttbroker.config import ListenerConfig, is_there

__all__ = ["Editable", "editable_rules", "editable_users", "editing_rules", "editing_users", "holds_for", "named_set"]

BY_PROGRAM = "the program that runs the broker decides this, and no file"
NOWHERE = "the configuration names no file, and without a data directory there is no place for one"


@dataclass(frozen=True, slots=True)
class Editable:
    """Whether a file may be edited here, and if not, why."""

    reason: str

    def __bool__(self) -> bool:
        return not self.reason


def named_set(sets: list[AccessSet], id: str) -> AccessSet:
    """The set of this name. Raises a problem where there is none."""
    for each in sets:
        if each.id == id:
            return each
    raise not_found(f"set {id!r}; there are {', '.join(each.id for each in sets)}")


def editable_users(access: Access, of: AccessSet) -> Editable:
    """Whether its users may be edited."""
    return Editable(_reason(of) if access.decides_who else BY_PROGRAM)


def editable_rules(access: Access, of: AccessSet) -> Editable:
    """Whether its rules may be edited."""
    return Editable(_reason(of) if access.decides_what else BY_PROGRAM)


def editing_users(access: Access, id: str) -> tuple[AccessSet, Path]:
    """The set whose users are to be edited, and its file. Raises a problem where that cannot be."""
    of = named_set(access.user_sets, id)
    return _editing(of, editable_users(access, of))


def editing_rules(access: Access, id: str) -> tuple[AccessSet, Path]:
    """The set whose rules are to be edited, and its file, as above."""
    of = named_set(access.rule_sets, id)
    return _editing(of, editable_rules(access, of))


def holds_for(of: AccessSet, listeners: tuple[ListenerConfig, ...]) -> list[ListenerConfig]:
    """The listeners of a set."""
    return [each for each in listeners if each.name in of.listeners]


def _editing(of: AccessSet, editable: Editable) -> tuple[AccessSet, Path]:
    if not editable or of.path is None:
        raise conflict(f"this cannot be changed here: {editable.reason}")
    return of, of.path


def _reason(of: AccessSet) -> str:
    if of.path is None:
        return NOWHERE
    # A link is followed, and the file is replaced where it leads.
    path = Path(os.path.realpath(of.path))
    directory = path.parent
    try:
        if not is_there(directory):
            return "" if of.managed else f"there is no directory {directory}"
        there = is_there(path)
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if there and not os.access(path, os.W_OK):
        return f"the broker may not write to {path}"
    if not os.access(directory, os.W_OK):
        return f"the broker may not write to {directory}, in which the file would be replaced"
    return ""
