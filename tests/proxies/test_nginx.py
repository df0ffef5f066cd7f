"""nginx in front of a WebSocket listener, with the client's address in X-Forwarded-For."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.config import ListenerConfig
from mqttbroker.protocol import Will
from mqttbroker.testing import RunningBroker
from tests.proxies.programs import FRONT, nginx
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
    nobody_is_counted,
    spoofing,
    status,
)
from tests.support.logged import noise, wait_for_lines
from tests.support.pki import Pki
from tests.support.raw import RawClient
from tests.support.streams import whole
from tests.support.transports import Transport

LARGE = bytes(range(256)) * 400
WEBSOCKET = Transport(websocket=whole)
LOCATION = """
    server {{
        listen {{listen}} {tls};
        {certificates}
        location / {{
            proxy_pass http://{where};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host {host};
            proxy_set_header X-Forwarded-For {forwarded};
        }}
    }}
"""


def behind(**changes: Any) -> ListenerConfig:
    """A WebSocket listener that believes a proxy at :data:`PROXY`."""
    settings: dict[str, Any] = {"type": "websocket", "port": 0, "trusted_proxies": (PROXY,)}
    return ListenerConfig(**(settings | changes))


def on_socket(path: Path, **changes: Any) -> ListenerConfig:
    """One on a Unix socket, where a proxy needs no mention."""
    return behind(socket=path, trusted_proxies=(), **changes)


def to(
    broker: RunningBroker,
    forwarded: str = "$proxy_add_x_forwarded_for",
    host: str = "$http_host",
    pki: Pki | None = None,
) -> str:
    """A server of nginx that sends everything to the broker; with ``pki`` it speaks TLS with clients."""
    where = f"unix:{broker.host}:" if broker.host.startswith("/") else f"{broker.host}:{broker.port}"
    certificates = ""
    if pki is not None:
        certificates = f"ssl_certificate {pki.certificate('server')}; ssl_certificate_key {pki.key('server')};"
    return LOCATION.format(
        where=where, forwarded=forwarded, host=host, tls="ssl" if pki else "", certificates=certificates
    )


class TestClient:
    """Where the client is."""

    @pytest.mark.parametrize("forwarded", ["$proxy_add_x_forwarded_for", "$remote_addr"])
    async def test_is_told_by_the_proxy(self, site: Site, tmp_path: Path, forwarded: str) -> None:
        broker = site.serve(behind())
        async with nginx(tmp_path, to(broker, forwarded)) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == ANN
            assert [counted(broker, each) for each in (ANN, PROXY)] == [1, 0]
        await nobody_is_counted(broker)

    async def test_is_told_over_a_unix_socket(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(on_socket(tmp_path / "mqtt.sock"))
        async with nginx(tmp_path, to(broker)) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == ANN
            assert counted(broker, ANN) == 1
        await nobody_is_counted(broker)

    async def test_is_told_with_its_port(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        section = to(broker, '"$remote_addr:$remote_port"')
        async with nginx(tmp_path, section) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            assert counted(broker, ANN) == 1

    async def test_may_speak_another_ip_version(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with (
            nginx(tmp_path, to(broker), "[::1]") as proxy,
            RawClient("::1", proxy.port, transport=spoofing({"Host": "[::1]"})) as ann,
        ):
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == "[::1]"

    async def test_is_told_by_the_first_of_two_proxies(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        folders = [tmp_path / name for name in ("inner", "outer")]
        for folder in folders:
            folder.mkdir()
        async with nginx(folders[0], to(broker)) as inner:
            section = LOCATION.format(
                where=f"{FRONT}:{inner.port}",
                forwarded="$proxy_add_x_forwarded_for",
                host="$http_host",
                tls="",
                certificates="",
            )
            async with nginx(folders[1], section) as outer, client(outer, ANN, WEBSOCKET) as ann:
                await accepted(ann, "ann")
                assert await address_of(broker, "ann") == ANN

    async def test_is_named_where_its_connection_fails(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with nginx(tmp_path, to(broker)) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
            ann.send_bytes(b"\xff" * 10)
            await ann.expect_closed()
            (line,) = await wait_for_lines(broker, "connection failed")
            assert line["address"] == ANN

    async def test_gets_what_it_is_sent(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with (
            nginx(tmp_path, to(broker)) as proxy,
            client(proxy, ANN, WEBSOCKET) as ann,
            client(proxy, BEN, WEBSOCKET) as ben,
        ):
            await accepted(ann, "ann")
            await accepted(ben, "ben")
            await ann.subscribe("#", qos=2)
            for qos in (0, 1, 2):
                await ben.publish("a", LARGE, qos=qos)
                received = await ann.expect_publish()
                assert (received.payload, received.qos) == (LARGE, qos)

    async def test_that_is_lost_has_a_will(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with nginx(tmp_path, to(broker)) as proxy, client(proxy, BEN, WEBSOCKET) as ben:
            await accepted(ben, "ben")
            await ben.subscribe("will", qos=1)
            async with client(proxy, ANN, WEBSOCKET) as ann:
                await ann.connect("ann", will=Will("will", b"lost", 1))
            assert (await ben.expect_publish()).payload == b"lost"


class TestTrust:
    """Whoever is not trusted is not believed."""

    @pytest.mark.parametrize("claim", ["192.0.2.1", PROXY, f"192.0.2.1, {PROXY}", "nonsense"])
    async def test_client_that_claims_to_be_another(self, site: Site, tmp_path: Path, claim: str) -> None:
        """nginx appends to the header that the client has sent."""
        broker = site.serve(behind())
        way = spoofing({"X-Forwarded-For": claim})
        async with nginx(tmp_path, to(broker)) as proxy, client(proxy, ANN, way) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == ANN
            assert [counted(broker, each) for each in ("192.0.2.1", ANN, PROXY)] == [0, 1, 0]

    async def test_client_that_claims_it_to_the_broker(self, site: Site) -> None:
        broker = site.serve(behind())
        way = Transport(websocket=whole, headers={"X-Forwarded-For": "192.0.2.1"}, source=ANN)
        async with RawClient(broker.host, broker.port, transport=way) as ann:
            await accepted(ann, "ann")
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            assert [counted(broker, each) for each in ("192.0.2.1", ANN)] == [0, 1]

    async def test_proxy_that_is_not_trusted(self, site: Site, tmp_path: Path) -> None:
        """It counts as a client of its own."""
        broker = site.serve(behind(trusted_proxies=("192.0.2.0/24",)))
        async with nginx(tmp_path, to(broker)) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
            await accepted(ann, "ann")
            assert (await address_of(broker, "ann")).startswith(f"{PROXY}:")
            assert [counted(broker, each) for each in (ANN, PROXY)] == [0, 1]

    async def test_proxy_that_tells_nothing(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with nginx(tmp_path, to(broker, '""')) as proxy, client(proxy, ANN, WEBSOCKET) as ann:
            await accepted(ann, "ann")
            assert (await address_of(broker, "ann")).startswith(f"{PROXY}:")


class TestLimits:
    """Limits for each address mean the client's."""

    async def test_connections(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connections_per_address=2)))
        async with nginx(tmp_path, to(broker)) as proxy, AsyncExitStack() as stack:
            for source in (ANN, BEN):
                for number in range(2):
                    each = await stack.enter_async_context(client(proxy, source, WEBSOCKET))
                    await accepted(each, f"{source}-{number}")
                assert await status(client(proxy, source, WEBSOCKET)) == 429
            await both_were_refused_a_third(broker)
        await nobody_is_counted(broker)

    async def test_rate(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connection_rate=1)))
        async with nginx(tmp_path, to(broker)) as proxy:
            # What ten seconds allow for may come at once.
            statuses = [await status(client(proxy, ANN, WEBSOCKET)) for _ in range(15)]
            assert statuses[:10] == [101] * 10 and 429 in statuses[10:]
            assert await status(client(proxy, BEN, WEBSOCKET)) == 101


