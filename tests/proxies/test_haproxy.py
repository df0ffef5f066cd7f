"""HAProxy in front of a listener with ``proxy_protocol``, in TCP mode."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.config import ListenerConfig
from mqttbroker.protocol import Will
from mqttbroker.testing import RunningBroker
from tests.proxies.programs import haproxy
from tests.proxies.site import (
    ANN,
    BEN,
    PROXY,
    Site,
    accepted,
    address_of,
    both_were_refused_a_third,
    client,
    counted,
    is_cut,
    nobody_is_counted,
)
from tests.support.logged import lines, noise, until, wait_for_lines
from tests.support.proxy import proxy_v1, proxy_v2
from tests.support.raw import RawClient

LARGE = bytes(range(256)) * 400
SECTION = """
listen mqtt
    bind {bind}
"""

each_version = pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"], ids=["v1", "v2"])


def behind(**changes: Any) -> ListenerConfig:
    """A listener that believes a proxy at :data:`PROXY`."""
    settings: dict[str, Any] = {"port": 0, "proxy_protocol": True, "trusted_proxies": (PROXY,)}
    return ListenerConfig(**(settings | changes))


def to(broker: RunningBroker, options: str = "send-proxy-v2") -> str:
    """The section of a proxy that sends everything to the broker."""
    where = broker.host if broker.host.startswith("/") else f"{broker.host}:{broker.port}"
    return f"{SECTION}    server broker {where} {options}\n"


class TestClient:
    """Where the client is."""

    @each_version
    async def test_is_told_by_the_proxy(self, site: Site, tmp_path: Path, option: str) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker, option)) as proxy, client(proxy) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            assert [counted(broker, each) for each in (ANN, PROXY)] == [1, 0]

    @each_version
    async def test_is_told_over_a_unix_socket(self, site: Site, tmp_path: Path, option: str) -> None:
        broker = site.serve(behind(type="unix", socket=tmp_path / "mqtt.sock", trusted_proxies=()))
        async with haproxy(tmp_path, to(broker, option)) as proxy, client(proxy) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            assert counted(broker, ANN) == 1

    @each_version
    async def test_may_speak_another_ip_version(self, site: Site, tmp_path: Path, option: str) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker, option), "::1") as proxy, RawClient("::1", proxy.port) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == f"[::1]:{ann.local_port}"

    async def test_is_told_apart_from_others(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker)) as proxy, client(proxy, ANN) as ann, client(proxy, BEN) as ben:
            await accepted(ann, "ann")
            await accepted(ben, "ben")
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            assert await address_of(broker, "ben") == f"{BEN}:{ben.local_port}"

    async def test_is_named_where_its_connection_fails(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker)) as proxy, client(proxy) as ann:
            ann.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
            await ann.expect_closed()
            (line,) = await wait_for_lines(broker, "connection failed")
            assert line["address"] == f"{ANN}:{ann.local_port}"

    @each_version
    async def test_gets_what_it_is_sent(self, site: Site, tmp_path: Path, option: str) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker, option)) as proxy, client(proxy) as ann, client(proxy, BEN) as ben:
            await accepted(ann, "ann")
            await accepted(ben, "ben")
            await ann.subscribe("#", qos=2)
            for qos in (0, 1, 2):
                await ben.publish("a", LARGE, qos=qos)
                received = await ann.expect_publish()
                assert (received.payload, received.qos) == (LARGE, qos)


class TestTrust:
    """Whoever is not trusted is not believed."""

    async def test_another_proxy_is_refused(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker, f"send-proxy-v2 source {BEN}")) as proxy:
            assert await is_cut(client(proxy))
        (line,) = await wait_for_lines(broker, "connection refused: not one of trusted_proxies")
        assert line["address"] == BEN
        await nobody_is_counted(broker)

    @pytest.mark.parametrize("header", [proxy_v1(("192.0.2.1", 1)), proxy_v2(("192.0.2.1", 1))], ids=["v1", "v2"])
    async def test_client_that_sends_a_header_of_its_own(self, site: Site, tmp_path: Path, header: bytes) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker)) as proxy, client(proxy) as ann:
            ann.send_bytes(header)
            await ann.expect_closed()
            (line,) = await wait_for_lines(broker, "connection failed")
            assert line["address"] == f"{ANN}:{ann.local_port}"
        assert not lines(broker, "connected")

    async def test_proxy_that_forgets_the_header(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker, "")) as proxy:
            assert await is_cut(client(proxy))
        (line,) = await wait_for_lines(broker, "connection failed")
        assert line["reason"] == "no PROXY protocol header, but an MQTT CONNECT packet"
        assert str(line["address"]).startswith(f"{PROXY}:")

    @each_version
    async def test_listener_that_expects_none(self, site: Site, tmp_path: Path, option: str) -> None:
        broker = site.serve(ListenerConfig(port=0))
        async with haproxy(tmp_path, to(broker, option)) as proxy:
            assert await is_cut(client(proxy))
        (line,) = await wait_for_lines(broker, "connection failed")
        assert str(line["address"]).startswith(f"{PROXY}:")


class TestLimits:
    """Limits for each address mean the client's."""

    async def test_connections(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connections_per_address=2)))
        async with haproxy(tmp_path, to(broker)) as proxy, AsyncExitStack() as stack:
            for source in (ANN, BEN):
                for number in range(2):
                    each = await stack.enter_async_context(client(proxy, source))
                    await accepted(each, f"{source}-{number}")
            assert await is_cut(client(proxy, ANN))
            assert await is_cut(client(proxy, BEN))
            await both_were_refused_a_third(broker)
        await nobody_is_counted(broker)

    async def test_rate(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connection_rate=1)))
        async with haproxy(tmp_path, to(broker)) as proxy:
            # What ten seconds allow for may come at once.
            cut = [await is_cut(client(proxy, ANN)) for _ in range(15)]
            assert not any(cut[:10]) and any(cut[10:])
            assert not await is_cut(client(proxy, BEN))
        # One line for each.
        assert {(line[1], line[2]["limit"]) for line in noise(broker)} == {
            ("connection refused", "max_connection_rate")
        }

    async def test_connections_of_the_listener_are_counted_before_the_header(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connections=1)))
        async with haproxy(tmp_path, to(broker)) as proxy, client(proxy) as ann:
            await accepted(ann, "ann")
            assert await is_cut(client(proxy, BEN))
            await ann.ping()
        await nobody_is_counted(broker)


