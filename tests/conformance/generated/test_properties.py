"""Every property in every packet that a client sends: once, twice, where it does not belong, wrong, and cut short."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

import tests.protocol
from mqttbroker.testing.plugin import BrokerFactory
from tests.conformance.generated.frames import FRAMES, HELLO, METHODICAL, listed, with_expiry
from tests.conformance.generated.outcome import ACCEPTED, ENDED, Case, differences
from tests.conformance.v5.doubles import BAD_STRINGS, METHOD, Riddler
from tests.conformance.wire import prefixed

TABLE = Path(tests.protocol.__file__).parent / "data" / "properties.tsv"
MALFORMED, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID = 0x81, 0x82, 0x94
METHOD_ID, DATA_ID, ALIAS_ID, SUBSCRIPTION_ID, USER_ID = 0x15, 0x16, 0x23, 0x0B, 0x26
SAMPLES = {
    "Byte": b"\x01",
    "Two Byte Integer": b"\x00\x05",
    "Four Byte Integer": b"\x00\x00\x01\x00",
    "Variable Byte Integer": b"\x81\x01",
    "UTF-8 String": prefixed("a/b"),
    "UTF-8 String Pair": prefixed("k") + prefixed("v"),
    "Binary Data": prefixed(b"\x00\xff\x80"),
}
SPECIAL = {METHOD_ID: prefixed(METHOD), DATA_ID: prefixed("quick")}
"""Values that the broker of these tests can use."""
NOT_ZERO = {0x0B: PROTOCOL_ERROR, 0x21: PROTOCOL_ERROR, 0x27: PROTOCOL_ERROR, ALIAS_ID: TOPIC_ALIAS_INVALID}
ZERO = {"Two Byte Integer": b"\x00\x00", "Four Byte Integer": bytes(4), "Variable Byte Integer": b"\x00"}


@dataclass(frozen=True, slots=True)
class Row:
    """A property of the standard's table."""

    number: int
    name: str
    kind: str
    packets: frozenset[str]
    repeatable: bool

    @property
    def value(self) -> bytes:
        """A value that it may have."""
        return SPECIAL.get(self.number, SAMPLES[self.kind])

    @property
    def whole(self) -> bytes:
        """With its identifier."""
        return bytes((self.number,)) + self.value


def read_table() -> list[Row]:
    """The standard's properties, without the exception that PUBLISH makes for a server's Subscription Identifiers."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                int(row["id"], 16),
                row["name"],
                row["type"],
                frozenset(row["packets"].split(",")),
                row["occurs"] == "many",
            )
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


ROWS = read_table()


def beside(packet: str, number: int) -> bytes:
    """What else must be in a packet so that this property can be accepted there."""
    needed: tuple[int, ...] = ()
    if packet == "AUTH" or (packet == "CONNECT" and number in SPECIAL):
        needed = tuple(SPECIAL)
    return b"".join(bytes((each,)) + SPECIAL[each] for each in needed if each != number)


def wrong_values(row: Row) -> dict[str, tuple[bytes, int]]:
    """Values that the property may not have, with their reason codes; the first byte that is missing counts."""
    wrong = {f"cut to {size}": (row.value[:size], MALFORMED) for size in range(len(row.value))}
    if row.kind == "Byte":
        wrong |= {f"is {value}": (bytes((value,)), PROTOCOL_ERROR) for value in (2, 3, 0x80, 0xFF)}
    if row.number in NOT_ZERO:
        wrong["is zero"] = ZERO[row.kind], NOT_ZERO[row.number]
    if row.kind == "Variable Byte Integer":
        wrong["five bytes long"] = b"\xff\xff\xff\xff\x01", MALFORMED
        wrong["not the shortest form"] = b"\x81\x00", MALFORMED
    for name, text in BAD_STRINGS.items():
        if row.kind == "UTF-8 String":
            wrong[name] = prefixed(text), MALFORMED
        elif row.kind == "UTF-8 String Pair":
            wrong[f"{name} in the name"] = prefixed(text) + prefixed("v"), MALFORMED
            wrong[f"{name} in the value"] = prefixed("k") + prefixed(text), MALFORMED
    if row.name == "Response Topic":
        wrong |= {f"is {topic!r}": (prefixed(topic), PROTOCOL_ERROR) for topic in ("a/+", "#", "a#")}
    return wrong


def cases_of(frame: str) -> dict[str, Case]:
    """Every case of one packet."""
    packet = frame.split()[0]
    accepted = ENDED if packet == "DISCONNECT" else ACCEPTED
    hello = {"CONNECT": None, "Will": None, "AUTH": METHODICAL, "DISCONNECT": with_expiry()}.get(packet, HELLO)
    cases: dict[str, Case] = {}

    def add(name: str, properties: bytes, *expected: int) -> None:
        cases[name] = Case(hello, FRAMES[frame](properties), frozenset(expected))

    for row in ROWS:
        more = beside(packet, row.number)
        legal = packet in row.packets and not (packet == "PUBLISH" and row.number == SUBSCRIPTION_ID)
        refusal = PROTOCOL_ERROR if packet in row.packets else MALFORMED
        add(f"{row.name} once", listed(more + row.whole), accepted if legal else refusal)
        again = accepted if legal and row.repeatable else refusal
        add(f"{row.name} twice", listed(more + row.whole * 2), again)
        add(f"{row.name} twice, not in a row", listed(row.whole + more + row.whole), again)
        if packet not in row.packets:
            continue
        for name, (value, code) in wrong_values(row).items():
            if row.name == "Response Topic" and packet == "Will" and code == PROTOCOL_ERROR:
                continue  # It is looked at when the will is published, if ever; see [MQTT-3.3.2-14].
            add(f"{row.name} {name}", listed(more + bytes((row.number,)) + value), code)
    known = {row.number for row in ROWS}
    for number in set(range(128)) - known:
        add(f"property {number}", listed(bytes((number, 0))), MALFORMED)
    add("identifier cut short", listed(b"\x80"), MALFORMED)
    add("property 128", listed(b"\x80\x01\x00"), MALFORMED)
    add("identifier not in its shortest form", listed(b"\xa6\x00" + SAMPLES["UTF-8 String Pair"]), MALFORMED)

    every = b"".join(
        row.whole * (3 if row.repeatable else 1)
        for row in reversed(ROWS)
        if packet in row.packets and (packet, row.number) != ("PUBLISH", SUBSCRIPTION_ID)
    )
    add("all together", listed(every), accepted)
    user = beside(packet, USER_ID) + bytes((USER_ID,)) + SAMPLES["UTF-8 String Pair"]
    add("list one byte too long", bytes((len(user) + 1,)) + user, MALFORMED)
    add("list one byte too short", bytes((len(user) - 1,)) + user, MALFORMED)
    add("list of five bytes of length", b"\x80\x80\x80\x80\x01" + user, MALFORMED)
    add("list length not in its shortest form", bytes((len(user) | 0x80, 0)) + user, MALFORMED)
    return cases


@pytest.mark.parametrize("frame", FRAMES)
async def test_properties_in_a_clients_packet(mqtt_broker_factory: BrokerFactory, frame: str) -> None:
    broker = mqtt_broker_factory(authenticator=Riddler())
    assert not await differences(broker, cases_of(frame))


def test_the_cases_are_all_there() -> None:
    assert len(ROWS) == 27
    assert sum(len(cases_of(frame)) for frame in FRAMES) > 2_000
