"""The decoder, beyond the vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import (
    Connect,
    MQTTError,
    PacketType,
    Properties,
    ProtocolVersion,
    QuotaExceeded,
    UnsupportedProtocolVersion,
    Will,
    decode,
    encode,
)
from mqttbroker.protocol.packet_types import FIXED_HEADER_FLAGS
from tests.protocol.notation import assemble
from tests.protocol.strategies import versions

V31 = ProtocolVersion.V31
V5 = ProtocolVersion.V5


class TestFixedHeader:
    """Section 2.1."""

    @pytest.mark.parametrize("version", ProtocolVersion, ids=lambda version: version.name)
    def test_only_the_right_flags_pass(self, version: ProtocolVersion) -> None:  # [MQTT-2.1.3-1]
        # An empty body is wrong for most types; a complaint about the flags has to come first.
        for packet_type, expected in FIXED_HEADER_FLAGS.items():
            if packet_type is PacketType.AUTH and version is not V5:
                continue
            for flags in range(16):
                accepted = flags == expected or (version is V31 and expected == 2 and flags == 10)
                try:
                    decode(packet_type << 4 | flags, b"", version)
                    detail = ""
                except MQTTError as error:
                    detail = error.detail
                assert ("flags" in detail) is not accepted


class TestConnect:
    """Section 3.1."""

    def test_brings_its_own_version(self) -> None:
        body = assemble("<MQIsdp> 03 02 0000 <c>")
        assert decode(0x10, body, V5) == Connect("c", V31)

    @pytest.mark.parametrize(
        ("text", "name", "level"),
        [("<MQTT> 06 02", "MQTT", 6), ("<MQIsdp> 05", "MQIsdp", 5), ("<HTTP> 04 FF", "HTTP", 4)],
        ids=["level", "old-name", "name"],
    )
    def test_unsupported_version_is_told(self, text: str, name: str, level: int) -> None:  # [MQTT-3.1.2-2]
        with pytest.raises(UnsupportedProtocolVersion) as caught:
            decode(0x10, assemble(text), V5)
        assert (caught.value.protocol_name, caught.value.level) == (name, level)

    def test_the_limit_of_user_properties_is_for_packet_and_will_together(self) -> None:
        two = Properties(user_properties=(("k", "v"),) * 2)
        data = encode(Connect("c", will=Will("w", properties=two), properties=two), V5)
        body = data[2:]
        assert len(body) == data[1]
        decode(0x10, body, V5, max_user_properties=4)
        with pytest.raises(QuotaExceeded):
            decode(0x10, body, V5, max_user_properties=3)
        with pytest.raises(QuotaExceeded):
            decode(0x10, body, V5, max_user_properties=1)


@given(st.integers(0, 255), st.binary(max_size=50), versions)
def test_any_bytes_are_a_packet_or_an_error(first: int, body: bytes, version: ProtocolVersion) -> None:
    try:
        packet = decode(first, body, version)
    except MQTTError:
        return
    assert packet.type == first >> 4
