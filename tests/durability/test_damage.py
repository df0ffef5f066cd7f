"""D10: the file was changed behind the broker's back. What is damaged is named and set aside and the rest is served, or
the broker refuses to start and leaves the file as it is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.protocol import Publish
from tests.durability.process import BrokerProcess
from tests.durability.support import connect, keep, kept
from tests.durability.test_directory import refused

SET_ASIDE = "damaged record set aside"
RETAINED = b"retained payload, "
QUEUED = b"queued payload, "
SHARED = b"shared payload, "


async def fill(store: Path) -> Path:
    """A store with sessions, retained messages, and queues with messages of their own and in common; its file."""
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "own", "both", qos=1)
        await keep(broker, "fellow", "both", qos=1)
        async with connect(broker) as sender:
            for number in range(3):
                await sender.publish(f"kept/{number}", RETAINED + b"%d" % number, qos=1, retain=True)
                await sender.publish("own", QUEUED + b"%d" % number, qos=1)
                await sender.publish("both", SHARED + b"%d" % number, qos=1)
        assert await broker.stop() == 0
    return store / "data.mdb"


def flip(file: Path, text: bytes) -> None:
    """Change one bit wherever the text is: copies in pages that are free do no harm."""
    data = bytearray(file.read_bytes())
    at = data.find(text)
    assert at >= 0
    while at >= 0:
        data[at] ^= 1
        at = data.find(text, at)
    file.write_bytes(data)


async def payloads(broker: BrokerProcess, client_id: str, count: int) -> list[bytes]:
    return [each.payload for each in await kept(broker, client_id, count)]


async def retained(broker: BrokerProcess) -> list[str]:
    async with connect(broker) as client:
        await client.subscribe("kept/#")
        return sorted(each.topic for each in await client.drain() if isinstance(each, Publish))


async def test_d10_a_damaged_retained_message(store: Path) -> None:
    flip(await fill(store), RETAINED + b"1")
    for turn in range(2):
        async with BrokerProcess(store) as broker:
            assert await retained(broker) == ["kept/0", "kept/2"]
            if not turn:
                await broker.wait_for_log(SET_ASIDE)
            found = broker.events(SET_ASIDE)
            # Once it is set aside there is nothing more to say about it.
            assert [each["database"] for each in found] == ([] if turn else ["retained"])
            if not turn:
                async with connect(broker) as sender:
                    await sender.publish("fresh", b"x", qos=1, retain=True)
    async with BrokerProcess(store) as broker:
        async with connect(broker) as sender:
            await sender.publish("kept/1", b"new", qos=1, retain=True)
        await broker.kill()
    async with BrokerProcess(store) as broker:
        assert await retained(broker) == ["kept/0", "kept/1", "kept/2"]


async def test_d10_a_damaged_message_in_a_queue(store: Path) -> None:
    flip(await fill(store), QUEUED + b"1")
    async with BrokerProcess(store) as broker:
        found = await payloads(broker, "keeper", 5)
        assert [each for each in found if each.startswith(QUEUED)] == [QUEUED + b"0", QUEUED + b"2"]
        await broker.wait_for_log(SET_ASIDE)
        assert [each["database"] for each in broker.events(SET_ASIDE)] == ["queue"]


async def test_d10_a_damaged_message_that_two_sessions_share(store: Path) -> None:
    flip(await fill(store), SHARED + b"1")
    async with BrokerProcess(store) as broker:
        assert await payloads(broker, "fellow", 2) == [SHARED + b"0", SHARED + b"2"]
        assert len(await payloads(broker, "keeper", 5)) == 5
        assert (await broker.wait_for_log(SET_ASIDE))["database"] == "bodies"
        # Numbers of messages are not used again while somebody refers to them.
        async with connect(broker) as sender:
            await sender.publish("both", b"new", qos=1)
        assert await payloads(broker, "fellow", 1) == [b"new"]
        assert await payloads(broker, "keeper", 1) == [b"new"]


@pytest.mark.parametrize("last", (False, True), ids=("an earlier session", "the newest session"))
async def test_d10_a_damaged_session(store: Path, last: bool) -> None:
    """What is left of it must not fall to another client."""
    flip(await fill(store), b"fellow" if last else b"keeper")
    async with BrokerProcess(store) as broker:
        assert [each["database"] for each in broker.events(SET_ASIDE)] == ["sessions"]
        await keep(broker, "stranger", "other", qos=1)
        await broker.kill()
    async with BrokerProcess(store) as broker:
        async with connect(broker) as sender:
            await sender.publish("both", b"not for strangers", qos=1)
            await sender.publish("other", b"for strangers", qos=1)
        assert await payloads(broker, "stranger", 1) == [b"for strangers"]


async def test_d10_an_empty_file_is_not_a_new_store(store: Path) -> None:
    file = await fill(store)
    file.write_bytes(b"")
    assert "empty" in await refused(store)
    assert file.read_bytes() == b""


async def test_d10_a_file_of_something_else(store: Path) -> None:
    file = await fill(store)
    file.write_bytes(b"#!/bin/sh\n" * 4_096)
    assert "data.mdb" in await refused(store)
    assert file.read_bytes() == b"#!/bin/sh\n" * 4_096


@pytest.mark.parametrize("share", (0.1, 0.5, 0.9), ids=str)
async def test_d10_a_file_that_was_cut_off(store: Path, share: float) -> None:
    file = await fill(store)
    whole = file.read_bytes()
    rest = whole[: int(len(whole) * share)]
    file.write_bytes(rest)
    try:
        message = await refused(store)
    except pytest.fail.Exception:
        # The pages that are gone were free: nothing is lost.
        async with BrokerProcess(store) as broker:
            assert len(await payloads(broker, "keeper", 6)) == 6
        return
    assert "cut off" in message or "cannot be read" in message
    assert file.read_bytes() == rest
    # The remedy that the message names: put the file back.
    file.write_bytes(whole)
    async with BrokerProcess(store) as broker:
        assert len(await payloads(broker, "keeper", 6)) == 6


async def test_d10_pages_that_do_not_hang_together(store: Path) -> None:
    """The kind of each page is wrong: every look-up meets that."""
    file = await fill(store)
    data = bytearray(file.read_bytes())
    for page in range(2, len(data) // 4_096):
        if data[page * 4_096 + 10] in (1, 2):  # Branch and leaf.
            data[page * 4_096 + 10] = 0
    file.write_bytes(data)
    message = await refused(store)
    assert "cannot be read" in message
    assert file.read_bytes() == bytes(data)
