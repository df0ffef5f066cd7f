"""The PROXY protocol, versions 1 and 2: how a TCP proxy says whom it speaks for, before the first byte of the client.

The format is that of HAProxy's ``proxy-protocol.txt``; section numbers below are those of that document. No I/O
happens here. The header is read before anything else is made of the connection, so that what follows it, a TLS
ClientHello or an MQTT CONNECT, must stay in the socket: :class:`ProxyHeaderReader` is shown bytes that were only
peeked at, and tells how many of them to take out.

Whoever may send this header can pretend to be anybody. Only connections from trusted proxies may get here, and on
those the header is a must: it is never guessed whether there is one (section 2).

A header that is not exactly as specified is an error, and so is a checksum that does not fit. The names in it are not
the proxy's own but the client's, so that a name that cannot be shown safely is no error, but as good as none.

Deliberately absent: destination addresses, paths of Unix sockets, and all additional vectors (TLVs) other than those
for TLS, the server name and the checksum. What comes with a LOCAL or UNSPEC header is passed over unread.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mqttbroker.broker.authority import ClientCertificate
from mqttbroker.listeners.trust import Address, format_endpoint, unmapped

__all__ = ["MAX_HEADER_SIZE", "ProxyHeader", "ProxyHeaderError", "ProxyHeaderReader", "crc32c"]

V1_BEGINNING: Final = b"PROXY "
V1_MAX_SIZE: Final = 107
"""Bytes of the longest line of version 1, with its end (section 2.1)."""

V2_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V2_FIXED_SIZE: Final = 16
V2_MAX_LENGTH: Final = 4_096
"""Bytes of addresses and vectors in version 2. The format allows for 65,535; a few hundred are common, and a proxy
that passes on whole certificates needs some thousands.
"""
MAX_HEADER_SIZE: Final = V2_FIXED_SIZE + V2_MAX_LENGTH
"""Bytes of the largest header: more need not be peeked at."""

_LOCAL, _PROXY = 0x20, 0x21
"""Version 2 in the upper four bits, the command in the lower."""
_UNSPECIFIED = 0x00
_IPV4, _IPV6, _UNIX = 1, 2, 3
_ADDRESS_SIZES: Final = {0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
"""Bytes of both addresses by family (upper four bits) and transport: 1 stream, 2 datagram, for a proxy that is itself
reached over QUIC.
"""

_TYPE_AUTHORITY, _TYPE_CRC32C, _TYPE_SSL = 0x02, 0x03, 0x20
_SUBTYPE_VERSION, _SUBTYPE_COMMON_NAME = 0x21, 0x22
_CLIENT_SSL, _CLIENT_CERTIFICATE = 0x01, 0x02 | 0x04
"""Flags of the TLS vector: TLS is in use; a certificate was shown on this connection, or earlier in its session."""
_SSL_FIXED_SIZE = 5

_OTHERS: Final = {0x10: "an MQTT CONNECT packet", 0x16: "a TLS ClientHello"}
"""What connections without a header begin with, for the log."""


class ProxyHeaderError(ValueError):
    """The connection does not begin with a PROXY protocol header, or with a wrong one. Nothing that comes on it can be
    used; the text is for the log.
    """


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a proxy says of the connection."""

    local: bool = False
    """Whether the proxy speaks for itself, to see whether we are well; the real peer is the client then."""
    source: str = ""
    """Address of the client: ``192.0.2.1:1883``, ``[2001:db8::1]:1883``, ``unix``; empty where the proxy does not
    know.
    """
    tls_version: str = ""
    """As the proxy writes it, like ``TLSv1.3``; empty where the client does not use TLS."""
    certificate: ClientCertificate | None = None
    """That of the client, where it has shown one and the proxy has found it good. Its common name is empty where it
    has none, or one that is not UTF-8 or holds control characters.
    """
    authority: str = ""
    """Name of the server that the client wants to reach (SNI); empty where unknown or unfit to be shown."""


