"""The data types of section 1.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import InvalidPacket, MalformedPacket
from mqttbroker.protocol.wire import (
    MAX_VARINT,
    encode_binary,
    encode_string,
    encode_u8,
    encode_u16,
    encode_u32,
    encode_varint,
    read_binary,
    read_remaining_length,
    read_string,
    read_u8,
    read_u16,
    read_u32,
    read_varint,
)
from tests.protocol.notation import varint
from tests.protocol.strategies import texts

EDGES = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX_VARINT]
BAD_VARINTS = ["8000", "808000", "80808000", "FFFFFF00", "FFFFFFFF", "80808080", "8080808001"]


class TestVariableByteInteger:
    """Section 1.5.5."""

    @pytest.mark.parametrize("value", EDGES, ids=str)
    def test_edges(self, value: int) -> None:
        assert encode_varint(value) == varint(value)
        data = b"\xff" + varint(value) + b"\xff"
        assert read_remaining_length(data, 1) == (value, len(data) - 1)
        assert read_varint(data, 1, len(data) - 1) == (value, len(data) - 1)

    @given(st.integers(0, MAX_VARINT))
    def test_any_value(self, value: int) -> None:
        assert encode_varint(value) == varint(value)
        assert read_remaining_length(varint(value), 0) == (value, len(varint(value)))

    @given(st.binary(max_size=6))
    def test_any_bytes(self, data: bytes) -> None:
        try:
            value, after = read_remaining_length(data, 0)
        except MalformedPacket:
            return
        if value >= 0:
            assert varint(value) == data[:after]  # [MQTT-1.5.5-1]
        else:
            assert after == 0
            assert all(byte >= 0x80 for byte in data)

    @pytest.mark.parametrize("value", EDGES, ids=str)
    def test_incomplete(self, value: int) -> None:
        whole = varint(value)
        for size in range(len(whole)):
            assert read_remaining_length(b"\0" + whole[:size], 1) == (-1, 1)
            with pytest.raises(MalformedPacket):
                read_varint(whole[:size], 0, size)

    def test_does_not_pass_the_stop(self) -> None:
        with pytest.raises(MalformedPacket):
            read_varint(b"\x80\x01", 0, 1)

    @pytest.mark.parametrize("text", BAD_VARINTS, ids=str)
    def test_malformed(self, text: str) -> None:
        with pytest.raises(MalformedPacket):
            read_remaining_length(bytes.fromhex(text), 0)

    @pytest.mark.parametrize("value", [-1, MAX_VARINT + 1], ids=["below", "above"])
    def test_does_not_fit(self, value: int) -> None:
        with pytest.raises(InvalidPacket):
            encode_varint(value)


class TestIntegers:
    """Sections 1.5.1 to 1.5.3."""

    def test_written(self) -> None:
        assert (encode_u8(255), encode_u16(258), encode_u32(0x01020304)) == (b"\xff", b"\1\2", b"\1\2\3\4")

    def test_read(self) -> None:
        data = b"\0\1\2\3\4"
        assert read_u8(data, 1, 5) == (1, 2)
        assert read_u16(data, 1, 5) == (258, 3)
        assert read_u32(data, 1, 5) == (0x01020304, 5)

    def test_do_not_pass_the_stop(self) -> None:
        data = b"\0\1\2\3\4"
        for read, size in ((read_u8, 1), (read_u16, 2), (read_u32, 4)):
            for stop in range(1, 1 + size):
                with pytest.raises(MalformedPacket):
                    read(data, 1, stop)

    @pytest.mark.parametrize("value", [-1, 1 << 32], ids=["below", "above"])
    def test_do_not_fit(self, value: int) -> None:
        for encode in (encode_u8, encode_u16, encode_u32):
            with pytest.raises(InvalidPacket):
                encode(value)


class TestStrings:
    """Section 1.5.4."""

    @given(texts)
    def test_round_trip(self, text: str) -> None:
        data = encode_string(text)
        assert read_string(data, 0, len(data)) == (text, len(data))

    def test_byte_order_mark_stays(self) -> None:  # [MQTT-1.5.4-3]
        assert read_string(b"\x00\x03\xef\xbb\xbf", 0, 5) == ("\ufeff", 5)
        assert encode_string("\ufeff") == b"\x00\x03\xef\xbb\xbf"

    @pytest.mark.parametrize(
        "raw",
        [
            b"\x80",
            b"\xc0\x80",
            b"\xc1\xa1",
            b"\xe0\x80\x80",
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xff",
        ],
        ids=["stray", "overlong-nul", "overlong", "overlong-3", "high-surrogate", "low-surrogate", "beyond", "ff"],
    )
    def test_not_utf_8(self, raw: bytes) -> None:  # [MQTT-1.5.4-1]
        data = encode_binary(raw)
        with pytest.raises(MalformedPacket, match="not UTF-8"):
            read_string(data, 0, len(data))

    def test_nul(self) -> None:  # [MQTT-1.5.4-2]
        with pytest.raises(MalformedPacket, match=r"U\+0000"):
            read_string(b"\x00\x01\x00", 0, 3)
        with pytest.raises(InvalidPacket, match=r"U\+0000"):
            encode_string("a\0")

    def test_surrogates_are_not_written(self) -> None:
        with pytest.raises(InvalidPacket, match="surrogate"):
            encode_string("\ud800")

    def test_longest(self) -> None:
        assert len(encode_string("x" * 65_535)) == 65_537
        with pytest.raises(InvalidPacket):
            encode_string("x" * 65_536)
        with pytest.raises(InvalidPacket):
            encode_string("\u00e9" * 32_768)


class TestBinaryData:
    """Section 1.5.6."""

    @given(st.binary(max_size=50))
    def test_round_trip(self, raw: bytes) -> None:
        data = b"\0" + encode_binary(raw) + b"\0"
        assert read_binary(data, 1, len(data)) == (raw, len(data) - 1)

    @pytest.mark.parametrize("data", [b"", b"\0", b"\0\1", b"\xff\xffabc"], ids=["empty", "one", "short", "shorter"])
    def test_cut_short(self, data: bytes) -> None:
        with pytest.raises(MalformedPacket):
            read_binary(data, 0, len(data))
