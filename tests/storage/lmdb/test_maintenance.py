"""Looking at stores, verifying, copying, and moving them as lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from typer.testing import CliRunner

from mqttbroker.cli.app import app
from mqttbroker.storage import Message, QueuedMessage, StoreError, SubscriptionRecord, WillRecord
from mqttbroker.storage.lmdb import LmdbStore
from mqttbroker.storage.lmdb.environment import DATABASES
from mqttbroker.storage.lmdb.maintenance import backup, compact, restore, statistics, verify
from mqttbroker.storage.lmdb.transfer import export_lines, import_lines, open_quietly
from tests.storage.lmdb.support import Harness

MESSAGE = Message("a/ü", "a/ü".encode(), b"\0\xff", 2, True, b"\x03\0\x01x", 5.5, "origin")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with something of everything in it, closed."""
    harness = Harness(tmp_path / "store")
    store = harness.open("os")
    fill(store)
    store.close()
    return harness.path


def fill(store: LmdbStore) -> None:
    shared = Message("s", b"s", b"body", 1)
    for client in ("one", "two"):
        store.put_session(client, "ann" if client == "one" else None, 100, 1.5, f"listener of {client}")
        store.put_subscription(client, SubscriptionRecord("a/#", 2, True, True, 7))
        store.enqueue(client, QueuedMessage(3, shared, 1, packet_id=9))
        store.enqueue(client, QueuedMessage(5, MESSAGE, 2, True, (1, 2), 10, True, "$share/g/a/#"))
    store.enqueue("one", QueuedMessage(6, shared, 1))
    store.put_incoming("one", 77)
    store.put_will("two", WillRecord(MESSAGE, 3, 4, 5.0))
    store.put_retained(MESSAGE)


def contents(path: Path) -> list[str]:
    store = open_quietly(path, create=False)
    lines = list(export_lines(store))
    store.close()
    return lines


def damage(path: Path, name: str) -> bytes:
    """Flip a bit in the first record of a database; its key."""
    with lmdb.open(str(path), max_dbs=len(DATABASES)) as environment:
        database = environment.open_db(name.encode())
        with environment.begin(write=True) as transaction, transaction.cursor(database) as cursor:
            assert cursor.first()
            key, value = (bytes(each) for each in cursor.item())
            transaction.put(key, value[:-1] + bytes((value[-1] ^ 1,)), db=database)
    return key


