"""Records that come in faster than TLS is given them, into a buffer that the protocol above has as well."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from mqttbroker.listeners.encryption import PIECE, RECEIVE_SIZE, Encryption
from mqttbroker.listeners.tls import CertificateFiles, TlsFiles, TlsSettings
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


class Above(asyncio.BufferedProtocol):
    """Keeps what it gets, and stops reading each time if it is told to."""

    def __init__(self, buffer: memoryview, pauses: bool) -> None:
        self.buffer: memoryview = buffer
        self.pauses: bool = pauses
        self.received: bytes = b""
        self.transport: asyncio.Transport = Below()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += bytes(self.buffer[:nbytes])
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
                feed(server, self.outgoing.read())
                self.incoming.write(b"".join(below.written))
                below.written.clear()
        feed(server, self.outgoing.read())
        self.incoming.write(b"".join(below.written))
        below.written.clear()

    def records(self, data: bytes) -> bytes:
        """What goes over the wire for this."""
        for start in range(0, len(data), 16_384):
            self.tls.write(data[start : start + 16_384])
        return self.outgoing.read()


def feed(server: Encryption, data: bytes) -> None:
    """Let a read bring this."""
    server.get_buffer(-1)[: len(data)] = data
    server.buffer_updated(len(data))


@pytest.mark.parametrize("room", [1_000, PIECE, 2 * RECEIVE_SIZE], ids=["little", "a piece", "more than there is"])
@pytest.mark.parametrize("pauses", [False, True], ids=["read on", "read now and then"])
async def test_everything_arrives(pki: Pki, room: int, pauses: bool) -> None:
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(2 * RECEIVE_SIZE))
    below, above = Below(), Above(buffer[:room], pauses)
    files = CertificateFiles(pki.certificate("server"), pki.key("server"))
    context = TlsFiles(TlsSettings((files,)), lambda *_, **__: None).context
    server = Encryption(context, lambda: above, buffer, loop)
    server.connection_made(below)
    client = Client(pki)
    client.shake_hands(server, below)
    sent = bytes(number % 251 for number in range(5 * RECEIVE_SIZE))
    wire = client.records(sent)
    # A record that is cut off adds what was held of it to what the next read brings.
    for start in range(0, len(wire), RECEIVE_SIZE):
        feed(server, wire[start : start + RECEIVE_SIZE])
        while not below.reading:
            server.resume_reading()
            await asyncio.sleep(0)
    assert above.received == sent


async def test_messages_of_any_size_are_encrypted(pki: Pki) -> None:
    buffer = memoryview(bytearray(RECEIVE_SIZE))
    below, above = Below(), Above(buffer, False)
    files = CertificateFiles(pki.certificate("server"), pki.key("server"))
    context = TlsFiles(TlsSettings((files,)), lambda *_, **__: None).context
    server = Encryption(context, lambda: above, buffer, asyncio.get_running_loop())
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
