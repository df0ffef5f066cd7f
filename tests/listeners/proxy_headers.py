"""PROXY protocol headers, written by hand from the specification or by another proxy, and what they say."""

from __future__ import annotations

from mqttbroker.broker.authority import ClientCertificate
from mqttbroker.listeners.proxy_protocol import V1_MAX_SIZE, ProxyHeader

__all__ = ["CLIENT_HELLO", "HEADERS", "IPV4", "SIGNATURE", "WRONG", "octets"]

SIGNATURE = "0d0a0d0a 000d0a51 5549540a"
IPV4 = "c0000201 c6336401 dc04 075b"
IPV6 = "20010db8 00000000 00000000 00000001 20010db8 00000000 00000000 0000ffff dc04 075b"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"
"""The beginning of one, which comes right behind a header."""


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


HEADERS: dict[str, tuple[bytes, ProxyHeader]] = {
    "v1 IPv4": (b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", ProxyHeader(source="192.168.0.1:56324")),
    "v1 IPv4, longest": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ProxyHeader(source="255.255.255.255:65535"),
    ),
    "v1 IPv6": (b"PROXY TCP6 2001:DB8::1 ::1 0 1883\r\n", ProxyHeader(source="[2001:db8::1]:0")),
    "v1 IPv6, longest": (
        b"PROXY TCP6 %s %s 65535 65535\r\n" % ((b"ffff:" * 8)[:-1], (b"ffff:" * 8)[:-1]),
        ProxyHeader(source="[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
    ),
    "v1 IPv4 as IPv6": (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 7 1883\r\n", ProxyHeader(source="192.0.2.1:7")),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    "v1 unknown, longest": (
        b"PROXY UNKNOWN %s %s 65535 65535\r\n" % ((b"ffff:" * 8)[:-1], (b"ffff:" * 8)[:-1]),
        ProxyHeader(),
    ),
    "v1 unknown with anything": (b"PROXY UNKNOWN \x00\xff \r what ever\r\n", ProxyHeader()),
    "v2 IPv4": (octets(f"{SIGNATURE} 21 11 000c {IPV4}"), ProxyHeader(source="192.0.2.1:56324")),
    "v2 IPv4, datagram": (octets(f"{SIGNATURE} 21 12 000c {IPV4}"), ProxyHeader(source="192.0.2.1:56324")),
    "v2 IPv6": (octets(f"{SIGNATURE} 21 21 0024 {IPV6}"), ProxyHeader(source="[2001:db8::1]:56324")),
    "v2 IPv6, datagram": (octets(f"{SIGNATURE} 21 22 0024 {IPV6}"), ProxyHeader(source="[2001:db8::1]:56324")),
    "v2 IPv4 as IPv6": (
        octets(f"{SIGNATURE} 21 21 0024 00000000 00000000 0000ffff c0000201 {'00' * 15}01 dc04 075b"),
        ProxyHeader(source="192.0.2.1:56324"),
    ),
    "v2 Unix": (octets(f"{SIGNATURE} 21 31 00d8") + b"/run/a".ljust(216, b"\0"), ProxyHeader(source="unix")),
    "v2 Unix, datagram": (octets(f"{SIGNATURE} 21 32 00d8 {'00' * 216}"), ProxyHeader(source="unix")),
    "v2 unspecified": (octets(f"{SIGNATURE} 21 00 0000"), ProxyHeader()),
    "v2 unspecified with anything": (octets(f"{SIGNATURE} 21 00 0003 ffffff"), ProxyHeader()),
    "v2 local": (octets(f"{SIGNATURE} 20 00 0000"), ProxyHeader(local=True)),
    "v2 local with addresses": (octets(f"{SIGNATURE} 20 11 000c {IPV4}"), ProxyHeader(local=True)),
    "v2 local with anything": (octets(f"{SIGNATURE} 20 ff 0003 ffffff"), ProxyHeader(local=True)),
    "v2 server name": (
        octets(f"{SIGNATURE} 21 11 001b {IPV4} 02 000c") + b"mqtt.invalid",
        ProxyHeader(source="192.0.2.1:56324", authority="mqtt.invalid"),
    ),
    "v2 other vectors": (
        # ALPN, NOOP, unique identifier, name space, and one that is nobody's.
        octets(f"{SIGNATURE} 21 11 0027 {IPV4} 01 0004 6d717474 04 0000 05 0003 ffffff 30 0001 00 e0 0000 e0 0001 00"),
        ProxyHeader(source="192.0.2.1:56324"),
    ),
    "v2 TLS": (
        octets(f"{SIGNATURE} 21 11 001e {IPV4} 20 000f 01 00000000 21 0007") + b"TLSv1.2",
        ProxyHeader(source="192.0.2.1:56324", tls_version="TLSv1.2"),
    ),
    "v2 TLS, nothing said of it": (
        octets(f"{SIGNATURE} 21 11 0014 {IPV4} 20 0005 01 00000000"),
        ProxyHeader(source="192.0.2.1:56324"),
    ),
    # What follows was written by HAProxy 2.6.
    "HAProxy, health check": (octets("0d0a0d0a000d0a515549540a20000000"), ProxyHeader(local=True)),
    "HAProxy, v1": (
        octets("50524f58592054435034203132372e302e302e31203132372e302e302e312034353836342033383938330d0a"),
        ProxyHeader(source="127.0.0.1:45864"),
    ),
    "HAProxy, v2 with unique identifier and checksum": (
        octets(
            "0d0a0d0a000d0a515549540a2111003a7f0000017f000001a072971f030004064172e4050024353064323639356"
            "12d623033382d343533652d393330632d623163383830346530663539"
        ),
        ProxyHeader(source="127.0.0.1:41074"),
    ),
    "HAProxy, v2 for IPv6": (
        octets(
            "0d0a0d0a000d0a515549540a212100240000000000000000000000000000000100000000000000000000000000000001e9109911"
        ),
        ProxyHeader(source="[::1]:59664"),
    ),
    "HAProxy, no certificate": (
        octets(
            "0d0a0d0a000d0a515549540a211100667f0000017f000001c172a69f0300049f16b36102000e62726f6b65722e6"
            "578616d706c6520003f0100000000210007544c5376312e332500075253413230343824000a5253412d53484132"
            "3536230016544c535f4145535f3235365f47434d5f534841333834"
        ),
        ProxyHeader(source="127.0.0.1:49522", tls_version="TLSv1.3", authority="broker.example"),
    ),
    "HAProxy, good certificate": (
        octets(
            "0d0a0d0a000d0a515549540a211100717f0000017f000001c17ca69f0300046d21580102000e62726f6b65722e6"
            "578616d706c6520004a0700000000210007544c5376312e332200086465766963652d3725000752534132303438"
            "24000a5253412d534841323536230016544c535f4145535f3235365f47434d5f534841333834"
        ),
        ProxyHeader(
            source="127.0.0.1:49532",
            tls_version="TLSv1.3",
            certificate=ClientCertificate("device-7"),
            authority="broker.example",
        ),
    ),
    "HAProxy, certificate that somebody has signed for themselves": (
        octets(
            "0d0a0d0a000d0a515549540a2111006e7f0000017f000001c18ca69f03000424e1e7d602000e62726f6b65722e6"
            "578616d706c652000470700000012210007544c5376312e3322000561646d696e25000752534132303438240"
            "00a5253412d534841323536230016544c535f4145535f3235365f47434d5f534841333834"
        ),
        ProxyHeader(source="127.0.0.1:49548", tls_version="TLSv1.3", authority="broker.example"),
    ),
}

WRONG: dict[str, tuple[bytes, str]] = {
    "MQTT": (b"\x10\x0d\0\4MQTT", "no PROXY protocol header, but an MQTT CONNECT packet"),
    "TLS": (CLIENT_HELLO, "no PROXY protocol header, but a TLS ClientHello"),
    "HTTP": (b"GET / HTTP/1.1\r\n", "no PROXY protocol header"),
    "HTTP that begins alike": (b"POST / HTTP/1.1\r\n", "no PROXY protocol header"),
    "two spaces at once": (b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "expected a family, two addresses and two ports"),
    "lower case": (b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY protocol header"),
    "tab": (b"PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY protocol header"),
    "family in lower case": (b"PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", "expected a family"),
    "UDP": (b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "expected a family"),
    "longer word than UNKNOWN": (b"PROXY UNKNOWNS\r\n", "expected a family"),
    "nothing": (b"PROXY \r\n", "expected a family"),
    "no ports": (b"PROXY TCP4 1.1.1.1 2.2.2.2\r\n", "expected a family"),
    "one thing more": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "expected a family"),
    "space at the end": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "expected a family"),
    "line feed alone": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "without a carriage return"),
    "carriage return alone": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\x10\n", "without a carriage return"),
    "carriage return within": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", "an address or a port is wrong"),
    "wrong family": (b"PROXY TCP4 ::1 ::1 1 2\r\n", "an address or a port is wrong"),
    "other wrong family": (b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "wrong destination": (b"PROXY TCP4 1.1.1.1 ::1 1 2\r\n", "an address or a port is wrong"),
    "zero in front": (b"PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "three numbers": (b"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "256": (b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "network": (b"PROXY TCP4 1.1.1.1/8 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "interface": (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "an address or a port is wrong"),
    "brackets": (b"PROXY TCP6 [::1] ::1 1 2\r\n", "an address or a port is wrong"),
    "name": (b"PROXY TCP4 localhost 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "not ASCII": (b"PROXY TCP4 1.1.1.\xb2 2.2.2.2 1 2\r\n", "an address or a port is wrong"),
    "digits of others": ("PROXY TCP4 1.1.1.1 2.2.2.2 \u0661 2\r\n".encode(), "an address or a port is wrong"),
    "port with zeroes in front": (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "an address or a port is wrong"),
    "port with a sign": (b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", "an address or a port is wrong"),
    "port with an underscore": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1_0 2\r\n", "an address or a port is wrong"),
    "no port": (b"PROXY TCP4 1.1.1.1 2.2.2.2  2\r\n", "an address or a port is wrong"),
    "port 65536": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "an address or a port is wrong"),
    "port of six digits": (b"PROXY TCP4 1.1.1.1 2.2.2.2 100000 2\r\n", "an address or a port is wrong"),
    "endless line": (b"PROXY UNKNOWN ".ljust(V1_MAX_SIZE, b"x"), "no end of the line in 107 bytes"),
    "line of one byte too many": (
        b"PROXY UNKNOWN ".ljust(V1_MAX_SIZE - 1, b"x") + b"\r\n",
        "no end of the line in 107 bytes",
    ),
    "signature with a wrong byte": (octets("0d0a0d0a 010d0a51 5549540a 21 11 000c"), "no PROXY protocol header"),
    "empty lines": (b"\r\n\r\n\r\n\r\n", "no PROXY protocol header"),
    "version 1 in the binary form": (octets(f"{SIGNATURE} 11 11 000c {IPV4}"), "version 1 with command 1"),
    "version 3": (octets(f"{SIGNATURE} 31 11 000c {IPV4}"), "version 3 with command 1"),
    "command 2": (octets(f"{SIGNATURE} 22 11 000c {IPV4}"), "version 2 with command 2"),
    "unknown family": (octets(f"{SIGNATURE} 21 41 000c {IPV4}"), "unknown address family and transport 0x41"),
    "unknown transport": (octets(f"{SIGNATURE} 21 13 000c {IPV4}"), "unknown address family and transport 0x13"),
    "family without transport": (octets(f"{SIGNATURE} 21 10 000c {IPV4}"), "unknown address family and transport 0x10"),
    "transport without family": (octets(f"{SIGNATURE} 21 01 0000"), "unknown address family and transport 0x01"),
    "short IPv4": (octets(f"{SIGNATURE} 21 11 000b {IPV4}"), "11 bytes of addresses, expected 12"),
    "short IPv6": (octets(f"{SIGNATURE} 21 21 000c {IPV4}"), "12 bytes of addresses, expected 36"),
    "short Unix": (octets(f"{SIGNATURE} 21 31 00d7 {'00' * 216}"), "215 bytes of addresses, expected 216"),
    "too long": (octets(f"{SIGNATURE} 21 11 1001"), "4097 bytes of addresses and vectors, expected up to 4096"),
    "longest": (octets(f"{SIGNATURE} 20 00 ffff"), "65535 bytes of addresses and vectors, expected up to 4096"),
    "vector without length": (octets(f"{SIGNATURE} 21 11 000e {IPV4} 04 00"), "a vector is cut short"),
    "vector of one byte": (octets(f"{SIGNATURE} 21 11 000d {IPV4} 04"), "a vector is cut short"),
    "vector past the end": (octets(f"{SIGNATURE} 21 11 0010 {IPV4} 04 0002 00 00"), "a vector is cut short"),
    "two server names": (
        octets(f"{SIGNATURE} 21 11 0014 {IPV4} 02 0001 61 02 0001 62"),
        "two vectors of type 0x02",
    ),
    "short vector for TLS": (
        octets(f"{SIGNATURE} 21 11 0013 {IPV4} 20 0004 01 000000"),
        "the vector for TLS is cut short",
    ),
    "two vectors for TLS": (
        octets(f"{SIGNATURE} 21 11 001c {IPV4} 20 0005 0100000000 20 0005 0100000000"),
        "two vectors of type 0x20",
    ),
    "common name past the vector for TLS": (
        # Were it read to the end of the header, the name would be "a" and the beginning of the next vector.
        octets(f"{SIGNATURE} 21 11 001c {IPV4} 20 0009 07 00000000 22 0005 61 04 0001 00"),
        "a vector is cut short",
    ),
    "two common names": (
        octets(f"{SIGNATURE} 21 11 001c {IPV4} 20 000d 07 00000000 22 0001 61 22 0001 62"),
        "two vectors of type 0x22",
    ),
    "short checksum": (octets(f"{SIGNATURE} 21 11 0012 {IPV4} 03 0003 000000"), "the checksum is not of four bytes"),
    "long checksum": (octets(f"{SIGNATURE} 21 11 0014 {IPV4} 03 0005 0000000000"), "the checksum is not of four bytes"),
    "wrong checksum": (octets(f"{SIGNATURE} 21 11 0013 {IPV4} 03 0004 00000000"), "the checksum is wrong"),
}
