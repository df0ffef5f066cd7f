"""PROXY protocol headers: of both versions, in pieces, wrong ones, and what is believed of what they say."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mqttbroker.broker.authority import ClientCertificate
from mqttbroker.listeners.proxy_protocol import (
    MAX_HEADER_SIZE,
    V2_MAX_LENGTH,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
    crc32c,
)
from tests.listeners.proxy_headers import CLIENT_HELLO, HEADERS, IPV4, SIGNATURE, WRONG, octets
from tests.support.proxy import (
    ALPN,
    AUTHORITY,
    CERTIFICATE_IN_SESSION,
    CERTIFICATE_ON_CONNECTION,
    COMMON_NAME,
    CRC32C,
    NETNS,
    NOOP,
    SSL,
    TLS,
    UNIQUE_ID,
    Endpoint,
    Vector,
    proxy_v1,
    proxy_v2,
    ssl_vector,
    vector,
)


def read(stream: bytes, *sizes: int) -> tuple[ProxyHeader, bytes]:
    """Read a header from a stream that arrives in pieces of so many bytes, and then the rest; and what follows it.

    The bytes of a piece lie in the socket until they are taken out, as a listener finds them.
    """
    reader = ProxyHeaderReader()
    waiting = b""
    pieces = [*sizes, len(stream)]
    while reader.header is None:
        while not waiting:
            assert pieces, "the header should be whole by now"
            size = pieces.pop(0)
            waiting, stream = stream[:size], stream[size:]
        taken = reader.feed(waiting)
        assert 1 <= taken <= len(waiting)
        waiting = waiting[taken:]
        assert reader.header is not None or not waiting
    return reader.header, waiting + stream


def wrong(stream: bytes, *sizes: int) -> str:
    """What is wrong with a header."""
    with pytest.raises(ProxyHeaderError) as caught:
        read(stream, *sizes)
    return str(caught.value)


def header(stream: bytes) -> ProxyHeader:
    """The header, which must be the whole stream."""
    found, rest = read(stream)
    assert rest == b""
    return found


@pytest.mark.parametrize(("stream", "expected"), HEADERS.values(), ids=HEADERS)
class TestHeaders:
    """Sections 2.1 and 2.2: headers as they should be."""

    def test_is_read(self, stream: bytes, expected: ProxyHeader) -> None:
        assert read(stream) == (expected, b"")

    def test_byte_by_byte(self, stream: bytes, expected: ProxyHeader) -> None:
        assert read(stream, *[1] * len(stream)) == (expected, b"")

    @pytest.mark.parametrize("following", [CLIENT_HELLO, b"\x10\x0d\0\4MQTT", b"\r\n", b"\n", b"PROXY "])
    def test_what_follows_stays(self, stream: bytes, expected: ProxyHeader, following: bytes) -> None:
        assert read(stream + following) == (expected, following)

    def test_cut_short_is_not_whole(self, stream: bytes, expected: ProxyHeader) -> None:
        for size in range(len(stream)):
            reader = ProxyHeaderReader()
            assert reader.feed(stream[:size]) == size
            assert reader.header is None


@pytest.mark.parametrize(("stream", "reason"), WRONG.values(), ids=WRONG)
class TestWrongHeaders:
    """What is not exactly as specified ends the connection."""

    def test_is_refused(self, stream: bytes, reason: str) -> None:
        assert reason in wrong(stream)

    def test_for_the_same_reason_byte_by_byte(self, stream: bytes, reason: str) -> None:
        assert wrong(stream, *[1] * len(stream)) == wrong(stream)

    def test_also_where_more_follows(self, stream: bytes, reason: str) -> None:
        assert wrong(stream + CLIENT_HELLO * 1_000) == wrong(stream)


class TestReader:
    def test_nothing_waits(self) -> None:
        reader = ProxyHeaderReader()
        assert reader.feed(b"") == 0
        assert reader.header is None

    def test_a_whole_header_takes_no_more(self) -> None:
        reader = ProxyHeaderReader()
        reader.feed(proxy_v1())
        first = reader.header
        assert reader.feed(proxy_v1(("198.51.100.66", 1))) == 0
        assert reader.header is first

    def test_refuses_as_soon_as_it_can(self) -> None:
        reader = ProxyHeaderReader()
        assert reader.feed(b"PRO") == 3
        with pytest.raises(ProxyHeaderError):
            reader.feed(b"P")

    def test_the_largest_header(self) -> None:
        padding = (NOOP, bytes(V2_MAX_LENGTH - 12 - 3))
        stream = proxy_v2(vectors=[padding])
        assert len(stream) == MAX_HEADER_SIZE
        assert header(stream).source == "192.0.2.1:56324"
        with pytest.raises(ProxyHeaderError, match="4097 bytes"):
            read(proxy_v2(vectors=[(NOOP, padding[1] + b"\0")]))

    def test_errors_do_not_repeat_what_would_break_a_line(self) -> None:
        assert wrong(b"PROXY TCP4 \x1b[2J\r \0\xff\r\n").isprintable()


class TestCertificate:
    """Section 2.2.6: whose names are believed."""

    def test_that_was_checked(self) -> None:
        assert header(proxy_v2(vectors=[ssl_vector("device-7")])).certificate == ClientCertificate("device-7")

    @pytest.mark.parametrize("flag", [CERTIFICATE_ON_CONNECTION, CERTIFICATE_IN_SESSION], ids=["connection", "session"])
    def test_shown_at_any_time_of_the_session(self, flag: int) -> None:
        stream = proxy_v2(vectors=[ssl_vector("device-7", flags=TLS | flag)])
        assert header(stream).certificate == ClientCertificate("device-7")

    @pytest.mark.parametrize("verify", [1, 18, 0x0100_0000, 0xFFFF_FFFF], ids=hex)
    def test_that_was_found_bad(self, verify: int) -> None:
        found = header(proxy_v2(vectors=[ssl_vector("admin", verify=verify)]))
        assert found.certificate is None
        assert found.tls_version == "TLSv1.3"

    def test_that_was_not_shown(self) -> None:
        # A verify of zero and a name, but no certificate: no honest proxy would send it.
        assert header(proxy_v2(vectors=[ssl_vector("admin", flags=TLS)])).certificate is None

    @pytest.mark.parametrize("flags", [0, CERTIFICATE_ON_CONNECTION | CERTIFICATE_IN_SESSION, 0xFE], ids=hex)
    def test_without_tls(self, flags: int) -> None:
        found = header(proxy_v2(vectors=[ssl_vector("admin", flags=flags)]))
        assert found.certificate is None
        assert found.tls_version == ""

    def test_flags_of_the_future(self) -> None:
        assert header(proxy_v2(vectors=[ssl_vector("device-7", flags=0xFF)])).certificate is not None

    def test_common_name_outside_of_the_vector_for_tls(self) -> None:
        found = header(proxy_v2(vectors=[ssl_vector(flags=7), (COMMON_NAME, b"admin")]))
        assert found.certificate == ClientCertificate("")

    @pytest.mark.parametrize("name", ["Müller", "a b", "#", "名前"])
    def test_names(self, name: str) -> None:
        assert header(proxy_v2(vectors=[ssl_vector(name)])).certificate == ClientCertificate(name)

    @pytest.mark.parametrize(
        "name",
        [
            b"",
            b"admin\0",
            b"a\nb",
            b"a\x7fb",
            b"a\xc2\x85b",
            b"a\xe2\x80\xa8b",
            b"M\xfcller",
            b"\xed\xa0\x80",
            b"\0a\0d",
        ],
    )
    def test_names_that_nobody_should_have(self, name: bytes) -> None:
        assert header(proxy_v2(vectors=[ssl_vector(name)])).certificate == ClientCertificate("")

    def test_other_texts_that_are_unfit_to_be_shown(self) -> None:
        found = header(proxy_v2(vectors=[(AUTHORITY, b"a\r\nb"), ssl_vector(version=b"TLS\x1b[2J")]))
        assert (found.authority, found.tls_version) == ("", "")


class TestChecksum:
    """Section 2.2.3."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"", 0),
            (b"123456789", 0xE306_9283),
            # RFC 3720, appendix B.4, whose checksums are in the order of the wire.
            (bytes(32), 0x8A91_36AA),
            (b"\xff" * 32, 0x62A8_AB43),
            (bytes(range(32)), 0x46DD_794E),
        ],
        ids=["nothing", "digits", "zeroes", "ones", "ascending"],
    )
    def test_known_ones(self, text: bytes, expected: int) -> None:
        assert crc32c(text) == expected

    def test_right(self) -> None:
        assert header(proxy_v2(checksum=True)).source == "192.0.2.1:56324"

    def test_every_bit_counts(self) -> None:
        stream = proxy_v2(vectors=[(AUTHORITY, b"a")], checksum=True)
        # Behind the length; a change of the type of the checksum makes it something else than a checksum.
        for bit in range(16 * 8, len(stream) * 8):
            if bit // 8 == len(stream) - 7:
                continue
            changed = bytearray(stream)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ProxyHeaderError):
                read(bytes(changed))

    def test_two_of_them(self) -> None:
        assert "two vectors of type 0x03" in wrong(proxy_v2(vectors=[(CRC32C, bytes(4))], checksum=True))


