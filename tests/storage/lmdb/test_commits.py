"""How long commits take is known, and when there was one last."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.storage.lmdb.commits import LONG, Commits
from tests.storage.lmdb.support import Harness


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_before_the_first() -> None:
    commits = Commits()
    assert (commits.latency.count, commits.last, commits.age, commits.under_way) == (0, 0.0, None, 0.0)


def test_one_after_the_other() -> None:
    time = Time()
    commits = Commits(time)
    commits.begin()
    time.now += 2.0
    assert (commits.under_way, commits.age) == (2.0, None)
    commits.end(True)
    time.now += 0.5
    assert (commits.last, commits.age, commits.under_way) == (2.0, 0.5, 0.0)
    assert (commits.latency.count, commits.latency.total, commits.latency.above(LONG)) == (1, 2.0, 1)


def test_one_that_fails_is_none() -> None:
    time = Time()
    commits = Commits(time)
    commits.begin()
    time.now += 1.0
    commits.end(False)
    assert (commits.latency.count, commits.age, commits.under_way) == (0, None, 0.0)


def test_a_store_measures_its_commits(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    store = harness.open()
    assert store.latency.age is None
    for expiry in (1, 2):
        store.put_session("a", None, expiry, 0.0)
        harness.settle(store)
    commits = store.latency
    assert commits.latency.count == 2
    assert commits.age is not None
    assert 0.0 < commits.last <= commits.latency.total
    store.close()


def test_a_store_knows_its_sizes(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    store = harness.open()
    before = store.sizes()
    for number in range(1_000):
        store.put_session(f"a session with a long name, number {number}", None, 1, 0.0)
    harness.settle(store)
    after = store.sizes()
    assert before is not None
    assert after is not None
    assert after[0] == before[0]
    assert before[1] < after[1] < after[0]
    store.close()


@pytest.mark.parametrize("reading", [True, False])
def test_who_asks_for_sizes_does_not_wait(tmp_path: Path, reading: bool) -> None:
    store = Harness(tmp_path).open()
    if reading:
        with store._environment.reading:
            assert store.sizes() is None
    assert store.sizes() is not None
    store.close()
