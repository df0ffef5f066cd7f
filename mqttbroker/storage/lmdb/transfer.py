"""A store as lines of JSON, and back: to look into it, to move it to another version, to mend it by hand.

The first line says what it is. Each other line is one record, with the fields of ``storage/records.py``; bytes are in
base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from mqttbroker.storage.lmdb.store import LmdbStore
from mqttbroker.storage.messages import Message, QueuedMessage
from mqttbroker.storage.records import SessionRecord, SubscriptionRecord, WillRecord
from mqttbroker.storage.store import StoreError

__all__ = ["export_lines", "import_lines", "open_quietly"]

FORMAT = 1
SLICE = 1_000
"""Messages that are in memory at one time."""


def open_quietly(path: Path, create: bool = True) -> LmdbStore:
    """A store of one's own, without an event loop: what is written becomes durable in ``flush`` and ``close``.

    Raises :class:`StoreError` where there is none and ``create`` is false.
    """
    if not create and not (path / "data.mdb").exists():
        raise StoreError(f"{path}: there is no store (data.mdb) in this directory")

    def complain(level: str, event: str, /, **details: object) -> None:
        raise StoreError(f"{path}: {event}: {details}")

    return LmdbStore(path, lambda function: None, lambda function: None, complain)


def export_lines(store: LmdbStore) -> Iterator[str]:
    """Every record of a store, as lines without their ends."""
    yield _line("mqttbroker", format=FORMAT)
    for session in store.sessions():
        yield from _session_lines(store, session)
    for message in store.retained():
        yield _line("retained", message=_from_message(message))


def _session_lines(store: LmdbStore, session: SessionRecord) -> Iterator[str]:
    client = session.client_id
    yield _line(
        "session",
        client_id=client,
        username=session.username,
        expiry_interval=session.expiry_interval,
        expires_at=session.expires_at,
        listener=session.listener,
    )
    for subscription in session.subscriptions:
        yield _line("subscription", client_id=client, **asdict(subscription))
    for packet_id in session.incoming:
        yield _line("incoming", client_id=client, packet_id=packet_id)
    will = session.will
    if will is not None:
        yield _line(
            "will",
            client_id=client,
            message=_from_message(will.message),
            delay=will.delay,
            lifetime=will.lifetime,
            due_at=will.due_at,
        )
    after = 0
    while queue := store.read_queue(client, after, SLICE):
        after = queue[-1].sequence
        for queued in queue:
            yield _line(
                "queued",
                client_id=client,
                sequence=queued.sequence,
                message=_from_message(queued.message),
                qos=queued.qos,
                retain=queued.retain,
                identifiers=queued.identifiers,
                packet_id=queued.packet_id,
                released=queued.released,
                share=queued.share,
            )


def import_lines(store: LmdbStore, lines: Iterable[str]) -> int:
    """Write records into an empty store; the number of them. Raises :class:`StoreError` with the line that is wrong."""
    if any(True for _ in store.sessions()) or any(True for _ in store.retained()):
        raise StoreError("the store is not empty")
    count = 0
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            kind = record.pop("type")
            if number == 1:
                if (kind, record.get("format")) != ("mqttbroker", FORMAT):
                    raise ValueError(f"not an export of format {FORMAT}")
                continue
            _import_record(store, kind, record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"line {number}: {error}") from error
        count += 1
        if count % SLICE == 0:
            store.flush()
    store.flush()
    return count


def _import_record(store: LmdbStore, kind: str, record: dict[str, object]) -> None:
    if kind == "retained":
        store.put_retained(_to_message(record["message"]))
        return
    client = str(record.pop("client_id"))
    if "message" in record:
        record["message"] = _to_message(record["message"])
    match kind:
        case "session":
            store.put_session(client, **record)  # type: ignore[arg-type]  # A wrong field is a TypeError.
        case "subscription":
            store.put_subscription(client, SubscriptionRecord(**record))  # type: ignore[arg-type]
        case "incoming":
            store.put_incoming(client, **record)  # type: ignore[arg-type]
        case "will":
            store.put_will(client, WillRecord(**record))  # type: ignore[arg-type]
        case "queued":
            record["identifiers"] = tuple(record["identifiers"])  # type: ignore[arg-type]
            store.enqueue(client, QueuedMessage(**record))  # type: ignore[arg-type]
        case _:
            raise ValueError(f"unknown type {kind!r}")


def _line(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))


def _from_message(message: Message) -> dict[str, object]:
    return {
        "topic": message.topic,
        "payload": base64.b64encode(message.payload).decode(),
        "qos": message.qos,
        "retain": message.retain,
        "properties": base64.b64encode(message.properties).decode(),
        "expires_at": message.expires_at,
        "origin": message.origin,
    }


def _to_message(fields: object) -> Message:
    if not isinstance(fields, dict):
        raise ValueError("expected a message")
    topic = str(fields["topic"])
    return Message(
        topic,
        topic.encode(),
        base64.b64decode(fields["payload"], validate=True),
        int(fields["qos"]),
        bool(fields["retain"]),
        base64.b64decode(fields["properties"], validate=True),
        float(fields["expires_at"]),
        str(fields["origin"]),
    )
