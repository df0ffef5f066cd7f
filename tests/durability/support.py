"""Connections and offline sessions, in the few lines that every test of a fault needs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from mqttbroker.protocol import NO_PROPERTIES, Properties, ProtocolVersion, Publish
from tests.durability.process import BrokerProcess
from tests.support.raw import RawClient

__all__ = ["KEPT", "V4", "V5", "as_root", "connect", "keep", "kept"]

V4, V5 = ProtocolVersion.V311, ProtocolVersion.V5
KEPT = Properties(session_expiry_interval=86_400)
TIMEOUT = 15.0


@contextlib.asynccontextmanager
async def connect(
    broker: BrokerProcess,
    client_id: str | None = None,
    *,
    version: ProtocolVersion = V5,
    lasting: bool = False,
    present: bool | None = None,
    keep_alive: int = 0,
    properties: Properties | None = None,
) -> AsyncIterator[RawClient]:
    """A connection; ``lasting`` resumes a session that is kept, ``present`` says whether it must be there."""
    async with RawClient("127.0.0.1", broker.port, version=version, timeout=TIMEOUT) as client:
        if properties is None:
            properties = KEPT if lasting and version == V5 else NO_PROPERTIES
        answer = await client.connect(client_id, clean_start=not lasting, keep_alive=keep_alive, properties=properties)
        assert answer.reason_code == 0
        assert present is None or answer.session_present == present
        yield client


async def keep(broker: BrokerProcess, client_id: str, *filters: str, qos: int = 2) -> None:
    """Make a session that is offline and is owed what is published to the filters."""
    async with connect(broker, client_id, lasting=True, present=False) as client:
        await client.subscribe(*filters, qos=qos)


async def kept(broker: BrokerProcess, client_id: str, count: int) -> list[Publish]:
    """Take so many messages that the session is owed, acknowledge them, and see that there are no more."""
    async with connect(broker, client_id, lasting=True, present=True) as client:
        messages = [await client.expect_publish() for _ in range(count)]
        await client.expect_silence()
    return messages


def as_root() -> bool:
    """Whether the tests may mount file systems and become somebody else."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
