"""A client that does what the test says and nothing else, for looking at a broker packet by packet.

It never answers by itself, may send bytes that no encoder would make, and keeps the bytes of what it received.
Every wait has a time-out. Rules that tests may rely on:

* Packets are handed out in the order of their arrival. A method that waits for one particular answer
  (``subscribe``, ``publish``, ``unsubscribe``, ``ack``) leaves all other packets, in order, for ``receive``,
  ``expect``, ``drain`` and ``expect_closed``.
* "The broker sends nothing" is shown by a PINGREQ: what was not here before the PINGRESP was not sent. For the
  same reason ``publish`` at QoS 0 ends with a PINGREQ round trip: when it returns, the broker has dealt with
  the message.
* Nothing is checked on the way out except by the packet encoder; ``send_bytes`` goes around that too.

Absent on purpose: automatic acknowledgement, keep alive, reconnecting. What lies below MQTT, TCP or another transport,
is ``transports.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeVar

from mqttbroker.protocol import (
    NO_PROPERTIES,
    ConnAck,
    Connect,
    Disconnect,
    MQTTError,
    Packet,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    Will,
    decode,
    encode,
)
from mqttbroker.protocol.wire import read_remaining_length
from tests.support.streams import Stream
from tests.support.transports import TCP, Transport

__all__ = ["DEFAULT_TIMEOUT", "ConnectionClosed", "RawClient"]

DEFAULT_TIMEOUT = 5.0
"""Seconds after which any wait gives up."""

P = TypeVar("P", bound=Packet)
A = TypeVar("A", bound=SubAck | UnsubAck | PubAck | PubRec | PubRel | PubComp)

_numbers = itertools.count(1)


class ConnectionClosed(Exception):
    """The broker closed the connection while a packet was waited for.

    ``packets`` are those that came before and that nobody has taken; ``partial`` is the beginning of a packet
    that never ended.
    """

    def __init__(self, waited_for: str, packets: list[Packet], partial: bytes) -> None:
        before = ", ".join(map(repr, packets)) or "nothing"
        tail = f", then part of a packet: {partial[:64].hex(' ')}" if partial else ""
        super().__init__(f"closed by the broker while waiting for {waited_for}; not taken before: {before}{tail}")
        self.packets = packets
        self.partial = partial


class RawClient:
    """One network connection to a broker. Use it as an asynchronous context manager; leaving it cuts the connection.

    ``version`` decides how packets are written and read until :meth:`connect` says otherwise. ``timeout``
    (seconds) bounds each wait that names none. ``host`` is a path where the transport is a Unix socket.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        version: ProtocolVersion = ProtocolVersion.V5,
        timeout: float = DEFAULT_TIMEOUT,
        transport: Transport = TCP,
    ) -> None:
        self.host = host
        self.port = port
        self.version = version
        self.timeout = timeout
        self.client_id = ""
        """The client identifier of the last CONNECT, or the one that the broker assigned."""
        self.last_bytes = b""
        """The bytes of the packet handed out last, fixed header included."""
        self.watch: Callable[[Packet, bytes], None] | None = None
        """Called with every packet and its bytes as it arrives; what it raises is raised by whoever waits."""
        self._transport = transport
        self._stream: Stream | None = None
        self._buffer = bytearray()
        self._inbox: deque[tuple[Packet, bytes]] = deque()
        self._packet_id = 0

    # The connection

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the network connection; sends no MQTT. Raises :class:`OSError`, :class:`TimeoutError`."""
        async with asyncio.timeout(self.timeout):
            self._stream = await self._transport.open(self.host, self.port)

    async def close(self) -> None:
        """Cut the connection without a DISCONNECT and wait until it is gone. No error if it is gone already."""
        if self._stream is not None:
            await self._stream.socket.close()

    def abort(self) -> None:
        """Lose the connection as a broken network does: it is reset, without a DISCONNECT."""
        self.stream.socket.reset()

    def send_eof(self) -> None:
        """Close the sending half only, in all layers in order; what the broker sends can still be received."""
        self.stream.end_all()

    @property
    def stream(self) -> Stream:
        """What is below MQTT. Raises ``RuntimeError`` while there is nothing."""
        if self._stream is None:
            raise RuntimeError("the client is not open: use `async with RawClient(...) as client:`")
        return self._stream

    @property
    def local_port(self) -> int:
        """The client's own port, by which a broker's log or list of connections names it."""
        return self.stream.socket.port

    # Sending

    def send(self, packet: Packet) -> None:
        """Send one legal packet.

        Does not wait; raises :class:`~mqttbroker.protocol.InvalidPacket` if it is not legal.
        """
        self.send_bytes(encode(packet, self.version))

    def send_bytes(self, data: bytes) -> None:
        """Send any bytes.

        Does not wait; no error if the broker has closed the connection, which the next wait reports.
        """
        self.stream.write(data)

    async def flush(self) -> None:
        """Wait until the kernel has taken nearly all that was sent.

        Needed only where much is sent and nothing waited for.
        """
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(self.timeout):
                await self.stream.socket.drain()

    def next_packet_id(self) -> int:
        """Return the next packet identifier: 1, 2, ... 65535, 1, ..."""
        self._packet_id = self._packet_id % 0xFFFF + 1
        return self._packet_id

    # Receiving

    async def receive(self, timeout: float | None = None) -> Packet:
        """Return the next packet, whatever it is. Raises :class:`TimeoutError`, :class:`ConnectionClosed`."""
        return await self._take(lambda packet: True, "a packet", timeout)

    async def expect(self, kind: type[P], timeout: float | None = None) -> P:
        """Return the next packet, which must be of this class; :class:`AssertionError` shows what came instead."""
        packet = await self._take(lambda packet: True, kind.__name__, timeout)
        if not isinstance(packet, kind):
            raise AssertionError(f"expected {kind.__name__}, got {packet!r}; waiting behind it: {self._waiting()!r}")
        return packet

    async def receive_bytes(self, count: int, timeout: float | None = None) -> bytes:
        """Return the next bytes as they are: for so many packets that there is no time to look at each.

        All packets that came before must have been taken. Raises as :meth:`receive` does.
        """
        self._check_nothing_waits()
        async with self._limit(timeout, f"{count} bytes"):
            while len(self._buffer) < count:
                received = await self._receive()
                if not received:
                    raise ConnectionClosed(f"{count} bytes", [], bytes(self._buffer))
                self._buffer += received
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def receive_some(self, timeout: float | None = None) -> bytes:
        """Return whatever bytes come next as they are; ``b""`` at the end. Raises :class:`TimeoutError`."""
        self._check_nothing_waits()
        if self._buffer:
            taken = bytes(self._buffer)
            self._buffer.clear()
            return taken
        async with self._limit(timeout, "more bytes"):
            return await self._receive()

    async def expect_closed(self, timeout: float | None = None) -> list[Packet]:
        """Wait for the end of the connection and return the packets that came before it.

        Raises :class:`TimeoutError`.
        """
        async with self._limit(timeout, "the end of the connection"):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self._read_packet("the end of the connection")
        packets = self._waiting()
        self._inbox.clear()
        return packets

    async def drain(self, timeout: float | None = None) -> list[Packet]:
        """Return all packets that the broker sends before it answers a PINGREQ sent now."""
        await self.ping(timeout)
        packets = self._waiting()
        self._inbox.clear()
        return packets

    async def expect_silence(self, timeout: float | None = None) -> None:
        """Show by a PINGREQ that the broker has sent nothing that was not taken yet."""
        packets = await self.drain(timeout)
        if packets:
            raise AssertionError(f"expected nothing, got {packets!r}")

    async def ping(self, timeout: float | None = None) -> PingResp:
        """Send PINGREQ and wait for the PINGRESP; packets in between are kept."""
        self.send(PingReq())
        return await self._take_kind(PingResp, lambda packet: True, "PINGRESP", timeout)

    # Whole exchanges

    async def connect(
        self,
        client_id: str | None = None,
        *,
        version: ProtocolVersion | None = None,
        clean_start: bool = True,
        keep_alive: int = 0,
        username: str | None = None,
        password: bytes | None = None,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> ConnAck:
        """Send CONNECT and return the CONNACK, be it a refusal. Without a client identifier a new one is made up."""
        if version is not None:
            self.version = version
        self.client_id = f"raw-{next(_numbers)}" if client_id is None else client_id
        self.send(
            Connect(self.client_id, self.version, clean_start, keep_alive, username, password, will, properties),
        )
        answer = await self.expect(ConnAck)
        self.client_id = answer.properties.assigned_client_identifier or self.client_id
        return answer

    async def disconnect(
        self, reason_code: ReasonCode = ReasonCode.SUCCESS, properties: Properties = NO_PROPERTIES
    ) -> list[Packet]:
        """Send DISCONNECT and wait until the broker has closed the connection, so that it has certainly dealt with it.

        Returns the packets that came before and that nobody has taken.
        """
        self.send(Disconnect(reason_code, properties))
        return await self.expect_closed()

    async def subscribe(
        self,
        *topic_filters: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        properties: Properties = NO_PROPERTIES,
        packet_id: int | None = None,
    ) -> SubAck:
        """Subscribe to the filters, all with the same options, and return the SUBACK."""
        packet_id = self.next_packet_id() if packet_id is None else packet_id
        requests = tuple(
            SubscriptionRequest(topic_filter, qos, no_local, retain_as_published, retain_handling)
            for topic_filter in topic_filters
        )
        self.send(Subscribe(packet_id, requests, properties))
        return await self._answer(SubAck, packet_id)

    async def unsubscribe(
        self, *topic_filters: str, properties: Properties = NO_PROPERTIES, packet_id: int | None = None
    ) -> UnsubAck:
        """Unsubscribe from the filters and return the UNSUBACK."""
        packet_id = self.next_packet_id() if packet_id is None else packet_id
        self.send(Unsubscribe(packet_id, topic_filters, properties))
        return await self._answer(UnsubAck, packet_id)

    async def publish(
        self,
        topic: str,
        payload: bytes = b"",
        *,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        properties: Properties = NO_PROPERTIES,
        packet_id: int | None = None,
    ) -> PubAck | PubRec | None:
        """Publish a message and go through its whole exchange.

        Returns the PUBACK (QoS 1), the PUBREC (QoS 2, after the PUBCOMP unless the broker refused the message),
        or None.
        """
        if qos == 0:
            self.send(Publish(topic, payload, 0, retain, dup, packet_id, properties))
            await self.ping()
            return None
        packet_id = self.next_packet_id() if packet_id is None else packet_id
        self.send(Publish(topic, payload, qos, retain, dup, packet_id, properties))
        if qos == 1:
            return await self._answer(PubAck, packet_id)
        received = await self._answer(PubRec, packet_id)
        if received.reason_code < ReasonCode.UNSPECIFIED_ERROR:
            self.send(PubRel(packet_id))
            await self._answer(PubComp, packet_id)
        return received

    async def ack(self, publish: Publish) -> None:
        """Go through the receiver's side of the exchange for this message; nothing to do at QoS 0."""
        if publish.packet_id is None:
            return
        if publish.qos == 1:
            self.send(PubAck(publish.packet_id))
        else:
            self.send(PubRec(publish.packet_id))
            await self._answer(PubRel, publish.packet_id)
            self.send(PubComp(publish.packet_id))

    async def expect_publish(self, timeout: float | None = None) -> Publish:
        """Return the next packet, which must be a PUBLISH, and acknowledge it as its QoS demands."""
        publish = await self.expect(Publish, timeout)
        raw = self.last_bytes
        await self.ack(publish)
        self.last_bytes = raw
        return publish

    # Inside

    def _waiting(self) -> list[Packet]:
        return [packet for packet, _ in self._inbox]

    def _check_nothing_waits(self) -> None:
        if self._inbox:
            raise RuntimeError(f"packets were not taken: {self._waiting()!r}")

    async def _receive(self) -> bytes:
        """Whatever bytes come next; ``b""`` at the end, however it came. ``stream`` knows how."""
        try:
            return await self.stream.read()
        except ConnectionError:
            return b""

    @contextlib.asynccontextmanager
    async def _limit(self, timeout: float | None, waited_for: str) -> AsyncIterator[None]:
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise TimeoutError(
                f"no {waited_for} within {seconds} s; received and not taken: {self._waiting()!r}, "
                f"part of a packet: {bytes(self._buffer[:64]).hex(' ') or 'none'}"
            ) from None

    async def _answer(self, kind: type[A], packet_id: int) -> A:
        """Take the first packet of this class that has this packet identifier."""
        return await self._take_kind(
            kind, lambda packet: packet.packet_id == packet_id, f"{kind.__name__} {packet_id}", None
        )

    async def _take_kind(
        self, kind: type[P], matches: Callable[[P], bool], waited_for: str, timeout: float | None
    ) -> P:
        packet = await self._take(lambda packet: isinstance(packet, kind) and matches(packet), waited_for, timeout)
        assert isinstance(packet, kind)
        return packet

    async def _take(self, matches: Callable[[Packet], bool], waited_for: str, timeout: float | None) -> Packet:
        """Take the first packet that matches out of the inbox, receiving until there is one."""
        position = 0
        async with self._limit(timeout, waited_for):
            while True:
                while position < len(self._inbox):
                    packet, raw = self._inbox[position]
                    if matches(packet):
                        del self._inbox[position]
                        self.last_bytes = raw
                        return packet
                    position += 1
                await self._read_packet(waited_for)

    async def _read_packet(self, waited_for: str) -> None:
        """Move one packet from the network to the inbox. May be cancelled at any time without losing bytes."""
        while (end := self._packet_end()) < 0:
            received = await self._receive()
            if not received:
                raise ConnectionClosed(waited_for, self._waiting(), bytes(self._buffer))
            self._buffer += received
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        try:
            _, body = read_remaining_length(raw, 1)
            packet = decode(raw[0], raw[body:], self.version)
        except MQTTError as error:
            raise AssertionError(f"the broker sent an illegal packet: {raw[:256].hex(' ')}") from error
        if self.watch is not None:
            self.watch(packet, raw)
        self._inbox.append((packet, raw))

    def _packet_end(self) -> int:
        """Return where the first packet in the buffer ends, or -1 while it is not whole."""
        if len(self._buffer) < 2:
            return -1
        try:
            length, body = read_remaining_length(bytes(self._buffer[:5]), 1)
        except MQTTError as error:
            raise AssertionError(f"the broker sent an illegal length: {self._buffer[:5].hex(' ')}") from error
        return body + length if 0 <= length <= len(self._buffer) - body else -1
