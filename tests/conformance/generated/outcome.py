"""What comes of bytes that a client sends: accepted, refused with a reason code, or the end without a word.

Each case has a network connection of its own, and many are open at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mqttbroker.protocol import ConnAck, Disconnect, PingResp, ProtocolVersion
from mqttbroker.testing.running import RunningBroker
from tests.conformance.referee import Referee
from tests.conformance.wire import PINGREQ
from tests.support.raw import ConnectionClosed, RawClient

__all__ = ["ACCEPTED", "ENDED", "Case", "differences", "outcomes", "words"]

ACCEPTED = 0
"""The broker goes on to answer a PINGREQ."""
ENDED = -1
"""The broker closes the connection and says nothing about it."""
TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes to send, after a CONNECT that is accepted if there is one, and the outcomes that are right."""

    hello: bytes | None
    data: bytes
    expected: frozenset[int]
    version: ProtocolVersion = ProtocolVersion.V5


async def _outcome(broker: RunningBroker, case: Case) -> int:
    async with RawClient(broker.host, broker.port, version=case.version) as client:
        client.watch = Referee(client)
        if case.hello is not None:
            client.send_bytes(case.hello)
            ack = await client.expect(ConnAck)
            assert ack.reason_code == ACCEPTED
        client.send_bytes(case.data + PINGREQ)
        last: object = None
        try:
            while not isinstance(last, PingResp):
                last = await client.receive()
        except ConnectionClosed as end:
            assert not end.partial
            return int(last.reason_code) if isinstance(last, ConnAck | Disconnect) else ENDED
        return ACCEPTED


async def outcomes(broker: RunningBroker, cases: Mapping[str, Case]) -> dict[str, int]:
    """The outcome of each case by its name."""
    found: dict[str, int] = {}
    waiting = iter(cases.items())

    async def work(of: Iterable[tuple[str, Case]]) -> None:
        for name, case in of:
            found[name] = await _outcome(broker, case)

    await asyncio.gather(*(work(waiting) for _ in range(TOGETHER)))
    return found


def words(outcome: int) -> str:
    """An outcome for people."""
    return {ACCEPTED: "accepted", ENDED: "ended without a word"}.get(outcome, f"0x{outcome:02x}")


async def differences(broker: RunningBroker, cases: Mapping[str, Case]) -> list[str]:
    """One line for each case that came out wrong; also looks whether the broker was surprised and still works."""
    assert cases
    found = await outcomes(broker, cases)
    wrong: list[str] = []
    for name, case in cases.items():
        if found[name] not in case.expected:
            right = " or ".join(map(words, sorted(case.expected)))
            wrong.append(f"{name}: {words(found[name])} instead of {right}: {case.data.hex(' ')}")
    wrong += [f"logged: {line}" for line in broker.logged if line[0] == "error"]
    async with RawClient(broker.host, broker.port) as client:
        await client.connect()
        await client.expect_silence()
    return wrong
