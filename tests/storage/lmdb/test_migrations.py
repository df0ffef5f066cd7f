"""Stores of an older layout, made as the version of that layout made them."""

from __future__ import annotations

import struct
from pathlib import Path
from zlib import crc32

import lmdb
import pytest

from mqttbroker.storage import Message, QueuedMessage, SessionRecord, StoreError, SubscriptionRecord, WillRecord
from mqttbroker.storage.lmdb import opening
from mqttbroker.storage.lmdb.environment import DATABASES, SCHEMA
from mqttbroker.storage.lmdb.maintenance import backup, compact, restore, statistics, verify
from mqttbroker.storage.lmdb.migrations import SESSION_READERS, STEPS
from mqttbroker.storage.lmdb.opening import open_environment
from tests.storage.lmdb.support import Harness

DATABASES_1 = (
    "meta",
    "sessions",
    "counters",
    "subscriptions",
    "wills",
    "incoming",
    "queue",
    "bodies",
    "references",
    "retained",
    "doomed",
    "quarantine",
)
Rows = dict[str, dict[bytes, bytes]]

OWN = Message("a/ü", "a/ü".encode(), b"\0\xff", 2, True, b"\x03\0\x01x", 5.5, "origin")
COMMON = Message("s", b"s", b"body", 1)


def key(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}Q", *numbers)


def session_1(client_id: str, username: str | None, expiry_interval: int, expires_at: float) -> bytes:
    name = (username or "").encode()
    head = struct.pack(">IdHB", expiry_interval, expires_at, len(name), username is not None)
    return head + name + client_id.encode()


def message_1(message: Message) -> bytes:
    flags = message.qos | message.retain << 2
    origin = message.origin.encode()
    lengths = len(message.topic_bytes), len(origin), len(message.properties)
    head = struct.pack(">BdHHI", flags, message.expires_at, *lengths)
    return head + message.topic_bytes + origin + message.properties + message.payload


def entry_1(flags: int, packet_id: int, size: int, identifiers: tuple[int, ...], rest: bytes) -> bytes:
    head = struct.pack(">BHIHH", flags, packet_id, size, 0, len(identifiers))
    return head + struct.pack(f">{len(identifiers)}I", *identifiers) + rest


