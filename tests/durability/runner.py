"""A broker that kills itself at a named point: ``python -m tests.durability.runner POINT[:COUNT] serve ...``.

The points are places in the broker that nobody outside can hit by chance. Each is a function that is wrapped; the
process is killed as it is entered, or left, for the COUNT-th time; where TEST_ARMED names a file, only the times count
while that file is there.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import lmdb

from mqttbroker.broker.core import BrokerCore
from mqttbroker.broker.registry import Registry
from mqttbroker.storage.lmdb import environment, migrations, opening, store, writer

__all__ = ["POINTS", "main"]

POINTS: dict[str, tuple[object, str, bool]] = {
    "before-commit": (writer.Writer, "_commit", False),
    "in-transaction": (writer, "_apply_changes", False),
    "after-transaction": (writer._Applied, "apply", True),
    "after-commit": (environment.Environment, "write", True),
    "before-callbacks": (store.LmdbStore, "_complete", False),
    "after-callbacks": (store.LmdbStore, "_complete", True),
    "after-flush": (BrokerCore, "flush", True),
    "mid-will": (Registry, "_forget_will", True),
    "mid-expiry": (store.LmdbStore, "delete_session", True),
    "mid-burial": (writer, "_delete_slice", False),
    "mid-takeover": (Registry, "take_over", True),
    "creation-begun": (opening, "_open_databases", True),
    "creation-done": (opening, "sync", False),
    "recovery-opened": (opening, "open_environment", True),
    "recovery-numbers": (store.LmdbStore, "_load_numbers", True),
    "recovery-sessions": (Registry, "_resume_clocks", True),
    "recovery-loaded": (Registry, "load", True),
    "recovery-committed": (environment.Environment, "write", True),
}
"""Name: where the function is, its name, and whether the process dies after it instead of before."""

SCHEMA = environment.SCHEMA


def arm(name: str, count: int) -> None:
    """Make the process die at the point."""
    owner, attribute, after = POINTS[name]
    original: Callable[..., Any] = getattr(owner, attribute)
    passed = 0
    armed = os.environ.get("TEST_ARMED")

    def count_down() -> None:
        nonlocal passed
        if armed is not None and not os.path.exists(armed):
            return
        passed += 1
        if passed == count:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(original)
    def dying(*arguments: Any, **keywords: Any) -> Any:
        if not after:
            count_down()
        result = original(*arguments, **keywords)
        if after:
            count_down()
        return result

    setattr(owner, attribute, dying)
    # Those that have imported the function by name.
    for module in (environment, migrations, opening, store, writer):
        if getattr(module, attribute, None) is original:
            setattr(module, attribute, dying)


def pretend_newer() -> None:
    """Pretend to be a version two layouts ahead. Its first step is a point of its own, and so is its second."""
    dying = int(os.environ.get("TEST_MIGRATION_DIES_IN", "0"))

    def step(number: int) -> migrations.Step:
        def migrate(transaction: lmdb.Transaction, databases: Mapping[str, lmdb._Database]) -> None:
            transaction.put(f"step {number}".encode(), b"done", db=databases["meta"])
            if number == dying:
                os.kill(os.getpid(), signal.SIGKILL)

        return migrate

    vars(opening)["SCHEMA"] = SCHEMA + 2
    migrations.STEPS.update({SCHEMA: step(1), SCHEMA + 1: step(2)})


def become(number: int) -> None:
    """Be somebody else from the moment on when the store is opened: the interpreter may be root's own."""
    original: Callable[..., environment.Environment] = vars(store)["open_environment"]
    "".encode("idna")  # The event loop looks this one up later.

    @functools.wraps(original)
    def open_environment(*arguments: Any, **keywords: Any) -> environment.Environment:
        os.setgroups([])
        os.setgid(number)
        os.setuid(number)
        return original(*arguments, **keywords)

    vars(store)["open_environment"] = open_environment


def main() -> None:
    """Arm the point, shrink the map or raise the layout where that is asked for, and run the broker."""
    name, _, count = sys.argv[1].partition(":")
    if "TEST_MIGRATION_DIES_IN" in os.environ:
        pretend_newer()
    size = os.environ.get("TEST_FIRST_MAP_SIZE")
    if size:
        opening.FIRST_MAP_SIZE = int(size)
    if name != "none":
        arm(name, int(count or 1))
    sys.argv = ["mqttbroker", *sys.argv[2:]]
    if "TEST_BECOME" in os.environ:
        become(int(os.environ["TEST_BECOME"]))
    from mqttbroker.cli import main as run

    run()


if __name__ == "__main__":
    main()