class TestNeighbours:
    """What one client does is not held against the others, nor against the proxy."""

    async def test_refused_clients_hurt_nobody(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind(limits=ListenerLimits(max_connections_per_address=1)))
        async with nginx(tmp_path, to(broker)) as proxy, client(proxy, BEN, WEBSOCKET) as ben:
            await accepted(ben, "ben")
            await ben.subscribe("a", qos=1)
            for _ in range(20):
                assert await status(client(proxy, BEN, WEBSOCKET)) == 429
                assert await status(client(proxy, ANN, Transport(websocket=whole, path="/elsewhere"))) == 404
                async with client(proxy, ANN, WEBSOCKET) as rude:
                    rude.send_bytes(b"\xff" * 10)
                    await rude.expect_closed()
            await ben.publish("a", b"x", qos=1)
            assert (await ben.expect_publish()).payload == b"x"
        await nobody_is_counted(broker)


class TestRequests:
    """What comes besides clients."""

    async def test_page_of_the_proxys_host(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        headers = {"Host": "mqtt.example.org", "Origin": "https://mqtt.example.org"}
        async with nginx(tmp_path, to(broker)) as proxy:
            async with client(proxy, ANN, spoofing(headers)) as ann:
                await accepted(ann, "ann")
            evil = headers | {"Origin": "https://evil.example.org"}
            assert await status(client(proxy, ANN, spoofing(evil))) == 403

    @pytest.mark.parametrize("origins", [(), ("https://mqtt.example.org",)], ids=["not listed", "listed"])
    async def test_page_where_the_proxy_keeps_the_host_to_itself(
        self, site: Site, tmp_path: Path, origins: tuple[str, ...]
    ) -> None:
        """As nginx does unless told otherwise: the origin must be listed then."""
        headers = {"Host": "mqtt.example.org", "Origin": "https://mqtt.example.org"}
        broker = site.serve(behind(origins=origins))
        async with nginx(tmp_path, to(broker, host="$proxy_host")) as proxy:
            assert await status(client(proxy, ANN, spoofing(headers))) == (101 if origins else 403)

    async def test_requests_that_are_no_hand_shake(self, site: Site, tmp_path: Path) -> None:
        broker = site.serve(behind())
        async with nginx(tmp_path, to(broker)) as proxy:
            assert await status(client(proxy, ANN, Transport(websocket=whole, path="/elsewhere"))) == 404
            assert await status(client(proxy, ANN, spoofing({"Upgrade": "", "Connection": ""}))) == 426
        await nobody_is_counted(broker)
        assert not noise(broker)

    async def test_proxy_that_speaks_http_1_0(self, site: Site, tmp_path: Path) -> None:
        """As nginx does unless told otherwise: whoever tries it is told what is missing."""
        broker = site.serve(behind())
        section = to(broker).replace("proxy_http_version 1.1;", "")
        async with nginx(tmp_path, section) as proxy, client(proxy) as browser:
            browser.send_bytes(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await browser.receive_some()
        assert answer.startswith(b"HTTP/1.1 4")
        assert b"HTTP/1.1" in answer.partition(b"\r\n\r\n")[2]