class ProxyHeaderReader:
    """Reads one header from the beginning of a connection. Holds at most ``MAX_HEADER_SIZE`` bytes."""

    __slots__ = ("_seen", "header")

    def __init__(self) -> None:
        self._seen: bytes = b""
        self.header: ProxyHeader | None = None
        """The header, as soon as it is whole."""

    def feed(self, waiting: bytes) -> int:
        """Look at the bytes that wait in the socket, and return how many of them belong to the header.

        The caller must take exactly so many out of the socket before it calls again. They are at least one of them
        until the header is whole, and none from then on.
        Raises :class:`ProxyHeaderError`; the connection must be closed then.
        """
        if self.header is not None:
            return 0
        before = len(self._seen)
        seen = self._seen + waiting[:MAX_HEADER_SIZE]
        size = _header_size(seen)
        if size is None or size > len(seen):
            self._seen = seen
            return len(seen) - before
        header = seen[:size]
        self.header = _parse_line(header) if header.startswith(V1_BEGINNING) else _parse_block(header)
        self._seen = b""
        return size - before


def _header_size(seen: bytes) -> int | None:
    """Bytes of the header that begins like this; ``None`` as long as that cannot be told."""
    beginning = V1_BEGINNING if seen.startswith(V1_BEGINNING[:1]) else V2_SIGNATURE
    if not beginning.startswith(seen[: len(beginning)]):
        other = _OTHERS.get(seen[0])
        raise ProxyHeaderError("no PROXY protocol header" + (f", but {other}" if other else ""))
    if beginning == V1_BEGINNING:
        size = seen.find(b"\n", 0, V1_MAX_SIZE) + 1
        if not size and len(seen) >= V1_MAX_SIZE:
            raise ProxyHeaderError(f"PROXY protocol: no end of the line in {V1_MAX_SIZE} bytes")
        return size or None
    if len(seen) < V2_FIXED_SIZE:
        return None
    if seen[12] not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(
            f"PROXY protocol: version {seen[12] >> 4} with command {seen[12] & 15}, expected 2 with 0 or 1"
        )
    length = int.from_bytes(seen[14:16])
    if length > V2_MAX_LENGTH:
        raise ProxyHeaderError(
            f"PROXY protocol: {length} bytes of addresses and vectors, expected up to {V2_MAX_LENGTH}"
        )
    return V2_FIXED_SIZE + length


# Version 1 (section 2.1).


def _parse_line(line: bytes) -> ProxyHeader:
    if not line.endswith(b"\r\n"):
        raise ProxyHeaderError("PROXY protocol: the line ends without a carriage return")
    match line[:-2].split(b" "):
        case [_, b"UNKNOWN", *_]:
            return ProxyHeader()
        case [_, b"TCP4" | b"TCP6" as family, source, destination, source_port, destination_port]:
            pass
        case _:
            raise ProxyHeaderError(f"PROXY protocol: expected a family, two addresses and two ports, got {line!r}")
    try:
        address = _parse_address(family, source)
        _parse_address(family, destination)
        port = _parse_port(source_port)
        _parse_port(destination_port)
    except ValueError:
        raise ProxyHeaderError(f"PROXY protocol: an address or a port is wrong in {line!r}") from None
    return ProxyHeader(source=format_endpoint(unmapped(address), port))


def _parse_address(family: bytes, written: bytes) -> Address:
    text = written.decode("ascii")
    if family == b"TCP4":
        return IPv4Address(text)
    if "%" in text:
        raise ValueError("a network interface of another machine")
    return IPv6Address(text)


def _parse_port(written: bytes) -> int:
    # Zeroes in front are not allowed, and isdigit() of bytes knows ASCII only.
    if not written.isdigit() or len(written) > 5 or (written.startswith(b"0") and written != b"0"):
        raise ValueError("not a port")
    port = int(written)
    if port > 65_535:
        raise ValueError("not a port")
    return port


# Version 2 (section 2.2).