def elsewhere(*words: object) -> str:
    """Run a command in another process, since LMDB opens a store once in each."""
    command = [sys.executable, "-m", "mqttbroker", "store", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


class TestStatistics:
    def test_counts_everything(self, path: Path) -> None:
        found = statistics(path)
        assert (found.sessions, found.subscriptions, found.wills, found.retained) == (2, 2, 1, 1)
        assert (found.queued, found.quarantined, found.doomed, found.schema) == (5, 0, 0, 2)
        assert [(client, count) for client, count, _ in found.largest] == [("one", 3), ("two", 2)]
        assert 0 < found.used <= found.file_size

    def test_can_be_taken_while_a_broker_runs(self, tmp_path: Path) -> None:
        harness = Harness(tmp_path)
        store = harness.open("os")
        fill(store)
        harness.settle(store)
        assert json.loads(elsewhere("stats", tmp_path, "--json"))["queued"] == 5
        assert "in order" in elsewhere("verify", tmp_path)
        store.close()

    def test_where_there_is_no_store(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="there is no store"):
            statistics(tmp_path)


class TestVerify:
    def test_a_store_in_order(self, path: Path) -> None:
        seen: list[str] = []
        assert verify(path, lambda name, done, total: seen.append(name)) == []
        assert {"sessions", "queue", "bodies", "retained"} <= set(seen)

    @pytest.mark.parametrize("name", ["sessions", "subscriptions", "wills", "queue", "bodies", "retained", "counters"])
    def test_damage_is_named(self, path: Path, name: str) -> None:
        key = damage(path, name)
        assert any(name in problem and key.hex() in problem for problem in verify(path))

    def test_an_emptied_store_is_in_order(self, path: Path) -> None:
        harness = Harness(path)
        store = harness.open("os")
        for client in ("one", "two"):
            for queued in store.read_queue(client, 0, 10):
                store.dequeue(client, queued.sequence)
        store.close()
        assert verify(path) == []
        assert statistics(path).queued == 0
        with lmdb.open(str(path), max_dbs=len(DATABASES)) as environment, environment.begin() as transaction:
            for name in ("bodies", "references", "queue"):
                assert transaction.stat(db=environment.open_db(name.encode(), txn=transaction))["entries"] == 0


class TestCopies:
    def test_a_backup_of_a_running_store_can_be_restored(self, tmp_path: Path) -> None:
        harness = Harness(tmp_path / "live")
        store = harness.open("os")
        fill(store)
        harness.settle(store)
        elsewhere("backup", harness.path, tmp_path / "copy")
        store.delete_session("one")
        store.close()
        before = contents(tmp_path / "copy")
        assert contents(harness.path) != before
        with pytest.raises(StoreError, match="--force"):
            restore(tmp_path / "copy", harness.path)
        restore(tmp_path / "copy", harness.path, force=True)
        assert contents(harness.path) == before
        assert (harness.path / "data.mdb.before-restore").exists()

    def test_a_backup_on_an_empty_host(self, path: Path, tmp_path: Path) -> None:
        backup(path, tmp_path / "copy")
        restore(tmp_path / "copy", tmp_path / "new" / "data")
        assert contents(tmp_path / "new" / "data") == contents(path)
        assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700

    def test_a_damaged_backup_is_refused(self, path: Path, tmp_path: Path) -> None:
        backup(path, tmp_path / "copy")
        damage(tmp_path / "copy", "queue")
        with pytest.raises(StoreError, match="the backup is damaged: queue"):
            restore(tmp_path / "copy", tmp_path / "new")

    def test_a_backup_needs_a_new_directory(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="new directory"):
            backup(path, tmp_path)

    def test_compacting_gives_back_space_and_keeps_the_rest(self, path: Path) -> None:
        harness = Harness(path)
        store = harness.open("os")
        for sequence in range(10, 2_000):
            store.enqueue("one", QueuedMessage(sequence, Message("a", b"a", b"x" * 500, 1), 1))
        harness.settle(store)
        for sequence in range(10, 2_000):
            store.dequeue("one", sequence)
        store.close()
        expected = contents(path)
        before, after = compact(path)
        assert after < before
        assert contents(path) == expected
        assert verify(path) == []
        assert not (path / "compacted").exists()

    @pytest.mark.parametrize("work", [compact, lambda path: restore(path.parent / "copy", path, force=True)])
    def test_a_store_in_use_is_not_replaced(self, path: Path, work: object) -> None:
        backup(path, path.parent / "copy")
        store = Harness(path).open("os")
        assert callable(work)
        with pytest.raises(StoreError, match="another broker uses it"):
            work(path)
        store.close()


class TestTransfer:
    def test_there_and_back(self, path: Path, tmp_path: Path) -> None:
        lines = contents(path)
        store = open_quietly(tmp_path / "new")
        assert import_lines(store, lines) == len(lines) - 1
        store.close()
        assert contents(tmp_path / "new") == lines
        assert verify(tmp_path / "new") == []

    def test_the_listener_comes_along(self, path: Path, tmp_path: Path) -> None:
        store = open_quietly(tmp_path / "new")
        import_lines(store, contents(path))
        assert {session.client_id: session.listener for session in store.sessions()} == {
            "one": "listener of one",
            "two": "listener of two",
        }
        store.close()

    def test_an_export_that_knows_no_listeners(self, path: Path, tmp_path: Path) -> None:
        """As version 0.1 has written it."""
        records = [json.loads(line) for line in contents(path)]
        assert sum(record.pop("listener", None) is not None for record in records) == 2
        store = open_quietly(tmp_path / "new")
        import_lines(store, [json.dumps(record) for record in records])
        assert [(session.username, session.listener) for session in store.sessions()] == [("ann", ""), (None, "")]
        store.close()
        for record in records:
            if record["type"] == "session":
                record["listener"] = ""
        assert [json.loads(line) for line in contents(tmp_path / "new")] == records

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            pytest.param(["{}"], "line 1: 'type'", id="no header"),
            pytest.param(['{"type":"mqttbroker","format":2}'], "line 1: not an export of format 1", id="format"),
            pytest.param(['{"type":"mqttbroker","format":1}', "no json"], "line 2: ", id="no JSON"),
            pytest.param(
                ['{"type":"mqttbroker","format":1}', '{"type":"x","client_id":"a"}'], "unknown type 'x'", id="type"
            ),
            pytest.param(
                ['{"type":"mqttbroker","format":1}', '{"type":"session","client_id":"a"}'], "line 2: ", id="fields"
            ),
        ],
    )
    def test_wrong_lines_are_named(self, tmp_path: Path, lines: list[str], message: str) -> None:
        store = open_quietly(tmp_path)
        with pytest.raises(StoreError, match=message):
            import_lines(store, lines)
        store.close()

    def test_only_into_an_empty_store(self, path: Path) -> None:
        store = open_quietly(path)
        with pytest.raises(StoreError, match="not empty"):
            import_lines(store, [])
        store.close()


