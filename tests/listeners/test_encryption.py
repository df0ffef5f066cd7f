"""Records that come in faster than TLS is given them, and messages of any size that go out."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from mqttbroker.listeners.encryption import HANDED_ON, PIECE, Encryption
from mqttbroker.listeners.tls import CertificateFiles, TlsFiles, TlsSettings
from mqttbroker.listeners.transport import Transport
from tests.support.pki import Pki


class Below(asyncio.Transport):
    """A socket's transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading: bool = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Above(asyncio.Protocol):
    """Keeps what it gets, and stops reading each time if it is told to."""

    def __init__(self, pauses: bool) -> None:
        self.pauses: bool = pauses
        self.received: bytes = b""
        self.transport: Transport = Below()

    def made(self, transport: Transport) -> Above:
        self.transport = transport
        return self

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.pauses:
            self.transport.pause_reading()


class Client:
    """The other end of TLS."""

    def __init__(self, pki: Pki) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = pki.client_context().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def shake_hands(self, server: Encryption, below: Below) -> None:
        for _ in range(2):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                server.data_received(self.outgoing.read())
                self.incoming.write(b"".join(below.written))
                below.written.clear()
        server.data_received(self.outgoing.read())
        self.incoming.write(b"".join(below.written))
        below.written.clear()

    def records(self, data: bytes) -> bytes:
        """What goes over the wire for this."""
        for start in range(0, len(data), 16_384):
            self.tls.write(data[start : start + 16_384])
        return self.outgoing.read()


@pytest.mark.parametrize("pauses", [False, True], ids=["read on", "read now and then"])
async def test_everything_arrives(pki: Pki, pauses: bool) -> None:
    loop = asyncio.get_running_loop()
    below, above = Below(), Above(pauses)
    files = CertificateFiles(pki.certificate("server"), pki.key("server"))
    context = TlsFiles(TlsSettings((files,)), lambda *_, **__: None).context
    server = Encryption(context, above.made, loop)
    server.connection_made(below)
    client = Client(pki)
    client.shake_hands(server, below)
    sent = bytes(number % 251 for number in range(5 * HANDED_ON))
    wire = client.records(sent)
    # A record that is cut off adds what was held of it to what the next read brings.
    for start in range(0, len(wire), HANDED_ON):
        server.data_received(wire[start : start + HANDED_ON])
        while not below.reading:
            server.resume_reading()
            await asyncio.sleep(0)
    assert above.received == sent


async def test_messages_of_any_size_are_encrypted(pki: Pki) -> None:
    below, above = Below(), Above(False)
    files = CertificateFiles(pki.certificate("server"), pki.key("server"))
    context = TlsFiles(TlsSettings((files,)), lambda *_, **__: None).context
    server = Encryption(context, above.made, asyncio.get_running_loop())
    server.connection_made(below)
    client = Client(pki)
    client.shake_hands(server, below)
    for size in (0, 1, PIECE, PIECE + 1, 5 * PIECE):
        server.write(bytes(size))
        client.incoming.write(b"".join(below.written))
        below.written.clear()
        received = b""
        while len(received) < size:
            received += client.tls.read(65_536)
        assert received == bytes(size)