PORTS = st.integers(0, 65_535)
ENDPOINTS = st.one_of(
    st.tuples(st.ip_addresses(v=4).map(str), PORTS),
    st.tuples(st.ip_addresses(v=6).map(str).filter(lambda each: not each.startswith("::ffff:")), PORTS),
)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40)
IGNORED = st.tuples(st.sampled_from([ALPN, NOOP, UNIQUE_ID, NETNS, 0xE0, 0xEA, 0xF7]), st.binary(max_size=30))
BEGINNINGS = ["", f"{SIGNATURE} 21 11 0030", f"{SIGNATURE} 21 11 002a {IPV4}"]
SPLITS = st.lists(st.integers(1, 40), max_size=20)


def shown(endpoint: Endpoint) -> str:
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class TestProperties:
    @given(ENDPOINTS, SPLITS, st.binary(max_size=20))
    def test_round_trip_of_version_1(self, source: Endpoint, sizes: list[int], following: bytes) -> None:
        found, rest = read(proxy_v1(source) + following, *sizes)
        assert found == ProxyHeader(source=shown(source))
        assert rest == following

    @given(ENDPOINTS, NAMES, NAMES, st.lists(IGNORED, max_size=4), st.booleans(), SPLITS, st.binary(max_size=20))
    def test_round_trip_of_version_2(
        self,
        source: Endpoint,
        authority: str,
        common_name: str,
        others: list[Vector],
        checksum: bool,
        sizes: list[int],
        following: bytes,
    ) -> None:
        vectors = [*others, (AUTHORITY, authority.encode()), ssl_vector(common_name), *others]
        found, rest = read(proxy_v2(source, vectors=vectors, checksum=checksum) + following, *sizes)
        assert found == ProxyHeader(False, shown(source), "TLSv1.3", ClientCertificate(common_name), authority)
        assert rest == following

    @given(
        st.binary(max_size=300),
        SPLITS,
        st.sampled_from(["", f"{SIGNATURE} 21 11 0030", f"{SIGNATURE} 21 11 002a {IPV4}"]),
    )
    @example(b"PROXY ", [], "")
    @example(vector(SSL, b"\7"), [], f"{SIGNATURE} 21 11 0010 {IPV4}")
    def test_any_bytes_are_a_header_or_an_error_however_they_are_split(
        self, garbage: bytes, sizes: list[int], beginning: str
    ) -> None:
        stream = octets(beginning) + garbage
        assert outcome(stream, [len(stream)]) == outcome(stream, sizes)

    @given(st.binary(max_size=120), SPLITS)
    def test_so_are_lines(self, garbage: bytes, sizes: list[int]) -> None:
        stream = b"PROXY TCP4 " + garbage + b"\r\n"
        assert outcome(stream, [len(stream)]) == outcome(stream, sizes)


def outcome(stream: bytes, sizes: list[int]) -> tuple[ProxyHeader | str | None, int]:
    """What comes of a stream in pieces: a header, an error or neither; and how much of the stream it was."""
    reader = ProxyHeaderReader()
    taken = 0
    for size in [*sizes, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        try:
            taken += reader.feed(piece)
        except ProxyHeaderError as error:
            return str(error), 0
        if reader.header is not None:
            break
    return reader.header, taken
