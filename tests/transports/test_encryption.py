"""What there is over TLS and not over TCP: hand-shakes that fail, certificates of clients, records."""

from __future__ import annotations

import ssl
from typing import Literal

import pytest

from mqttbroker.protocol import Connect, PingReq, PingResp, ProtocolVersion, Publish, ReasonCode, encode
from tests.support.pki import Pki
from tests.support.streams import Stream, TlsStream
from tests.transports.site import Site

V5 = ProtocolVersion.V5
VERSIONS: tuple[Literal["1.2", "1.3"], ...] = ("1.2", "1.3")

pytestmark = pytest.mark.parametrize("transport_name", ["tls", "wss"])


def tls_of(stream: Stream) -> TlsStream:
    """The layer that is TLS."""
    return stream if isinstance(stream, TlsStream) else tls_of(stream.below)


class TestHandShakes:
    @pytest.mark.parametrize(
        ("version", "alert"), [("1.2", "alert handshake failure"), ("1.3", "alert certificate required")]
    )
    async def test_a_client_without_a_certificate_is_told(
        self, site: Site, pki: Pki, version: Literal["1.2", "1.3"], alert: str
    ) -> None:
        site.start(tls=pki.tls_config(client_certificates="required"))
        site.context = pki.client_context(version=version)
        with pytest.raises(ssl.SSLError, match=alert):
            async with site.client() as client:
                await client.connect()
        await site.until(lambda: site.counted() == (0, 0))
        (line,) = site.refusals()
        assert "peer did not return a certificate" in str(line["reason"])

    async def test_a_client_of_an_old_version_is_told(self, site: Site, pki: Pki) -> None:
        site.start(tls=pki.tls_config(minimum_version="1.3"))
        site.context = pki.client_context(version="1.2")
        with pytest.raises(ssl.SSLError, match="alert protocol version"):
            await site.client().open()
        await site.until(lambda: site.counted() == (0, 0))

    async def test_a_client_that_does_not_like_the_broker(self, site: Site) -> None:
        """Its alert is what the log says."""
        site.start()
        site.context = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            await site.client().open()
        await site.until(lambda: site.counted() == (0, 0))
        assert [line for line in site.refusals() if "unknown ca" in str(line["reason"])]

    @pytest.mark.parametrize(
        "data", [encode(Connect("plain", V5), V5), b"GET / HTTP/1.1\r\n\r\n"], ids=["MQTT", "HTTP"]
    )
    async def test_a_client_without_tls(self, site: Site, data: bytes) -> None:
        async with site.client() as other, site.below() as client:
            await other.connect()
            client.send_bytes(data)
            while await client.receive_some():
                pass
            await other.ping()
            await site.until(lambda: site.counted() == (1, 1))
        assert len(site.refusals()) == 1

    async def test_the_name_in_the_certificate(self, site: Site, pki: Pki) -> None:
        site.start(tls=pki.tls_config(client_certificates="required", crl=pki.crl))
        site.context = pki.client_context("alice")
        async with site.client() as client:
            assert (await client.connect()).reason_code == ReasonCode.SUCCESS

            def names(connection: object) -> str:
                peer = getattr(connection, "peer")  # noqa: B009
                return str(peer.certificate.common_name)

            assert site.broker.call(lambda inner: [names(each) for each in inner.core.connections]) == ["alice"]


class TestRecords:
    @pytest.mark.parametrize("version", VERSIONS)
    async def test_both_versions(self, site: Site, pki: Pki, version: Literal["1.2", "1.3"]) -> None:
        site.context = pki.client_context(version=version)
        payload = bytes(range(256)) * 4_096
        async with site.client() as client:
            await client.connect()
            await client.subscribe("a", qos=2)
            await client.publish("a", payload, qos=2)
            assert (await client.expect_publish()).payload == payload
            await client.disconnect()
            assert client.stream.ended_in_order

    async def test_many_in_one_piece(self, site: Site) -> None:
        """More than are read at once, each with a packet or with a part of one."""
        packet = encode(Publish("a", b"x" * 100), V5)
        async with site.client() as subscriber, site.client() as client:
            await subscriber.connect()
            await subscriber.subscribe("a")
            await client.connect()
            tls = tls_of(client.stream)
            lowest = tls.below
            records = bytearray()

            class Collecting(Stream):
                def write(self, data: bytes) -> None:
                    records.extend(data)

            tls.below = Collecting(lowest)
            stream = packet * 1_000
            for start in range(0, len(stream), 33):
                client.send_bytes(stream[start : start + 33])
            tls.below = lowest
            lowest.write(bytes(records))
            client.send(PingReq())
            await client.expect(PingResp)
            assert await subscriber.receive_bytes(len(stream)) == stream

    async def test_a_record_that_was_tampered_with(self, site: Site) -> None:
        async with site.client() as other, site.client() as client:
            await other.connect()
            await client.connect("tampered")
            client.stream.socket.write(b"\x17\x03\x03\x00\x20" + bytes(32))
            with pytest.raises(ssl.SSLError, match="alert bad record mac"):
                while await client.receive_some():
                    pass
            await other.ping()
            await site.until(lambda: site.counted() == (1, 1))

    async def test_what_the_broker_sends_by_itself_arrives(self, site: Site) -> None:
        """Tickets for sessions, in TLS 1.3 after the hand-shake."""
        async with site.client() as client:
            await client.connect()
            session = tls_of(client.stream).tls.session
            assert session is not None
            assert session.has_ticket
