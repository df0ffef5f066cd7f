"""Reason codes: the tables against the standard's, and the way to MQTT 3 and back."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from mqttbroker.protocol import CLIENT_ONLY, LEGAL, SERVER_ONLY, TEXT, PacketType, ReasonCode, from_v311, to_v311

TABLE = Path(__file__).parent / "data" / "reason-codes.tsv"

Listed = dict[tuple[int, str], str]


@pytest.fixture(scope="module")
def listed() -> Listed:
    """(code, packet type) to the remark behind it, and the names by the way."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            (int(line["code"], 16), packet): remark
            for line in csv.DictReader(file, delimiter="\t")
            for packet, remark in re.findall(r"([A-Z]+)(?:\(([^)]*)\)\??)?", line["packets"])
        }


class TestTables:
    def test_legal_equals_the_standards(self, listed: Listed) -> None:
        expected = {pair for pair, remark in listed.items() if not remark.startswith("listed in 2.4 but not")}
        assert expected == {(int(code), kind.name) for kind, codes in LEGAL.items() for code in codes}
        assert ReasonCode.BAD_AUTHENTICATION_METHOD not in LEGAL[PacketType.DISCONNECT]

    def test_sides_equal_the_standards(self, listed: Listed) -> None:
        for pairs, remark in ((SERVER_ONLY, "server only"), (CLIENT_ONLY, "client only")):
            expected = {pair for pair, found in listed.items() if found == remark}
            assert {(int(code), kind.name) for kind, code in pairs} == expected
            assert all(code in LEGAL[kind] for kind, code in pairs)

    def test_names_equal_the_standards(self) -> None:
        with TABLE.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file, delimiter="\t"))
        names = {re.sub(r"[^A-Z0-9]", "_", line["name"].upper()): int(line["code"], 16) for line in lines}
        assert names == {name: int(code) for name, code in ReasonCode.__members__.items()}

    def test_texts_equal_the_standards(self) -> None:
        with TABLE.open(encoding="utf-8", newline="") as file:
            # The first of the names of 0 is the one for every packet.
            texts: dict[int, str] = {}
            for line in csv.DictReader(file, delimiter="\t"):
                texts.setdefault(int(line["code"], 16), line["name"])
        assert texts == TEXT


class TestV311:
    """3.1.1 sections 3.2.2.3 and 3.9.3."""

    @pytest.mark.parametrize("code", range(6), ids=str)
    def test_connack_there_and_back(self, code: int) -> None:
        assert to_v311(PacketType.CONNACK, from_v311(PacketType.CONNACK, code)) == code

    @pytest.mark.parametrize("code", [0, 1, 2, 0x80], ids=str)
    def test_suback_there_and_back(self, code: int) -> None:
        assert to_v311(PacketType.SUBACK, from_v311(PacketType.SUBACK, code)) == code

    def test_the_five_refusals(self) -> None:
        assert [
            to_v311(PacketType.CONNACK, reason)
            for reason in (
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
                ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
                ReasonCode.SERVER_UNAVAILABLE,
                ReasonCode.BAD_USER_NAME_OR_PASSWORD,
                ReasonCode.NOT_AUTHORIZED,
            )
        ] == [1, 2, 3, 4, 5]

    def test_connack_codes_have_a_form_unless_the_client_broke_the_protocol(self) -> None:
        without = set()
        for reason in LEGAL[PacketType.CONNACK]:
            try:
                assert 0 <= to_v311(PacketType.CONNACK, reason) <= 5
            except KeyError:
                without.add(reason)
        assert without == {ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR, ReasonCode.PACKET_TOO_LARGE}

    def test_every_failure_of_a_subscription_is_0x80(self) -> None:
        failures = {to_v311(PacketType.SUBACK, code) for code in LEGAL[PacketType.SUBACK] if code >= 0x80}
        assert failures == {0x80}

    @pytest.mark.parametrize(
        ("packet_type", "reason"),
        [
            (PacketType.CONNACK, ReasonCode.SESSION_TAKEN_OVER),
            (PacketType.SUBACK, ReasonCode.NO_SUBSCRIPTION_EXISTED),
            (PacketType.PUBACK, ReasonCode.SUCCESS),
            (PacketType.DISCONNECT, ReasonCode.SERVER_SHUTTING_DOWN),
        ],
        ids=["connack", "suback", "puback", "disconnect"],
    )
    def test_no_way_down(self, packet_type: PacketType, reason: ReasonCode) -> None:
        with pytest.raises(KeyError):
            to_v311(packet_type, reason)

    @pytest.mark.parametrize(
        ("packet_type", "code"),
        [(PacketType.CONNACK, 6), (PacketType.CONNACK, -1), (PacketType.SUBACK, 3), (PacketType.UNSUBACK, 0)],
        ids=["connack", "negative", "suback", "unsuback"],
    )
    def test_no_way_up(self, packet_type: PacketType, code: int) -> None:
        with pytest.raises(KeyError):
            from_v311(packet_type, code)