class TestMountPoints:
    """Client identifiers that begin with a mount point and U+0000."""

    CLIENT = "tenants/a/\0one\n"
    OTHER = "tenants/a\0/one\n"

    @pytest.fixture
    def mounted(self, tmp_path: Path) -> Path:
        harness = Harness(tmp_path / "mounted")
        store = harness.open("os")
        message = Message("tenants/a/t", b"tenants/a/t", b"x", 1, origin=self.CLIENT)
        for client in (self.CLIENT, self.OTHER):
            store.put_session(client, None, 100, 1.5, "inner")
            store.put_subscription(client, SubscriptionRecord("tenants/a/#", 1))
            store.put_incoming(client, 7)
            store.put_will(client, WillRecord(message))
            store.enqueue(client, QueuedMessage(1, message, 1))
        store.enqueue(self.CLIENT, QueuedMessage(2, MESSAGE, 1))
        store.put_retained(message)
        store.close()
        return harness.path

    def test_statistics_and_verification(self, mounted: Path) -> None:
        assert verify(mounted) == []
        found = statistics(mounted)
        assert [(client, count) for client, count, _ in found.largest] == [(self.CLIENT, 2), (self.OTHER, 1)]

    def test_there_and_back(self, mounted: Path, tmp_path: Path) -> None:
        lines = contents(mounted)
        assert not any(character in line for line in lines for character in "\0\n")
        store = open_quietly(tmp_path / "new")
        import_lines(store, lines)
        assert {session.client_id for session in store.sessions()} == {self.CLIENT, self.OTHER}
        assert next(iter(store.retained())).origin == self.CLIENT
        store.close()
        assert contents(tmp_path / "new") == lines
        assert verify(tmp_path / "new") == []

    def test_commands_show_no_control_characters(self, mounted: Path, tmp_path: Path) -> None:
        runner = CliRunner()

        def run(*words: object) -> str:
            result = runner.invoke(app, ["store", *map(str, words)])
            assert result.exit_code == 0, result.output
            assert "\0" not in result.output
            return result.output

        assert r"queue of 'tenants/a/\x00one\n': 2 messages" in run("stats", mounted)
        assert {client for client, _, _ in json.loads(run("stats", mounted, "--json"))["largest"]} == {
            self.CLIENT,
            self.OTHER,
        }
        run("verify", mounted)
        run("export", mounted, tmp_path / "lines")
        run("import", tmp_path / "imported", tmp_path / "lines")
        assert run("export", tmp_path / "imported").splitlines() == contents(mounted)


class TestCommands:
    @pytest.fixture
    def runner(self) -> Iterator[CliRunner]:
        yield CliRunner()

    def test_each(self, runner: CliRunner, path: Path, tmp_path: Path) -> None:
        def run(*words: object, code: int = 0) -> str:
            result = runner.invoke(app, ["store", *map(str, words)])
            assert result.exit_code == code, result.output
            return result.output

        assert "queued messages                  5" in run("stats", path)
        assert json.loads(run("stats", path, "--json"))["sessions"] == 2
        assert "in order" in run("verify", path)
        run("backup", path, tmp_path / "copy")
        run("restore", tmp_path / "copy", tmp_path / "restored")
        run("compact", tmp_path / "restored")
        run("export", tmp_path / "restored", tmp_path / "lines")
        run("import", tmp_path / "imported", tmp_path / "lines")
        assert run("export", tmp_path / "imported").splitlines() == contents(path)
        damage(path, "retained")
        assert "1 problems" in run("verify", path, code=1)
        run("stats", tmp_path / "nowhere", code=1)
        run("export", tmp_path / "nowhere", code=1)
        assert not (tmp_path / "nowhere").exists()