def write_store_1(path: Path, rows: Rows) -> None:
    """Write the records, without their checksums, into a new store of layout 1."""
    path.mkdir()
    with lmdb.open(str(path), map_size=1 << 28, max_dbs=len(DATABASES_1)) as environment:
        databases = {name: environment.open_db(name.encode()) for name in DATABASES_1}
        with environment.begin(write=True) as transaction:
            transaction.put(b"schema", (1).to_bytes(4, "big"), db=databases["meta"])
            for name, records in rows.items():
                for at, record in records.items():
                    value = record
                    if name not in ("references", "doomed"):
                        value = struct.pack(">IB", crc32(record, crc32(at)), 1) + record
                    transaction.put(at, value, db=databases[name])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of layout 1 with something of everything in it."""
    digest = b"0123456789abcdef"
    rows: Rows = {
        "sessions": {key(1): session_1("one", "ann", 100, 1.5), key(2): session_1("zwölf", None, 4_294_967_295, 0.0)},
        "counters": {
            key(1): key(4, 2, OWN.size + COMMON.size),
            key(2): key(2, 1, COMMON.size),
        },
        "subscriptions": {
            key(1) + digest: struct.pack(">BI", 2 | 1 << 2 | 1 << 3, 7) + b"a/#",
            key(2) + digest: struct.pack(">BI", 1, 0) + b"s",
        },
        "wills": {key(2): struct.pack(">Iqd", 3, -1, 5.0) + message_1(OWN)},
        "incoming": {key(1, 77): b""},
        "queue": {
            key(1, 1): entry_1(1, 9, COMMON.size, (), key(1)),
            key(1, 3): entry_1(2 | 4 | 8 | 16, 10, OWN.size, (1, 2), message_1(OWN)),
            key(2, 1): entry_1(1, 0, COMMON.size, (), key(1)),
        },
        "bodies": {key(1): message_1(COMMON)},
        "references": {key(1): (2).to_bytes(4, "big")},
        "retained": {digest: message_1(OWN)},
    }
    write_store_1(tmp_path / "store", rows)
    return tmp_path / "store"


SESSIONS = [
    SessionRecord(
        "one",
        "ann",
        100,
        1.5,
        (SubscriptionRecord("a/#", 2, True, True, 7),),
        (77,),
        None,
        4,
        2,
        OWN.size + COMMON.size,
    ),
    SessionRecord(
        "zwölf",
        None,
        4_294_967_295,
        0.0,
        (SubscriptionRecord("s", 1),),
        (),
        WillRecord(OWN, 3, None, 5.0),
        2,
        1,
        COMMON.size,
    ),
]


def check(path: Path) -> None:
    """The store is one of the present layout, and all that layout 1 had is in it."""
    harness = Harness(path)
    store = harness.open("os")
    assert list(store.sessions()) == SESSIONS
    assert store.read_queue("one", 0, 10) == [
        QueuedMessage(1, COMMON, 1, packet_id=9),
        QueuedMessage(3, OWN, 2, True, (1, 2), 10, True),
    ]
    assert store.read_queue("zwölf", 0, 10) == [QueuedMessage(1, COMMON, 1)]
    assert list(store.retained()) == [OWN]
    store.close()
    assert harness.logged == []
    assert statistics(path).schema == SCHEMA
    assert verify(path) == []


class TestFromLayout1:
    def test_sessions_are_whole(self, path: Path) -> None:
        check(path)
        check(path)

    def test_sessions_can_be_written(self, path: Path) -> None:
        harness = Harness(path)
        store = harness.open("os")
        store.put_session("one", "ann", 100, 0.0, "inner")
        store.put_session("new", None, 0, 0.0, "outer")
        store.close()
        store = harness.open("os")
        found = {session.client_id: session.listener for session in store.sessions()}
        assert found == {"one": "inner", "zwölf": "", "new": "outer"}
        store.close()

    def test_a_damaged_session_is_set_aside_and_the_others_are_served(self, path: Path) -> None:
        with lmdb.open(str(path), max_dbs=len(DATABASES)) as environment:
            database = environment.open_db(b"sessions")
            with environment.begin(write=True) as transaction:
                value = transaction.get(key(1), db=database)
                assert value is not None
                transaction.put(key(1), bytes(value[:-1]) + b"x", db=database)
        assert verify(path) == [f"sessions {key(1).hex()}: checksum does not fit"]
        harness = Harness(path)
        store = harness.open("os")
        assert list(store.sessions()) == SESSIONS[1:]
        store.close()
        assert {details["key"] for _, _, details in harness.logged} == {key(1).hex()}
        assert statistics(path).quarantined == 1

    def test_it_can_be_looked_at_without_being_changed(self, path: Path) -> None:
        before = (path / "data.mdb").read_bytes()
        assert verify(path) == []
        found = statistics(path)
        assert (found.schema, found.sessions, found.queued) == (1, 2, 3)
        assert [client_id for client_id, _, _ in found.largest] == ["one", "zwölf"]
        assert (path / "data.mdb").read_bytes() == before

    def test_a_backup_can_be_restored(self, path: Path, tmp_path: Path) -> None:
        backup(path, tmp_path / "copy")
        restore(tmp_path / "copy", tmp_path / "restored")
        check(tmp_path / "restored")

    def test_compacting_brings_it_to_the_present_layout(self, path: Path) -> None:
        compact(path)
        check(path)

    def test_the_map_grows_if_it_must(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every page with sessions is written anew, and may become two, beside the old ones."""
        names = [f"client {number:08}" for number in range(20_000)]
        write_store_1(
            tmp_path / "store",
            {"sessions": {key(number): session_1(name, None, 60, 0.0) for number, name in enumerate(names, 1)}},
        )
        monkeypatch.setattr(opening, "FIRST_MAP_SIZE", 1)
        size = (tmp_path / "store" / "data.mdb").stat().st_size
        environment = open_environment(tmp_path / "store")
        assert environment.lmdb.info()["map_size"] > 2 * size
        environment.close()
        store = Harness(tmp_path / "store").open("os")
        assert [session.client_id for session in store.sessions()] == names
        store.close()


def test_every_older_layout_has_a_step_and_a_reader() -> None:
    assert set(STEPS) == set(range(1, SCHEMA))
    assert set(SESSION_READERS) == set(range(1, SCHEMA + 1))


@pytest.mark.parametrize(
    ("version", "message"),
    [
        pytest.param(SCHEMA + 1, "made by a newer version", id="newer"),
        pytest.param(0, "layout 0, from which this version cannot migrate", id="unknown"),
    ],
)
def test_other_layouts_are_refused(path: Path, version: int, message: str) -> None:
    with lmdb.open(str(path), max_dbs=len(DATABASES)) as environment:
        meta = environment.open_db(b"meta")
        with environment.begin(write=True) as transaction:
            transaction.put(b"schema", version.to_bytes(4, "big"), db=meta)
    with pytest.raises(StoreError, match=message):
        open_environment(path)
    assert verify(path) == [f"layout {version}, this version knows up to {SCHEMA}"]
