"""From an older layout to the present one, step by step.

Each step is one transaction that ends with the new version number, so that a crash leaves the store at one version or
the next, and the migration is taken up again when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import lmdb

from mqttbroker.storage.store import StoreError

__all__ = ["STEPS", "migrate"]

Step = Callable[[lmdb.Transaction, Mapping[str, lmdb._Database]], None]

STEPS: dict[int, Step] = {}
"""The step from each version to the one after it."""


def migrate(environment: lmdb.Environment, databases: Mapping[str, lmdb._Database], found: int, wanted: int) -> None:
    """Bring the store from version ``found`` to ``wanted``. Raises :class:`StoreError` when there is no way."""
    for version in range(found, wanted):
        step = STEPS.get(version)
        if step is None:
            raise StoreError(f"the store has layout {version}, from which this version cannot migrate")
        with environment.begin(write=True) as transaction:
            step(transaction, databases)
            transaction.put(b"schema", (version + 1).to_bytes(4, "big"), db=databases["meta"])
