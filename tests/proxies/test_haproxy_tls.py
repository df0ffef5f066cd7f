"""TLS in front of a listener with ``proxy_protocol``: ended at HAProxy, which passes on the name in the client's
certificate; and passed through, so that the PROXY protocol header comes before the TLS hand-shake.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mqttbroker.config import ListenerConfig, SecurityConfig
from mqttbroker.protocol import ReasonCode
from mqttbroker.testing import RunningBroker
from tests.proxies.programs import haproxy
from tests.proxies.site import ANN, BEN, PROXY, Site, accepted, address_of, client, counted, nobody_is_counted, user_of
from tests.support.logged import lines, noise, until, wait_for_lines
from tests.support.pki import ClientName, Pki
from tests.support.raw import RawClient
from tests.support.transports import Transport

LARGE = bytes(range(256)) * 400
LENIENT = "crt-ignore-err all ca-ignore-err all"
WITHOUT_PASSWORD = SecurityConfig()

each_version = pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"], ids=["v1", "v2"])
each_tls = pytest.mark.parametrize("version", ["1.2", "1.3"])


def behind(**changes: Any) -> ListenerConfig:
    """A listener that believes a proxy at :data:`PROXY`, and takes user names from certificates."""
    settings: dict[str, Any] = {
        "port": 0,
        "proxy_protocol": True,
        "trusted_proxies": (PROXY,),
        "username_from": "common_name",
    }
    return ListenerConfig(**(settings | changes))


def encrypted(pki: Pki, name: ClientName | None = None, **options: Any) -> Transport:
    """The way of a client that shows this certificate."""
    return Transport(tls=pki.client_context(name, **options))


async def is_refused(stranger: RawClient) -> None:
    """A hand-shake fails: in TLS 1.3 the client hears of it only after it has done its part."""
    with suppress(ConnectionError, ssl.SSLError):
        async with stranger:
            assert not await stranger.receive_some()


class TestEndedAtTheProxy:
    """HAProxy checks certificates, and sends the common name along."""

    def to(self, broker: RunningBroker, pki: Pki, directory: Path, verify: str, option: str) -> str:
        """The section of a proxy that speaks TLS with clients."""
        bundle = directory / "haproxy.pem"
        bundle.write_bytes(pki.certificate("server").read_bytes() + pki.key("server").read_bytes())
        return f"""
listen mqtts
    bind {{bind}} ssl crt {bundle} ca-file {pki.ca} verify {verify}
    server broker {broker.host}:{broker.port} {option}
"""

    @each_tls
    async def test_certificate_names_the_user(self, site: Site, tmp_path: Path, pki: Pki, version: Any) -> None:
        broker = site.serve(behind(), security=WITHOUT_PASSWORD)
        section = self.to(broker, pki, tmp_path, "required", "send-proxy-v2-ssl-cn")
        way = encrypted(pki, "alice", version=version)
        async with haproxy(tmp_path, section) as proxy, client(proxy, ANN, way) as ann:
            await accepted(ann, "ann")
            assert await user_of(broker, "ann") == "alice"
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            await ann.subscribe("a", qos=1)
            await ann.publish("a", LARGE, qos=1)
            assert (await ann.expect_publish()).payload == LARGE

    @pytest.mark.parametrize("option", ["send-proxy-v2-ssl", "send-proxy-v2", "send-proxy"])
    async def test_proxy_that_keeps_the_name_to_itself(self, site: Site, tmp_path: Path, pki: Pki, option: str) -> None:
        broker = site.serve(behind(), security=WITHOUT_PASSWORD)
        section = self.to(broker, pki, tmp_path, "required", option)
        async with haproxy(tmp_path, section) as proxy, client(proxy, ANN, encrypted(pki, "alice")) as ann:
            assert (await ann.connect("ann")).reason_code == ReasonCode.NOT_AUTHORIZED
        (line,) = await wait_for_lines(broker, "authentication refused")
        assert str(line["address"]).startswith(f"{ANN}:")

    async def test_client_without_certificate(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        broker = site.serve(behind(), security=WITHOUT_PASSWORD)
        section = self.to(broker, pki, tmp_path, "optional", "send-proxy-v2-ssl-cn")
        async with haproxy(tmp_path, section) as proxy:
            async with client(proxy, ANN, encrypted(pki)) as ann:
                assert (await ann.connect("ann", username="alice")).reason_code == ReasonCode.NOT_AUTHORIZED
            async with client(proxy, BEN, encrypted(pki, "alice")) as ben:
                await accepted(ben, "ben")
        assert await user_of(broker, "ben") == "alice"

    async def test_client_without_certificate_may_fall_back(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        broker = site.serve(behind())
        section = self.to(broker, pki, tmp_path, "optional", "send-proxy-v2-ssl-cn")
        async with (
            haproxy(tmp_path, section) as proxy,
            client(proxy, ANN, encrypted(pki)) as ann,
            client(proxy, BEN, encrypted(pki, "alice")) as ben,
        ):
            await accepted(ann, "ann")
            await accepted(ben, "ben")
        assert [await user_of(broker, each) for each in ("ann", "ben")] == [None, "alice"]

    async def test_certificate_that_the_proxy_has_let_pass(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        """HAProxy can be told to let bad certificates pass, and says so; their names count for nothing."""
        broker = site.serve(behind(), security=WITHOUT_PASSWORD)
        section = self.to(
            broker, pki, tmp_path, "optional crt-ignore-err all ca-ignore-err all", "send-proxy-v2-ssl-cn"
        )
        async with haproxy(tmp_path, section) as proxy:
            for name in ("foreign", "expired"):
                async with client(proxy, ANN, encrypted(pki, name)) as ann:
                    assert (await ann.connect("ann")).reason_code == ReasonCode.NOT_AUTHORIZED
        assert not lines(broker, "connected")

    async def test_client_that_the_proxy_refuses(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        broker = site.serve(behind(), security=WITHOUT_PASSWORD)
        section = self.to(broker, pki, tmp_path, "required", "send-proxy-v2-ssl-cn")
        async with haproxy(tmp_path, section) as proxy, client(proxy, BEN, encrypted(pki, "alice")) as ben:
            await accepted(ben, "ben")
            for name in ("foreign", "expired", None):
                await is_refused(client(proxy, ANN, encrypted(pki, name)))
            await ben.ping()
            assert counted(broker, ANN) == 0
        assert not noise(broker)


class TestPassedThrough:
    """The header comes first, then the client and the broker speak TLS."""

    def listener(self, pki: Pki, **changes: Any) -> ListenerConfig:
        """A listener with TLS that wants certificates."""
        return behind(tls=pki.tls_config(client_certificates="required", crl=pki.crl), **changes)

    def to(self, broker: RunningBroker, option: str) -> str:
        """The section of a proxy that does not look inside."""
        where = broker.host if broker.host.startswith("/") else f"{broker.host}:{broker.port}"
        return f"""
