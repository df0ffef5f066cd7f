"""The notation that the vectors are written in."""

from __future__ import annotations

import pytest

from tests.protocol.notation import assemble, varint


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("E000", b"\xe0\x00"),
        ("30 .. <a/b> 'hi'", b"\x30\x07\x00\x03a/bhi"),
        ("[]", b"\0"),
        ("F0 .. 18 [15 <m>]", b"\xf0\x06\x18\x04\x15\x00\x01m"),
        ("<>", b"\0\0"),
    ],
    ids=["hexadecimal", "strings", "empty-list", "list", "empty-string"],
)
def test_assemble(text: str, data: bytes) -> None:
    assert assemble(text) == data


def test_assemble_refuses_what_it_does_not_know() -> None:
    with pytest.raises(AssertionError, match="not understood"):
        assemble("30 G0")


def test_varint_of_table_1_1() -> None:
    assert [varint(value).hex() for value in (0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455)] == [
        "00",
        "7f",
        "8001",
        "ff7f",
        "808001",
        "ffff7f",
        "80808001",
        "ffffff7f",
    ]
