"""A client of the load. Hands are shaken with a socket that blocks; then bytes are counted rather than parsed.

What comes is nearly always a run of packets of one kind and size, which is found and answered as a whole. Everything
else goes through the protocol's decoder.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from mqttbroker.bench.frames import Unframer, frame_head, masked
from mqttbroker.bench.links import TIMEOUT, Link
from mqttbroker.bench.packets import PUBACK, PUBCOMP, PUBREC, PUBREL
from mqttbroker.bench.poller import READ, WRITE, Poller
from mqttbroker.bench.scenario import BenchError
from mqttbroker.protocol import (
    TEXT,
    ConnAck,
    Connect,
    Disconnect,
    MQTTError,
    Packet,
    PacketReader,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    encode,
    read_remaining_length,
)

__all__ = ["BUFFER", "Client"]

BUFFER: Final = 262_144
"""Bytes that are read at a time."""
FIRST_LOOK: Final = 64
"""Packets that are looked at together, before all are. Packets of two kinds may take turns."""
LARGE: Final = 16_384
"""Bytes from which on a packet that has not all come is not kept, but its rest is skipped."""
FOR_EVER: Final = 0xFFFF_FFFF

WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
ACKNOWLEDGEMENTS: Final = frozenset((PUBACK, PUBREC, PUBREL, PUBCOMP))

Answer = TypeVar("Answer", bound=Packet)


class Client:
    """One connection."""

    def __init__(self, link: Link, version: ProtocolVersion, client_id: str) -> None:
        self.link = link
        self.version = version
        self.client_id = client_id
        self.framed = link.transport.websocket
        self.packet_size = 0
        """Bytes of each PUBLISH that comes; 0 if none does."""
        self.first = self.second = -1
        """The first two bytes of each."""
        self.receive_maximum = 65_535
        """What the broker takes at QoS 1 and 2 at a time."""
        self.fd = -1
        self._socket: socket.socket | None = None
        self._pending: deque[bytes | bytearray | memoryview] = deque()
        self._poller: Poller | None = None
        self._renew()

    def _renew(self) -> None:
        self._unframer = Unframer() if self.framed else None
        self._held = b""
        self._skip = 0
        self._skipped = b""
        self._pending.clear()

    # Blocking: hand-shakes.

    def connect(self, persistent: bool = False) -> ConnAck:
        """Connect, without keep alive. Raise ``OSError``, or :class:`BenchError` where the broker refuses."""
        self._renew()
        self._socket = self.link.connect()
        expiry = Properties(session_expiry_interval=FOR_EVER)
        request = Connect(
            self.client_id,
            self.version,
            clean_start=not persistent,
            username=self.link.username,
            password=self.link.password,
            properties=expiry if persistent and self.version is ProtocolVersion.V5 else Properties(),
        )
        answer = self.ask(request, ConnAck)
        if answer.reason_code >= 0x80:
            words = answer.properties.reason_string
            text = TEXT[answer.reason_code] + (f": {words}" if words else "")
            raise BenchError(f"the broker refused the connection: {text}")
        self.receive_maximum = answer.properties.receive_maximum or 65_535
        return answer

    def ask(self, packet: Packet, answer: type[Answer]) -> Answer:
        """Send a packet and wait for its answer."""
        assert self._socket is not None
        try:
            self._socket.sendall(self.frame(encode(packet, self.version)))
            data = self._read_packet()
        except TimeoutError:
            raise BenchError(f"the broker did not answer {type(packet).__name__} in {TIMEOUT:g} s") from None
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            raise BenchError(
                f"the broker closed the connection in the place of an answer to {type(packet).__name__.upper()} "
                "(it may limit connections, or how fast they are made)"
            )
        got = self._decode(data)
        if not isinstance(got, answer):
            raise BenchError(f"the broker answered {type(packet).__name__.upper()} with {got!r}")
        return got

    def frame(self, packet: bytes) -> bytes:
        """A packet as it goes out."""
        return frame_head(len(packet)) + masked(packet) if self.framed else packet

    def _read_packet(self) -> bytes:
        """The next packet, empty if there is none; what comes behind it is kept."""
        assert self._socket is not None
        while True:
            held = self._held
            remaining, begin = read_remaining_length(held, 1) if held else (-1, 0)
            if remaining >= 0 and len(held) >= begin + remaining:
                self._held = held[begin + remaining :]
                return held[: begin + remaining]
            data = self._socket.recv(65_536)
            if not data:
                return b""
            self._held += data if self._unframer is None else self._unframer.feed(data)

    def _decode(self, data: bytes) -> Packet:
        try:
            return PacketReader(self.version).feed(data)[0]
        except (MQTTError, IndexError) as error:
            raise BenchError(f"the broker sent what is not MQTT: {error}") from None

    # Not blocking: the load.

    def start(self, poller: Poller, readers: dict[int, Client]) -> None:
        """Let the poller and the load know of it, and take what has come already."""
        assert self._socket is not None
        self._socket.setblocking(False)
        self.fd = self._socket.fileno()
        self._poller = poller
        self._receive: Callable[[bytearray], int] = self._socket.recv_into
        self._send: Callable[[bytes | bytearray | memoryview], int] = self._socket.send
        self._repeat = isinstance(self._socket, ssl.SSLSocket)
        poller.register(self.fd, READ)
        readers[self.fd] = self
        held, self._held = self._held, b""
        if held:
            self.take(held, len(held))
        if self._repeat:
            # What TLS has decrypted already, no poller tells.
            self.read(bytearray(BUFFER))

    def close(self) -> None:
        """Close the connection, at once."""
        if self._socket is not None:
            if self._poller is not None and self.fd >= 0:
                self._poller.unregister(self.fd)
            self._socket.close()
            self._socket = None
            self.fd = -1

    def gone(self) -> bool:
        """Whether the broker has closed the connection, while there was nothing to say."""
        if self._socket is None:
            return True
        self._socket.setblocking(False)
        try:
            return not self._socket.recv(1)
        except WOULD_BLOCK:
            return False
        except OSError:
            return True

    def leave(self) -> None:
        """Disconnect, and wait until the broker has closed: if the client came back before that, the broker might not
        read what was acknowledged.
        """
        if self._socket is not None:
            self._socket.settimeout(TIMEOUT)
            self._pending.append(self.frame(encode(Disconnect(), self.version)))
            with suppress(OSError):
                self._socket.sendall(b"".join(self._pending))
                while self._socket.recv(65_536):
                    pass
            self.close()

    def read(self, buffer: bytearray) -> None:
        """Take what has come."""
        while True:
            try:
                size = self._receive(buffer)
            except WOULD_BLOCK:
                return
            except OSError as error:
                raise self.lost(error.strerror or str(error)) from None
            if not size:
                raise self.lost("")
            if self._unframer is None:
                if size == self.packet_size and buffer[0] == self.first and not (self._held or self._skip):
                    # One message, as most often where everybody waits for an answer.
                    self.published(buffer, 0, 1, size)
                else:
                    self.take(buffer, size)
            else:
                data = self._unframer.feed(bytes(buffer[:size]))
                self.take(data, len(data))
                if self._unframer.closed:
                    raise self.lost("")
            if not self._repeat or self.fd < 0:
                return

    def lost(self, why: str) -> BenchError:
        """What is said where the broker has closed the connection."""
        return BenchError("the broker closed a connection" + (f": {why}" if why else ""))

    def take(self, data: bytes | bytearray, end: int) -> None:
        """Take bytes that have come."""
        at = 0
        if self._skip:
            if end < self._skip:
                self._skip -= end
                return
            at, self._skip = self._skip, 0
            self.published(self._skipped, 0, 1, len(self._skipped))
        elif self._held:
            data = self._held + data[:end]
            self._held = b""
            end = len(data)
        while at < end:
            first = data[at]
            if first == self.first:
                size = self.packet_size
                run = _run(data, at, end, size, first, self.second)
                if run:
                    self.published(data, at, run, size)
            elif first in ACKNOWLEDGEMENTS:
                size = 4
                run = _run(data, at, end, size, first, 2)
                if run:
                    self.acknowledged(first, data, at, run)
            else:
                run = 0
            if run:
                at += run * size
            elif not (size := self._take_other(data, at, end)):
                return
            else:
                at += size

    def _take_other(self, data: bytes | bytearray, at: int, end: int) -> int:
        """Take one packet, which may be any; its size, or 0 if it has not all come."""
        head = bytes(data[at : min(at + 5, end)])
        remaining, begin = read_remaining_length(head, 1)
        size = begin + remaining
        if remaining >= 0 and end - at >= size:
            self.other(self._decode(bytes(data[at : at + size])))
            return size
        if remaining >= 0 and size == self.packet_size and size >= LARGE and end - at >= 512:
            self._skip = size - (end - at)
            # Of this one, only what is at its beginning is looked at.
            self._skipped = bytes(data[at : at + 512])
        else:
            self._held = bytes(data[at:end])
        return 0

    def published(self, data: bytes | bytearray, at: int, count: int, size: int) -> None:
        """Take so many messages of that size."""

    def acknowledged(self, first: int, data: bytes | bytearray, at: int, count: int) -> None:
        """Take so many acknowledgements of one kind."""

    def other(self, packet: Packet) -> None:
        """Take a packet that is not as those that are expected."""
        match packet:
            case Disconnect(reason, properties):
                words = properties.reason_string
                raise self.lost(TEXT[reason] + (f" ({words})" if words else ""))
            case PubAck(_, reason) | PubRec(_, reason) | PubComp(_, reason) if reason >= 0x80:
                raise BenchError(f"the broker refused a message: {TEXT[reason]}")
            case PubAck(packet_id) | PubRec(packet_id) | PubRel(packet_id) | PubComp(packet_id):
                first = packet.type << 4 | (2 if isinstance(packet, PubRel) else 0)
                self.acknowledged(first, bytes((first, 2)) + packet_id.to_bytes(2, "big"), 0, 1)
            case Publish():
                # As it is expected, so that everything is where it is looked for.
                data = encode(replace(packet, retain=False, dup=False, properties=Properties()), self.version)
                self.published(data, 0, 1, len(data))
            case _:
                pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or keep what cannot be sent yet."""
        if self._pending:
            self._pending.append(data)
            return
        try:
            sent = self._send(data)
        except WOULD_BLOCK:
            sent = 0
        except OSError as error:
            raise self.lost(error.strerror or str(error)) from None
        if sent < len(data):
            self._pending.append(memoryview(data)[sent:])
            assert self._poller is not None
            self._poller.modify(self.fd, READ | WRITE)

    def flush(self) -> None:
        """Send what was kept."""
        while self._pending:
            data = self._pending[0]
            try:
                sent = self._send(data)
            except WOULD_BLOCK:
                return
            except OSError as error:
                raise self.lost(error.strerror or str(error)) from None
            if sent < len(data):
                self._pending[0] = memoryview(data)[sent:]
                return
            self._pending.popleft()
        assert self._poller is not None
        self._poller.modify(self.fd, READ)


def _run(data: bytes | bytearray, at: int, end: int, size: int, first: int, second: int) -> int:
    """How many packets that begin so, of one size, are whole and follow each other."""
    count = (end - at) // size
    if count <= 1:
        return count if count and data[at + 1] == second else 0
    for some in (min(count, FIRST_LOOK), count):
        stop = at + some * size
        run = some - len(data[at:stop:size].lstrip(bytes((first,))))
        if run < some:
            break
    return run if data[at + 1 : at + run * size : size].count(second) == run else 0