class TestNeighbours:
    """What one client does is not held against the others, nor against the proxy."""

    async def test_refused_clients_hurt_nobody(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connections_per_address=1, max_connection_rate=1)))
        async with haproxy(tmp_path, to(broker)) as proxy, client(proxy, BEN) as ben:
            await accepted(ben, "ben")
            await ben.subscribe("a", qos=1)
            for data in (b"GET / HTTP/1.1\r\n\r\n", proxy_v1(), b"\xff" * 100, b""):
                async with client(proxy, ANN) as rude:
                    rude.send_bytes(data)
                    if data:
                        await rude.expect_closed()
                    else:
                        rude.abort()
            for _ in range(20):
                await is_cut(client(proxy, ANN))
            await ben.publish("a", b"x", qos=1)
            assert (await ben.expect_publish()).payload == b"x"
        await nobody_is_counted(broker)

    async def test_silent_client_is_cut_in_time(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker)) as proxy, client(proxy, BEN) as ben, client(proxy, ANN) as ann:
            await accepted(ben, "ben")
            await until(lambda: counted(broker, ANN) == 1)
            broker.advance(11)
            await ann.expect_closed()
            await ben.ping()
        await nobody_is_counted(broker)

    async def test_many_at_once(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with haproxy(tmp_path, to(broker)) as proxy, AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for number in range(100):
                each = client(proxy, (ANN, BEN)[number % 2])
                stack.push_async_callback(each.close)

                async def come(each: RawClient = each, name: str = f"{number}") -> None:
                    await each.open()
                    await accepted(each, name)

                group.create_task(come())
        assert len(lines(broker, "connected")) == 100
        await nobody_is_counted(broker)

    async def test_proxy_that_dies_takes_its_clients_along(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(ListenerConfig("direct", port=0), behind(name="proxied"))
        port = broker.broker.addresses["proxied"][0][1]
        section = f"{SECTION}    server broker {broker.host}:{port} send-proxy-v2\n"
        async with RawClient(broker.host, broker.port) as peer, haproxy(tmp_path, section) as proxy:
            await accepted(peer, "peer")
            await peer.subscribe("will", qos=1)
            async with client(proxy) as ann:
                await ann.connect("ann", will=Will("will", b"lost", 1))
                await proxy.kill()
                assert (await peer.expect_publish()).payload == b"lost"
            assert [counted(broker, each) for each in (ANN, PROXY)] == [0, 1]


class TestHealthChecks:
    """A proxy that looks whether the broker is well leaves nothing behind."""

    @pytest.mark.parametrize(
        "options",
        ["send-proxy-v2 check", "send-proxy check", "check check-send-proxy"],
        ids=["v2", "v1", "for checks only"],
    )
    @pytest.mark.parametrize("kind", ["tcp", "unix"])
    async def test_are_no_noise(self, site: Site, tmp_path: Path, kind: str, options: str) -> None:
        broker = site.serve(behind(type=kind, socket=tmp_path / "mqtt.sock" if kind == "unix" else None))
        async with haproxy(tmp_path, to(broker, f"{options} inter 10ms")):
            await until(lambda: broker.broker.core.counters.connections_accepted >= 10)
            # In version 1 a check is a client at the proxy's own address, for as long as it takes.
            assert [counted(broker, each) for each in (ANN, BEN)] == [0, 0]
        await nobody_is_counted(broker)
        assert not noise(broker)
        assert not lines(broker, "connected")

    async def test_may_ask_in_mqtt(self, site: Site, tmp_path: Path) -> None:
        """With a CONNECT whose CONNACK they wait for."""
        broker = site.serve(behind())
        connect = "10 10 00 04 4d 51 54 54 04 02 00 3c 00 04 70 69 6e 67".replace(" ", "")
        section = f"""{SECTION}
    option tcp-check
    tcp-check send-binary {connect}
    tcp-check expect binary 20020000
    tcp-check send-binary e000
    server broker {broker.host}:{broker.port} send-proxy-v2 check inter 10ms
"""
        async with haproxy(tmp_path, section) as proxy, client(proxy) as ann:
            await wait_for_lines(broker, "connected", 5)
            await accepted(ann, "ann")
            assert not [line for line in proxy.said if "DOWN" in line]
        await nobody_is_counted(broker)
        assert not noise(broker)
