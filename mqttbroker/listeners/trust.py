"""Which proxies are believed, and what they say of the client that they speak for.

Anybody can write an X-Forwarded-For header. What counts is the part of it that trusted proxies have written: each of
them appends the address that it was reached from, so that the header is read from its end, up to the first address
that is not that of a trusted proxy. That one is the client; whatever stands before it is hearsay.

IPv4 addresses that are written as IPv6 ones (``::ffff:192.0.2.1``) are taken for the IPv4 addresses that they are.
Network interfaces (``fe80::1%eth0``) mean something on one machine only, and are left out of what another one says.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Address", "TrustedNetworks", "format_endpoint", "forwarded_for", "unmapped"]

Address = IPv4Address | IPv6Address

_MAPPED_BITS = 96
"""Length of the prefix that all IPv4 addresses written as IPv6 ones share."""


class TrustedNetworks:
    """Addresses and networks of those who are believed."""

    __slots__ = ("_networks",)

    def __init__(self, networks: tuple[str, ...] = ()) -> None:
        """Take addresses (``192.0.2.1``) and networks (``10.0.0.0/8``, ``fd00::/8``).

        Raises ``ValueError`` for what is neither, and for a network with bits set behind its prefix.
        """
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(_network(each) for each in networks)

    def contains(self, address: str) -> bool:
        """Tell whether an address is in one of the networks, with or without a port (``[2001:db8::1]:1883``).

        What is no address is in none of them.
        """
        if not self._networks:
            return False  # Asked for every connection, and most brokers have no proxy in front.
        endpoint = _parse(address)
        return endpoint is not None and self._contains(endpoint[0])

    def _contains(self, address: Address) -> bool:
        return any(address in network and _same_interface(address, network) for network in self._networks)


def forwarded_for(values: list[str], peer: str, trusted: TrustedNetworks) -> str:
    """The client's address, as far as it can be believed: ``203.0.113.7``, or ``203.0.113.7:4711`` where a proxy has
    told the port as well; IPv6 addresses are in brackets.

    ``values`` are those of the X-Forwarded-For headers, in their order; ``peer`` is the address that the connection
    came from. A peer that is not trusted is the client. One on a Unix socket (``unix``) is trusted, since the
    permissions of the socket have let it in. Where the header ends, or holds something else than an address, before
    the client is found, the last trusted proxy counts as the client.
    """
    if peer != "unix" and not trusted.contains(peer):
        return peer
    client = peer
    for entry in reversed(",".join(values).split(",")):
        endpoint = _parse(entry.strip(" \t"))
        if endpoint is None:
            break
        address, port = endpoint
        if isinstance(address, IPv6Address):
            address = IPv6Address(int(address))
        client = format_endpoint(address, port)
        if not trusted._contains(address):
            break
    return client


def unmapped(address: Address) -> Address:
    """The IPv4 address where one is written as an IPv6 address; otherwise the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def format_endpoint(address: Address, port: int | None) -> str:
    """Address and port as logs show them: ``192.0.2.1:1883``, ``[2001:db8::1]:1883``, ``[2001:db8::1]``."""
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return host if port is None else f"{host}:{port}"


def _network(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _same_interface(address: Address, network: IPv4Network | IPv6Network) -> bool:
    """Where a network names an interface, only addresses on that interface are in it."""
    if not (isinstance(address, IPv6Address) and isinstance(network, IPv6Network)):
        return True
    return network.network_address.scope_id in (None, address.scope_id)


def _parse(text: str) -> tuple[Address, int | None] | None:
    """Take apart ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1``, ``[2001:db8::1]`` and ``[2001:db8::1]:80``."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            return None
        port = rest
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        port = ":" + port
    if port and not _is_port(port[1:]):
        return None
    try:
        address = unmapped(ip_address(host))
    except ValueError:
        return None
    return address, int(port[1:]) if port else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535
