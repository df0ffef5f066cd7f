"""The LMDB store passes what every store must pass; also when it is closed and opened anew at any moment."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest

from mqttbroker.storage import Store
from mqttbroker.storage.lmdb import LmdbStore
from tests.storage.contract import StoreContract, StoreFactory
from tests.storage.lmdb.support import Harness
from tests.storage.model import StoreMachine


class TestLmdbStore(StoreContract):
    harness: Harness

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> StoreFactory:
        numbers = itertools.count()

        def make() -> LmdbStore:
            self.harness = Harness(tmp_path / str(next(numbers)))
            return self.harness.open("os")

        return make

    def settle(self, store: Store) -> None:
        assert isinstance(store, LmdbStore)
        self.harness.settle(store)


class LmdbMachine(StoreMachine):
    def make_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        self.harness = Harness(Path(self.folder.name))
        return self.harness.open("os")

    def settle(self) -> None:
        assert isinstance(self.store, LmdbStore)
        self.harness.settle(self.store)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestLmdbAgainstModel = LmdbMachine.TestCase
