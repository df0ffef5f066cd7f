"""From an older layout to the present one, step by step.

Each step is one transaction that ends with the new version number, so that a crash leaves the store at one version or
the next, and the migration is taken up again when it is opened.

Those who only look at a store (statistics, verification) do not migrate it, and read its sessions as its layout has
them: :data:`SESSION_READERS`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import lmdb

from mqttbroker.storage.lmdb import codec
from mqttbroker.storage.lmdb.environment import SCHEMA_KEY, Environment, fetch, rows
from mqttbroker.storage.store import StoreError

__all__ = ["SESSION_READERS", "STEPS", "migrate"]

Step = Callable[[lmdb.Transaction, Mapping[str, lmdb._Database]], None]

_SESSION_1 = struct.Struct(">IdHB")


def _unpack_session_1(data: bytes) -> codec.SessionHeader:
    """A session's header in layout 1, which knows no listeners."""
    expiry_interval, expires_at, username_length, has_username = _SESSION_1.unpack_from(data)
    at = _SESSION_1.size + username_length
    username = data[_SESSION_1.size : at].decode() if has_username else None
    return codec.SessionHeader(data[at:].decode(), username, expiry_interval, expires_at)


def _give_sessions_a_listener(transaction: lmdb.Transaction, databases: Mapping[str, lmdb._Database]) -> None:
    """From layout 1 to 2. A damaged record stays as it is, to be named and set aside when it is read."""
    sessions = databases["sessions"]
    for key in [key for key, _ in rows(transaction, sessions)]:
        with suppress(*codec.UNREADABLE):
            header = _unpack_session_1(codec.unseal(key, fetch(transaction, sessions, key) or b""))
            transaction.put(key, codec.seal(key, codec.pack_session(header)), db=sessions)


STEPS: dict[int, Step] = {1: _give_sessions_a_listener}
"""The step from each version to the one after it."""

SESSION_READERS: dict[int, Callable[[bytes], codec.SessionHeader]] = {1: _unpack_session_1, 2: codec.unpack_session}
"""What reads a session's header, by the version of the layout."""


def migrate(environment: Environment, found: int, wanted: int) -> None:
    """Bring the store from version ``found`` to ``wanted``. Raises :class:`StoreError` when there is no way."""
    for version in range(found, wanted):
        if version not in STEPS:
            raise StoreError(f"the store has layout {version}, from which this version cannot migrate")
        environment.write(partial(_take_step, environment.databases, version))


def _take_step(databases: Mapping[str, lmdb._Database], version: int, transaction: lmdb.Transaction) -> None:
    STEPS[version](transaction, databases)
    transaction.put(SCHEMA_KEY, (version + 1).to_bytes(4, "big"), db=databases["meta"])