listen mqtts
    bind {{bind}}
    server broker {where} {option}
"""

    @each_version
    @each_tls
    async def test_certificate_names_the_user(
        self, site: Site, tmp_path: Path, pki: Pki, version: Any, option: str
    ) -> None:
        broker = site.serve(self.listener(pki))
        way = encrypted(pki, "alice", version=version, alpn=("mqtt",))
        async with haproxy(tmp_path, self.to(broker, option)) as proxy, client(proxy, ANN, way) as ann:
            await accepted(ann, "ann")
            assert await user_of(broker, "ann") == "alice"
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"
            await ann.subscribe("a", qos=1)
            await ann.publish("a", LARGE, qos=1)
            assert (await ann.expect_publish()).payload == LARGE
            assert [counted(broker, each) for each in (ANN, PROXY)] == [1, 0]
        await nobody_is_counted(broker)

    async def test_over_a_unix_socket(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        broker = site.serve(self.listener(pki, type="unix", socket=tmp_path / "mqtt.sock"))
        way = encrypted(pki, "alice")
        async with haproxy(tmp_path, self.to(broker, "send-proxy-v2")) as proxy, client(proxy, ANN, way) as ann:
            await accepted(ann, "ann")
            assert await user_of(broker, "ann") == "alice"
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("foreign", "local issuer"), ("expired", "expired"), ("revoked", "revoked"), (None, "did not return")],
        ids=["foreign", "expired", "revoked", "none"],
    )
    async def test_client_that_is_refused(
        self, site: Site, tmp_path: Path, pki: Pki, name: ClientName | None, reason: str
    ) -> None:
        broker = site.serve(self.listener(pki))
        section = self.to(broker, "send-proxy-v2")
        async with haproxy(tmp_path, section) as proxy, client(proxy, BEN, encrypted(pki, "alice")) as ben:
            await accepted(ben, "ben")
            await is_refused(client(proxy, ANN, encrypted(pki, name)))
            (line,) = await wait_for_lines(broker, "TLS hand-shake failed")
            assert str(line["address"]).startswith(f"{ANN}:")
            assert reason in str(line["reason"])
            await ben.ping()
        await nobody_is_counted(broker)

    async def test_proxy_that_forgets_the_header(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        broker = site.serve(self.listener(pki))
        async with haproxy(tmp_path, self.to(broker, "")) as proxy:
            await is_refused(client(proxy, ANN, encrypted(pki, "alice")))
        (line,) = await wait_for_lines(broker, "connection failed")
        assert line["reason"] == "no PROXY protocol header, but a TLS ClientHello"

    async def test_proxy_that_speaks_tls_itself(self, site: Site, tmp_path: Path, pki: Pki) -> None:
        """Its certificate is that of every client, whose addresses it still tells."""
        broker = site.serve(self.listener(pki))
        bundle = tmp_path / "alice.pem"
        bundle.write_bytes(pki.certificate("alice").read_bytes() + pki.key("alice").read_bytes())
        section = self.to(broker, f"send-proxy-v2 ssl ca-file {pki.ca} verify required crt {bundle}")
        async with haproxy(tmp_path, section) as proxy, client(proxy, ANN) as ann:
            await accepted(ann, "ann")
            assert await user_of(broker, "ann") == "alice"
            assert await address_of(broker, "ann") == f"{ANN}:{ann.local_port}"

    @pytest.mark.parametrize("options", ["send-proxy-v2 check", "send-proxy check"], ids=["v2", "v1"])
    async def test_health_checks_are_no_noise(self, site: Site, tmp_path: Path, pki: Pki, options: str) -> None:
        broker = site.serve(self.listener(pki))
        async with haproxy(tmp_path, self.to(broker, f"{options} inter 10ms")):
            await until(lambda: broker.broker.core.counters.connections_accepted >= 10)
        await nobody_is_counted(broker)
        assert not noise(broker)


@pytest.mark.parametrize("end", ["closed", "reset"])
async def test_whoever_only_looks_is_no_noise(site: Site, pki: Pki, end: str) -> None:
    """Without a header and without a byte, as of a load balancer that looks whether the port is open."""
    broker = site.serve(ListenerConfig("tls", port=0, tls=pki.tls_config()), behind(name="proxy"))
    for (host, port), *_ in broker.broker.addresses.values():
        for _ in range(5):
            async with RawClient(host, port) as probe:
                if end == "reset":
                    probe.abort()
    await until(lambda: broker.broker.core.counters.connections_accepted == 10)
    await nobody_is_counted(broker)
    assert not noise(broker)
