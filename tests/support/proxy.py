"""Writes PROXY protocol headers, as a proxy sends them before the bytes of its client; also wrong ones, if asked to.

This is written from the specification alone, and shares nothing with the reader that it tests.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

__all__ = [
    "ALPN",
    "AUTHORITY",
    "CERTIFICATE_IN_SESSION",
    "CERTIFICATE_ON_CONNECTION",
    "COMMON_NAME",
    "CRC32C",
    "NETNS",
    "NOOP",
    "SSL",
    "TLS",
    "TLS_VERSION",
    "UNIQUE_ID",
    "Endpoint",
    "proxy_v1",
    "proxy_v2",
    "ssl_vector",
    "vector",
]

Endpoint = tuple[str, int]
Vector = tuple[int, bytes]

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")

# Types of vectors.
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30
TLS_VERSION, COMMON_NAME = 0x21, 0x22

# What a TLS client has done.
TLS, CERTIFICATE_ON_CONNECTION, CERTIFICATE_IN_SESSION = 0x01, 0x02, 0x04

SOURCE = ("192.0.2.1", 56_324)
DESTINATION = ("198.51.100.1", 1_883)
DESTINATION_6 = ("2001:db8::ffff", 1_883)


def proxy_v1(source: Endpoint | None = SOURCE, destination: Endpoint | None = None) -> bytes:
    """A line of version 1; without a source, of a client that is unknown."""
    if source is None:
        return b"PROXY UNKNOWN\r\n"
    family = "TCP6" if ":" in source[0] else "TCP4"
    to = destination or _destination(source)
    return f"PROXY {family} {source[0]} {to[0]} {source[1]} {to[1]}\r\n".encode()


def proxy_v2(
    source: Endpoint | str | None = SOURCE,
    destination: Endpoint | None = None,
    vectors: Sequence[Vector] = (),
    *,
    local: bool = False,
    datagram: bool = False,
    checksum: bool = False,
) -> bytes:
    """A header of version 2.

    A source that is a text is the path of a Unix socket; without one the client is unknown. With ``checksum``, one is
    put behind the other vectors.
    """
    family, addresses = _addresses(source, destination)
    transport = 0 if source is None else 2 if datagram else 1
    block = addresses + b"".join(vector(*each) for each in vectors)
    if checksum:
        block += vector(CRC32C, bytes(4))
    header = (
        SIGNATURE + bytes([0x20 if local else 0x21, family << 4 | transport]) + len(block).to_bytes(2, "big") + block
    )
    return header[:-4] + _crc32c(header).to_bytes(4, "big") if checksum else header


def vector(kind: int, value: bytes) -> bytes:
    """One additional vector (TLV)."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def ssl_vector(
    common_name: str | bytes | None = None,
    *,
    version: bytes | None = b"TLSv1.3",
    flags: int | None = None,
    verify: int = 0,
) -> Vector:
    """The vector of a client that uses TLS, and has shown a certificate if there is a common name."""
    if flags is None:
        flags = TLS if common_name is None else TLS | CERTIFICATE_ON_CONNECTION | CERTIFICATE_IN_SESSION
    value = bytes([flags]) + verify.to_bytes(4, "big")
    if version is not None:
        value += vector(TLS_VERSION, version)
    if common_name is not None:
        value += vector(COMMON_NAME, common_name.encode() if isinstance(common_name, str) else common_name)
    return SSL, value


def _destination(source: Endpoint) -> Endpoint:
    return DESTINATION_6 if ":" in source[0] else DESTINATION


def _addresses(source: Endpoint | str | None, destination: Endpoint | None) -> tuple[int, bytes]:
    """The family, and both addresses with their ports."""
    if source is None:
        return 0, b""
    if isinstance(source, str):
        return 3, source.encode().ljust(108, b"\0") + b"/run/broker".ljust(108, b"\0")
    to = destination or _destination(source)
    number, family = (2, socket.AF_INET6) if ":" in source[0] else (1, socket.AF_INET)
    hosts = socket.inet_pton(family, source[0]) + socket.inet_pton(family, to[0])
    return number, hosts + source[1].to_bytes(2, "big") + to[1].to_bytes(2, "big")


def _crc32c(octets: bytes) -> int:
    """Long division, bit by bit: slow, and easy to check against the definition."""
    remainder = 0xFFFF_FFFF
    for octet in octets:
        for position in range(8):
            carry = (remainder ^ octet >> position) & 1
            remainder >>= 1
            if carry:
                remainder ^= 0x82F6_3B78
    return remainder ^ 0xFFFF_FFFF
