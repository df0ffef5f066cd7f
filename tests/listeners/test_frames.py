"""The short path through WebSocket frames, held against the package that reads all others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from mqttbroker.listeners.frames import binary_frame, frame_size, take_binary
from tests.support.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, FrameReader, frame

LIMIT = 1_000
OPCODES = (BINARY, CONTINUATION, TEXT, CLOSE, PING, PONG)
LENGTHS = (0, 1, 125, 126, 127, 500, LIMIT)


def parsed(data: bytes) -> Frame:
    """One frame, as the package reads it."""
    reader = StreamReader()
    reader.feed_data(data)
    reading = Frame.parse(reader.read_exact, mask=True)
    try:
        next(reading)
    except StopIteration as whole:
        assert isinstance(whole.value, Frame)
        return whole.value
    raise AssertionError("the frame is not whole")


payloads = st.sampled_from(LENGTHS).flatmap(lambda length: st.binary(min_size=length, max_size=length))
messages = st.builds(frame, payloads)
frames = st.one_of(
    messages,
    messages,
    st.builds(frame, payloads, st.sampled_from((BINARY, CONTINUATION, TEXT)), st.booleans()),
    st.builds(frame, st.binary(max_size=125), st.sampled_from((PING, PONG, CLOSE))),
)


@given(st.lists(frames, max_size=6), st.integers(0, 5))
def test_a_run_is_what_the_package_reads(several: list[bytes], before: int) -> None:
    """Up to the first frame that is anything else than a whole binary message."""
    expected, end = b"", before
    for each in several:
        one = parsed(each)
        if one.opcode != BINARY or not one.fin:
            break
        expected += bytes(one.data)
        end += len(each)
    assert take_binary(b"?" * before + b"".join(several), before, LIMIT) == (expected, end)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_that_is_cut_off_is_not_taken(length: int) -> None:
    whole = frame(b"a") + frame(bytes(length))
    for stop in range(len(frame(b"a")), len(whole)):
        assert take_binary(whole[:stop], 0, LIMIT) == (b"a", len(frame(b"a")))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(bytes(LIMIT + 1)), id="too large"),
        pytest.param(b"\xc2" + frame(b"a")[1:], id="reserved bit"),
        pytest.param(b"\x82\x05" + bytes(5), id="no mask"),
        pytest.param(b"\x82\x7e" + bytes(200), id="no mask, two bytes of length"),
        pytest.param(b"\x82\xff" + b"\xff" * 20, id="2^64-1 bytes"),
    ],
)
def test_what_is_out_of_order_is_left_to_the_package(data: bytes) -> None:
    assert take_binary(data, 0, LIMIT) == (b"", 0)


@pytest.mark.parametrize("opcode", OPCODES)
@pytest.mark.parametrize("length", LENGTHS)
def test_where_a_frame_ends(opcode: int, length: int) -> None:
    data = b"?" + frame(bytes(length), opcode)
    for stop in range(1, len(data) + 5):
        size = frame_size((data + b"next")[:stop], 1)
        # As long as it is not known, something that is not there yet is asked for.
        assert size == len(data) - 1 or stop - 1 < size < len(data) - 1


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_what_is_sent_is_one_frame(length: int) -> None:
    assert FrameReader().feed(binary_frame(bytes(length))) == [(BINARY, bytes(length))]