def _parse_block(block: bytes) -> ProxyHeader:
    # The rest of these two has no meaning, whatever it is.
    if block[12] == _LOCAL:
        return ProxyHeader(local=True)
    if block[13] == _UNSPECIFIED:
        return ProxyHeader()
    size = _ADDRESS_SIZES.get(block[13])
    if size is None:
        raise ProxyHeaderError(f"PROXY protocol: unknown address family and transport 0x{block[13]:02x}")
    vectors_from = V2_FIXED_SIZE + size
    if len(block) < vectors_from:
        raise ProxyHeaderError(f"PROXY protocol: {len(block) - V2_FIXED_SIZE} bytes of addresses, expected {size}")
    vectors = _find_vectors(block, vectors_from, len(block), (_TYPE_AUTHORITY, _TYPE_CRC32C, _TYPE_SSL))
    if _TYPE_CRC32C in vectors:
        _check_crc32c(block, vectors[_TYPE_CRC32C])
    authority = _name(block[vectors[_TYPE_AUTHORITY]]) if _TYPE_AUTHORITY in vectors else ""
    tls_version, certificate = "", None
    if _TYPE_SSL in vectors:
        tls_version, certificate = _parse_ssl(block, vectors[_TYPE_SSL])
    return ProxyHeader(False, _source(block), tls_version, certificate, authority)


def _source(block: bytes) -> str:
    family = block[13] >> 4
    if family == _IPV4:
        return format_endpoint(IPv4Address(block[16:20]), int.from_bytes(block[24:26]))
    if family == _IPV6:
        return format_endpoint(unmapped(IPv6Address(block[16:32])), int.from_bytes(block[48:50]))
    return "unix"


def _find_vectors(block: bytes, start: int, stop: int, wanted: Container[int]) -> dict[int, slice]:
    """Where the values of the wanted types are. Each may be there once, so that no two readers can differ on which
    one counts.
    """
    found: dict[int, slice] = {}
    while start < stop:
        value = start + 3
        end = value + int.from_bytes(block[start + 1 : value])
        if value > stop or end > stop:
            raise ProxyHeaderError("PROXY protocol: a vector is cut short")
        kind = block[start]
        if kind in wanted:
            if kind in found:
                raise ProxyHeaderError(f"PROXY protocol: two vectors of type 0x{kind:02x}")
            found[kind] = slice(value, end)
        start = end
    return found


def _parse_ssl(block: bytes, where: slice) -> tuple[str, ClientCertificate | None]:
    """TLS version and client certificate (section 2.2.6)."""
    if where.stop - where.start < _SSL_FIXED_SIZE:
        raise ProxyHeaderError("PROXY protocol: the vector for TLS is cut short")
    client = block[where.start]
    verify = int.from_bytes(block[where.start + 1 : where.start + _SSL_FIXED_SIZE])
    vectors = _find_vectors(block, where.start + _SSL_FIXED_SIZE, where.stop, (_SUBTYPE_VERSION, _SUBTYPE_COMMON_NAME))
    if not client & _CLIENT_SSL:
        return "", None
    version = _name(block[vectors[_SUBTYPE_VERSION]]) if _SUBTYPE_VERSION in vectors else ""
    # A verify of zero alone says nothing: proxies send it too where no certificate was shown.
    if verify or not client & _CLIENT_CERTIFICATE:
        return version, None
    common_name = _name(block[vectors[_SUBTYPE_COMMON_NAME]]) if _SUBTYPE_COMMON_NAME in vectors else ""
    return version, ClientCertificate(common_name)


def _name(written: bytes) -> str:
    """A name that the client has chosen; empty when it is unfit for logs and user names."""
    try:
        name = written.decode()
    except UnicodeDecodeError:
        return ""
    # Control characters, and those that end a line or a paragraph.
    return "" if any(unicodedata.category(each) in ("Cc", "Zl", "Zp") for each in name) else name


# The checksum (section 2.2.3).


def _check_crc32c(block: bytes, where: slice) -> None:
    if where.stop - where.start != 4:
        raise ProxyHeaderError("PROXY protocol: the checksum is not of four bytes")
    if crc32c(block[: where.start] + bytes(4) + block[where.stop :]) != int.from_bytes(block[where]):
        raise ProxyHeaderError("PROXY protocol: the checksum is wrong")


def crc32c(octets: bytes) -> int:
    """The CRC-32C checksum (RFC 4960, appendix B): the Castagnoli polynomial, reflected."""
    remainder = 0xFFFF_FFFF
    for octet in octets:
        remainder = remainder >> 8 ^ _CRC32C_TABLE[(remainder ^ octet) & 0xFF]
    return remainder ^ 0xFFFF_FFFF


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for remainder in range(256):
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F6_3B78 if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


_CRC32C_TABLE: Final = _crc32c_table()
