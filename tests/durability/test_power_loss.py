"""D3, D4: the power fails. Everything that a sync has confirmed is on the disk, and of the rest any part, torn writes
included; see ``shim.py``. The long run is ``python -m tests.durability.crash --power-loss``.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.durability.crash import BrokerFailed, run_rounds
from tests.durability.shim import SYNC, TRUNCATE, WRITE, Operation, after_power_cut

ROUNDS = 2
SEED = 30
ATTEMPTS = 20


@pytest.mark.timeout(180)
async def test_d3_d4_after_a_power_cut_nothing_acknowledged_is_lost(tmp_path: Path, library: Path) -> None:
    assert await run_rounds(ROUNDS, SEED, tmp_path, library) > 0


@pytest.mark.timeout(300)
async def test_the_harness_finds_what_a_broker_loses_that_does_not_sync(tmp_path: Path, library: Path) -> None:
    """The same with durability "os", which promises nothing here, so that the oracle must find losses."""
    with pytest.raises(BrokerFailed) as caught:
        await run_rounds(ATTEMPTS, SEED, tmp_path, library, durability="os")
    assert caught.value.violations


class TestAfterPowerCut:
    """The file that is built from a record of writes and syncs."""

    def write(self, offset: int, data: bytes, began: int, synced: bool = False) -> Operation:
        return Operation(WRITE, synced, offset, len(data), began, began + 1, data)

    def sync(self, began: int) -> Operation:
        return Operation(SYNC, False, 0, 0, began, began + 1, b"")

    def outcomes(self, operations: list[Operation], moment: int) -> set[bytes]:
        return {after_power_cut(b"....", operations, moment, random.Random(seed)) for seed in range(200)}

    def test_what_was_synced_is_there(self) -> None:
        assert self.outcomes([self.write(0, b"ab", 1), self.sync(3)], 10) == {b"ab.."}

    def test_what_was_not_synced_may_be_there(self) -> None:
        assert self.outcomes([self.write(0, b"ab", 1)], 10) == {b"ab..", b"...."}

    def test_a_sync_that_had_not_ended_promises_nothing(self) -> None:
        assert self.outcomes([self.write(0, b"ab", 1), self.sync(3)], 3) == {b"ab..", b"...."}

    def test_a_sync_promises_nothing_about_what_is_written_after_it_began(self) -> None:
        assert self.outcomes([self.sync(3), self.write(0, b"ab", 3)], 10) == {b"ab..", b"...."}

    def test_writes_that_are_synced_themselves(self) -> None:
        assert self.outcomes([self.write(2, b"ab", 1, synced=True)], 10) == {b"..ab"}

    def test_writes_are_torn_at_sectors(self) -> None:
        found = self.outcomes([self.write(0, b"a" * 1_024, 1)], 10)
        assert b"a" * 512 in found
        assert bytes(512).replace(b"\0", b".") + b"a" * 512 not in found  # The gap is what was there, or nothing.
        assert b"...." + bytes(508) + b"a" * 512 in found

    def test_what_begins_after_the_cut_has_never_been(self) -> None:
        assert self.outcomes([self.write(0, b"ab", 11, synced=True)], 10) == {b"...."}

    def test_a_file_is_lengthened(self) -> None:
        operations = [Operation(TRUNCATE, False, 0, 6, 1, 2, b""), self.sync(3)]
        assert self.outcomes(operations, 10) == {b"....\0\0"}
