"""Who is a trusted proxy, and how far what it says is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.listeners.trust import TrustedNetworks, forwarded_for

PROXIES = TrustedNetworks(("10.0.0.0/8", "192.0.2.1", "fd00::/8", "2001:db8::1"))
PEER = "10.0.0.1:40000"


class TestTrustedNetworks:
    @pytest.mark.parametrize(
        "address",
        [
            "10.0.0.0",
            "10.255.255.255",
            "192.0.2.1",
            "192.0.2.1:1883",
            "::ffff:10.1.2.3",
            "::FFFF:0a01:0203",
            "[::ffff:10.1.2.3]:1883",
            "fd00::1",
            "FD12:3456::1",
            "fd00::1%eth0",
            "[fd00::1%eth0]:1883",
            "2001:db8::1",
            "2001:0db8:0:0:0:0:0:1",
            "[2001:db8::1]",
            "[2001:db8::1]:65535",
        ],
    )
    def test_contains(self, address: str) -> None:
        assert PROXIES.contains(address)

    @pytest.mark.parametrize(
        "address",
        ["9.255.255.255", "11.0.0.0", "192.0.2.2", "::ffff:11.0.0.0", "fc00::1", "2001:db8::2", "::10.0.0.1", "::1"],
    )
    def test_contains_not(self, address: str) -> None:
        assert not PROXIES.contains(address)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "unix",
            "localhost",
            "unknown",
            "10.0.0.1 ",
            " 10.0.0.1",
            "10.0.0.1\n",
            "10.0.0.01",
            "10.1",
            "167772161",
            "0x0a.0.0.1",
            "10.0.0.0/8",
            "10.0.0.1:",
            "10.0.0.1:65536",
            "10.0.0.1:+1",
            "10.0.0.1:\u0661",
            "10.0.0.1:0000000080",
            "[10.0.0.1]",
            "[10.0.0.1]:80",
            "[fd00::1",
            "[fd00::1]80",
            "[fd00::1]:",
            "[fd00::1]:x",
            "[]",
            ":",
            "::ffff:10.0.0.1:80",
        ],
    )
    def test_what_is_no_address_is_not_trusted(self, text: str) -> None:
        everybody = TrustedNetworks(("0.0.0.0/0", "::/0"))
        assert not everybody.contains(text)

    def test_nobody(self) -> None:
        assert not TrustedNetworks().contains("127.0.0.1")

    def test_all_ipv6_addresses_are_no_ipv4_addresses(self) -> None:
        assert not TrustedNetworks(("::/0",)).contains("::ffff:10.0.0.1")
        assert not TrustedNetworks(("0.0.0.0/0",)).contains("2001:db8::1")

    @pytest.mark.parametrize("network", ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3"])
    def test_ipv4_networks_written_as_ipv6_ones(self, network: str) -> None:
        trusted = TrustedNetworks((network,))
        assert trusted.contains("10.1.2.3")
        assert trusted.contains("::ffff:10.1.2.3")
        assert not trusted.contains("11.1.2.3")

    def test_an_address_on_one_interface(self) -> None:
        trusted = TrustedNetworks(("fe80::1%eth0",))
        assert trusted.contains("fe80::1%eth0")
        assert not trusted.contains("fe80::1%eth1")
        assert not trusted.contains("fe80::1")
        assert not trusted.contains("10.0.0.1")

    @pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy.example", "", "10.0.0.0/33", "fd00::1/8"])
    def test_mistakes_are_refused(self, network: str) -> None:
        with pytest.raises(ValueError):
            TrustedNetworks((network,))


class TestForwardedFor:
    @pytest.mark.parametrize(
        ("values", "client"),
        [
            ([], PEER),
            (["203.0.113.7"], "203.0.113.7"),
            # Addresses of trusted proxies are passed over.
            (["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            (["203.0.113.7,10.0.0.2,fd00::9"], "203.0.113.7"),
            (["203.0.113.7", "10.0.0.2", "fd00::9"], "203.0.113.7"),
            # What the client says itself stands in front, and is not believed.
            (["10.9.9.9, 203.0.113.7"], "203.0.113.7"),
            (["127.0.0.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
            (["\x1b[2J, 203.0.113.7"], "203.0.113.7"),
            # A client that is a proxy's own machine.
            (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            # As nginx, HAProxy and the balancers of clouds write them.
            (["203.0.113.7:4711"], "203.0.113.7:4711"),
            (["203.0.113.7:4711, 10.0.0.2:80"], "203.0.113.7:4711"),
            (["2001:db8::7"], "[2001:db8::7]"),
            (["[2001:db8::7]"], "[2001:db8::7]"),
            (["[2001:DB8:0::7]:80"], "[2001:db8::7]:80"),
            (["\t203.0.113.7 , 10.0.0.2 "], "203.0.113.7"),
            (["::ffff:203.0.113.7"], "203.0.113.7"),
            (["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
            (["fe80::1%eth0"], "[fe80::1]"),
            (["fe80::1%\x1b"], "[fe80::1]"),
            # What is no address ends the walk at the last good one.
            (["garbage"], PEER),
            (["unknown"], PEER),
            ([""], PEER),
            ([","], PEER),
            (["203.0.113.7, garbage"], PEER),
            (["203.0.113.7, garbage, 10.0.0.2"], "10.0.0.2"),
            (["203.0.113.7, , 10.0.0.2:80"], "10.0.0.2:80"),
            (["203.0.113.7", "", "10.0.0.2"], "10.0.0.2"),
            (["203.0.113.7, 10.0.0.2,"], PEER),
            (["203.0.113.7:99999, 10.0.0.2"], "10.0.0.2"),
            (['"203.0.113.7", 10.0.0.2'], "10.0.0.2"),
            (["unix:, 10.0.0.2"], "10.0.0.2"),
        ],
        ids=str,
    )
    def test_behind_a_trusted_proxy(self, values: list[str], client: str) -> None:
        assert forwarded_for(values, PEER, PROXIES) == client

    @pytest.mark.parametrize("peer", ["203.0.113.9:5", "[2001:db8::9]:5", "", "unknown"])
    def test_others_are_not_believed(self, peer: str) -> None:
        assert forwarded_for(["203.0.113.7"], peer, PROXIES) == peer

    @pytest.mark.parametrize("peer", ["[fd00::1]:5", "[::ffff:10.0.0.1]:5", "192.0.2.1"])
    def test_other_ways_to_write_a_proxy(self, peer: str) -> None:
        assert forwarded_for(["203.0.113.7"], peer, PROXIES) == "203.0.113.7"

    def test_nobody_is_trusted(self) -> None:
        assert forwarded_for(["203.0.113.7"], PEER, TrustedNetworks()) == PEER

    def test_a_unix_socket_needs_no_mention(self) -> None:
        assert forwarded_for(["203.0.113.7"], "unix", TrustedNetworks()) == "203.0.113.7"
        assert forwarded_for(["198.51.100.1, 203.0.113.7"], "unix", TrustedNetworks()) == "203.0.113.7"
        assert forwarded_for([], "unix", TrustedNetworks()) == "unix"

    @given(st.lists(st.text()))
    def test_any_text_gives_the_peer_or_something_harmless(self, values: list[str]) -> None:
        client = forwarded_for(values, PEER, TrustedNetworks(("0.0.0.0/0", "::/0")))
        assert set(client) <= set("0123456789abcdef.:[]")

    @given(st.lists(st.text()), st.ip_addresses(v=4).map(str))
    def test_what_a_client_sends_changes_nothing(self, values: list[str], client: str) -> None:
        trusted = TrustedNetworks(("10.0.0.1",))
        if client != "10.0.0.1":
            assert forwarded_for([*values, client], PEER, trusted) == client
