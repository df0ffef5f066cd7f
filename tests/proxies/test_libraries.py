"""Clients of others through proxies of others: TLS ends at HAProxy, and at nginx that speaks WebSocket."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.config import ListenerConfig, SecurityConfig
from tests.interop.adapter import Adapter, Endpoint, Message, Scheme
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.interop.matrix import ADAPTERS
from tests.proxies.programs import FRONT, haproxy, nginx
from tests.proxies.site import ANN, PROXY, Site, address_of, user_of
from tests.support.pki import Pki

LARGE = bytes(range(256)) * 400


def speaking(scheme: Scheme) -> pytest.MarkDecorator:
    """Each library that can."""
    chosen = [adapter for adapter in ADAPTERS if scheme in adapter.schemes]
    return pytest.mark.parametrize("adapter", chosen, ids=lambda adapter: adapter.name)


def make(request: pytest.FixtureRequest, adapter: type[Adapter], endpoint: Endpoint) -> Adapter:
    """A client, not connected."""
    if adapter is MqttJsAdapter:
        MqttJsAdapter.node_modules = request.getfixturevalue("node_modules")
    return adapter(endpoint, max(adapter.versions), "under-test")


async def talk(client: Adapter) -> None:
    """Send large messages at each QoS to oneself."""
    await client.connect()
    assert await client.subscribe("a", 2) == 2
    for qos in (0, 1, 2):
        await client.publish(Message("a", LARGE, qos))
        assert await client.next_message() == Message("a", LARGE, qos)


@speaking(Scheme.MQTTS)
async def test_haproxy(
    request: pytest.FixtureRequest, site: Site, tmp_path: Path, pki: Pki, adapter: type[Adapter]
) -> None:
    broker = site.serve(
        ListenerConfig(port=0, proxy_protocol=True, trusted_proxies=(PROXY,), username_from="common_name"),
        security=SecurityConfig(),
    )
    bundle = tmp_path / "haproxy.pem"
    bundle.write_bytes(pki.certificate("server").read_bytes() + pki.key("server").read_bytes())
    section = f"""
listen mqtts
    bind {{bind}} ssl crt {bundle} ca-file {pki.ca} verify required
    server broker {broker.host}:{broker.port} send-proxy-v2-ssl-cn
"""
    async with haproxy(tmp_path, section) as proxy:
        files = (pki.ca, pki.certificate("alice"), pki.key("alice"))
        client = make(request, adapter, Endpoint(FRONT, proxy.port, Scheme.MQTTS, *files, source=ANN))
        try:
            await talk(client)
        finally:
            await client.close()
    assert await user_of(broker, "under-test") == "alice"
    assert (await address_of(broker, "under-test")).partition(":")[0] in (ANN, PROXY)


@speaking(Scheme.WSS)
async def test_nginx(
    request: pytest.FixtureRequest, site: Site, tmp_path: Path, pki: Pki, adapter: type[Adapter]
) -> None:
    broker = site.serve(ListenerConfig(type="websocket", port=0, trusted_proxies=(PROXY,)))
    server = f"""
    server {{
        listen {{listen}} ssl;
        ssl_certificate {pki.certificate("server")};
        ssl_certificate_key {pki.key("server")};
        location /mqtt {{
            proxy_pass http://{broker.host}:{broker.port};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
"""
    async with nginx(tmp_path, server) as proxy:
        client = make(request, adapter, Endpoint(FRONT, proxy.port, Scheme.WSS, pki.ca, source=ANN))
        try:
            await talk(client)
        finally:
            await client.close()
    # Without a port: so nginx says it. Not every library lets one choose where it connects from.
    assert await address_of(broker, "under-test") in (ANN, PROXY)
