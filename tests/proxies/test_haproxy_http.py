"""HAProxy in front of a WebSocket listener, in HTTP mode: it writes X-Forwarded-For, or PROXY protocol, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.config import ListenerConfig
from mqttbroker.testing import RunningBroker
from tests.proxies.programs import haproxy
from tests.proxies.site import (
    ANN,
    BEN,
    PROXY,
    Site,
    accepted,
    address_of,
    client,
    counted,
    nobody_is_counted,
    spoofing,
    status,
)
from tests.support.logged import noise, until
from tests.support.streams import whole
from tests.support.transports import Transport

LARGE = bytes(range(256)) * 400
WEBSOCKET = Transport(websocket=whole)
HTTP_CHECK = """
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host broker
    http-check expect status 426
"""
CLAIM = {"X-Forwarded-For": "192.0.2.1"}


def behind(**changes: Any) -> ListenerConfig:
    """A WebSocket listener that believes a proxy at :data:`PROXY`."""
    settings: dict[str, Any] = {"type": "websocket", "port": 0, "trusted_proxies": (PROXY,)}
    return ListenerConfig(**(settings | changes))


def to(broker: RunningBroker, options: str = "", more: str = "option forwardfor") -> str:
    """The section of a proxy that sends everything to the broker."""
    where = broker.host if broker.host.startswith("/") else f"{broker.host}:{broker.port}"
    return f"""
listen websocket
    bind {{bind}}
    mode http
    {more}
    server broker {where} {options}
"""


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_client_is_where_the_header_says(site: Site, tmp_path: Path, kind: str) -> None:
    broker = site.serve(behind(socket=tmp_path / "mqtt.sock" if kind == "unix" else None))
    async with haproxy(tmp_path, to(broker)) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
        await accepted(ann, "ann")
        assert await address_of(broker, "ann") == ANN
        assert [counted(broker, each) for each in (ANN, PROXY)] == [1, 0]
        await ann.subscribe("a", qos=1)
        await ann.publish("a", LARGE, qos=1)
        assert (await ann.expect_publish()).payload == LARGE
    await nobody_is_counted(broker)


async def test_client_that_claims_to_be_another(site: Site, tmp_path: Path) -> None:
    """HAProxy adds a header of its own behind that of the client."""
    broker = site.serve(behind())
    async with haproxy(tmp_path, to(broker)) as proxy, client(proxy, ANN, spoofing(CLAIM)) as ann:
        await accepted(ann, "ann")
        assert await address_of(broker, "ann") == ANN


@pytest.mark.parametrize("more", ["", "option forwardfor"], ids=["alone", "with X-Forwarded-For"])
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"], ids=["v1", "v2"])
async def test_proxy_protocol_is_what_counts(site: Site, tmp_path: Path, option: str, more: str) -> None:
    """What a client claims in X-Forwarded-For counts for nothing, and what the proxy says there is not needed."""
    broker = site.serve(behind(proxy_protocol=True))
    async with haproxy(tmp_path, to(broker, option, more)) as proxy, client(proxy, ANN, spoofing(CLAIM)) as ann:
        await accepted(ann, "ann")
        assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
        assert [counted(broker, each) for each in ("192.0.2.1", ANN, PROXY)] == [0, 1, 0]
    await nobody_is_counted(broker)


async def test_proxy_protocol_over_a_unix_socket(site: Site, tmp_path: Path) -> None:
    broker = site.serve(behind(socket=tmp_path / "mqtt.sock", proxy_protocol=True, trusted_proxies=()))
    async with haproxy(tmp_path, to(broker, "send-proxy-v2")) as proxy, client(proxy, ANN, spoofing(CLAIM)) as ann:
        await accepted(ann, "ann")
        assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
        assert [counted(broker, each) for each in ("192.0.2.1", ANN)] == [0, 1]


@pytest.mark.parametrize("option", ["", "send-proxy-v2"], ids=["X-Forwarded-For", "proxy protocol"])
async def test_limits_mean_the_client(site: Site, tmp_path: Path, option: str) -> None:
    limits = ListenerLimits(max_connections_per_address=1)
    broker = site.serve(behind(proxy_protocol=bool(option), limits=limits))
    async with (
        haproxy(tmp_path, to(broker, option)) as proxy,
        client(proxy, ANN, WEBSOCKET) as ann,
        client(proxy, BEN, WEBSOCKET) as ben,
    ):
        await accepted(ann, "ann")
        await accepted(ben, "ben")
        # Without a transport there is nobody to answer with a status: HAProxy makes one up.
        assert await status(client(proxy, ANN, WEBSOCKET)) == (502 if option else 429)
        await ben.ping()
    await nobody_is_counted(broker)


@pytest.mark.parametrize("option", ["", "send-proxy-v2"], ids=["plain", "proxy protocol"])
@pytest.mark.parametrize("check", ["", HTTP_CHECK], ids=["tcp", "http"])
async def test_health_checks_are_no_noise(site: Site, tmp_path: Path, option: str, check: str) -> None:
    broker = site.serve(behind(proxy_protocol=bool(option)))
    section = to(broker, f"{option} check inter 10ms", check)
    async with haproxy(tmp_path, section) as proxy:
        # A check that sends nothing at all is over before the broker hears of it.
        if option or check:
            await until(lambda: broker.broker.core.counters.connections_accepted >= 10)
        async with client(proxy, ANN, WEBSOCKET) as ann:
            await accepted(ann, "ann")
        assert not [line for line in proxy.said if "DOWN" in line]
    await nobody_is_counted(broker)
    assert not noise(broker)


async def test_health_check_in_http_1_0(site: Site, tmp_path: Path) -> None:
    """What HAProxy asks unless it is told how to is answered, if not as it wishes."""
    broker = site.serve(behind())
    check = "option httpchk\n    http-check expect rstatus ^4"
    async with haproxy(tmp_path, to(broker, "check inter 10ms", check)) as proxy:
        await until(lambda: broker.broker.core.counters.connections_accepted >= 10)
        assert not [line for line in proxy.said if "DOWN" in line]
    await nobody_is_counted(broker)
    assert not noise(broker)
