"""A small MQTT client for ``mqttbroker pub`` and ``mqttbroker sub``, built on the project's own codec.

One task reads and answers the protocol; the caller publishes, subscribes and takes messages. A message that came at
QoS 1 or 2 is acknowledged when the caller says so, after it was printed, so that one that was not printed is sent
again to a session that lasts.

Deliberately absent: reconnecting, outgoing topic aliases, enhanced authentication. It is a tool for people at a
terminal and in scripts; programs use an MQTT client library.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from mqttbroker.cli.endpoint import ClientError, Endpoint
from mqttbroker.protocol import (
    TEXT,
    ConnAck,
    Connect,
    Disconnect,
    InvalidPacket,
    MQTTError,
    Packet,
    PacketReader,
    PingReq,
    PingResp,
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
    encode,
)
from mqttbroker.protocol import Properties as PacketProperties

__all__ = ["Client", "open_client", "reason_text"]

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must be open and the CONNACK have come."""
PING_SHARE: Final = 0.75
"""The part of the Keep Alive after which a PINGREQ goes out; the rest is for a slow network."""
MAX_INFLIGHT: Final = 64
"""Messages that are sent at QoS 1 and 2 before the first is acknowledged; a broker may ask for fewer."""


def reason_text(reason: ReasonCode, properties: PacketProperties) -> str:
    """Return what a broker answered, in words: the reason code's name and number, and the broker's own words."""
    text = f"{TEXT[reason]} (0x{reason:02X})"
    return f"{text}: {properties.reason_string}" if properties.reason_string else text


@asynccontextmanager
async def open_client(endpoint: Endpoint, connect: Connect) -> AsyncIterator[Client]:
    """Connect, and disconnect in the end. Raise :class:`ClientError` where the broker is not there or refuses."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await endpoint.open()
    except TimeoutError:
        raise ClientError(f"cannot connect to {endpoint}: no answer in {CONNECT_TIMEOUT:g} s") from None
    client = Client(endpoint, reader, writer, connect)
    try:
        await client.start()
        yield client
        await client.disconnect()
    except asyncio.CancelledError:
        # Ctrl-C is a decision to leave, so that no Will is published.
        with suppress(ClientError):
            await client.disconnect()
        raise
    finally:
        await client.close()


class Client:
    """One connection. Made by :func:`open_client`; all calls from the event loop's thread."""

    def __init__(
        self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: Connect
    ) -> None:
        self.version: ProtocolVersion = connect.version
        self._endpoint = endpoint
        self._connect = connect
        self._reader = reader
        self._writer = writer
        self._packets = PacketReader(connect.version)
        self._tasks: list[asyncio.Task[None]] = []
        self._connack: asyncio.Future[ConnAck] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[Packet]] = {}
        self._window = asyncio.Semaphore(MAX_INFLIGHT)
        self._messages: asyncio.Queue[Publish | None] = asyncio.Queue()
        self._received: set[int] = set()
        self._aliases: dict[int, str] = {}
        self._last_packet_id = 0
        self._ping_unanswered = False
        self._failure: ClientError | None = None
        self._lost = asyncio.Event()

    async def start(self) -> ConnAck:
        """Send CONNECT and wait for CONNACK. Raise :class:`ClientError` if the broker refuses."""
        self._tasks.append(asyncio.create_task(self._read()))
        self._send(self._connect)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connack = await self._connack
        except TimeoutError:
            raise ClientError(f"the broker did not answer CONNECT in {CONNECT_TIMEOUT:g} s") from None
        properties = connack.properties
        if connack.reason_code >= 0x80:
            raise ClientError(f"the broker refused the connection: {reason_text(connack.reason_code, properties)}")
        if properties.receive_maximum is not None:  # [MQTT-3.3.4-7]
            self._window = asyncio.Semaphore(min(MAX_INFLIGHT, properties.receive_maximum))
        keep_alive = self._connect.keep_alive
        if properties.server_keep_alive is not None:  # [MQTT-3.2.2-21]
            keep_alive = properties.server_keep_alive
        if keep_alive:
            self._tasks.append(asyncio.create_task(self._ping(keep_alive)))
        return connack

    async def publish(self, message: Publish) -> None:
        """Send a message; at QoS 1 and 2 return when it is acknowledged. Raise :class:`ClientError` if refused."""
        if not message.qos:
            self._send(message)
            await self._drain()
            return
        async with self._window:
            message = replace(message, packet_id=self._next_packet_id())
            answer = await self._request(message.packet_id or 0, message)
        if isinstance(answer, PubAck | PubRec | PubComp) and answer.reason_code >= 0x80:
            raise ClientError(f"the message was refused: {reason_text(answer.reason_code, answer.properties)}")

    async def subscribe(
        self, subscriptions: tuple[SubscriptionRequest, ...], properties: PacketProperties
    ) -> tuple[ReasonCode, ...]:
        """Subscribe and return the answer to each filter, in order."""
        packet_id = self._next_packet_id()
        answer = await self._request(packet_id, Subscribe(packet_id, subscriptions, properties))
        if not isinstance(answer, SubAck):
            raise ClientError("the broker answered SUBSCRIBE with another packet")
        return tuple(answer.reason_codes)

    async def next_message(self) -> Publish:
        """Wait for a message. Raise :class:`ClientError` when the connection is lost."""
        message = await self._messages.get()
        if message is None:
            raise self._failure or ClientError("the connection is closed")
        return message

    async def acknowledge(self, message: Publish) -> None:
        """Tell the broker that a message was dealt with; nothing to do at QoS 0."""
        if message.packet_id is not None:
            self._send(PubAck(message.packet_id) if message.qos == 1 else PubRec(message.packet_id))
            await self._drain()

    async def unless_lost(self, wanted: Coroutine[Any, Any, T]) -> T:
        """Return what ``wanted`` returns. Raise :class:`ClientError` when the connection is lost first."""
        waits = asyncio.ensure_future(wanted), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            return await waits[0]
        finally:
            for task in waits:
                task.cancel()

    async def disconnect(self) -> None:
        """Say goodbye, so that the broker does not publish the Will."""
        if self._failure is None:
            self._send(Disconnect())
            await self._drain()

    async def close(self) -> None:
        """Close the connection and end the tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        # What nobody waited for must not be reported as an exception that was never retrieved.
        for future in self._futures():
            future.cancel()

    def _futures(self) -> list[asyncio.Future[Any]]:
        return [self._connack, *self._answers.values()]

    def _send(self, packet: Packet) -> None:
        try:
            self._writer.write(encode(packet, self.version))
        except InvalidPacket as error:
            raise ClientError(str(error)) from None

    async def _drain(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            await self._writer.drain()
        except OSError as error:
            # What the broker said before it closed the connection tells more than that it was closed.
            self._lose(error)
        if self._failure is not None:
            raise self._failure

    async def _request(self, packet_id: int, packet: Packet) -> Packet:
        if self._failure is not None:
            raise self._failure
        answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._answers[packet_id] = answer
        try:
            self._send(packet)
            await self._drain()
            return await answer
        finally:
            del self._answers[packet_id]

    def _next_packet_id(self) -> int:
        packet_id = self._last_packet_id % 65_535 + 1
        while packet_id in self._answers:  # [MQTT-2.2.1-3]
            packet_id = packet_id % 65_535 + 1
        self._last_packet_id = packet_id
        return packet_id

    async def _ping(self, keep_alive: int) -> None:
        # [MQTT-3.1.2-20]
        while True:
            await asyncio.sleep(keep_alive * PING_SHARE)
            if self._ping_unanswered:
                self._fail(ClientError("the broker does not answer any more"))
                return
            self._ping_unanswered = True
            self._send(PingReq())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65_536):
                for packet in self._packets.feed(data):
                    self._handle(packet)
                if self._packets.error is not None:
                    raise self._packets.error
            self._lose(None)
        except ClientError as error:
            self._fail(error)
        except MQTTError as error:
            self._fail(ClientError(f"the broker sent what is not MQTT: {error}"))
        except OSError as error:
            self._lose(error)

    def _handle(self, packet: Packet) -> None:
        match packet:
            case Publish():
                self._take(packet)
            case PubRec(packet_id, reason) if reason < 0x80:
                self._send(PubRel(packet_id))
            case PubRel(packet_id):
                self._received.discard(packet_id)
                self._send(PubComp(packet_id))
            case PubAck() | PubRec() | PubComp() | SubAck():
                answer = self._answers.get(packet.packet_id)
                if answer is not None and not answer.done():
                    answer.set_result(packet)
            case PingResp():
                self._ping_unanswered = False
            case ConnAck() if not self._connack.done():
                self._connack.set_result(packet)
            case Disconnect(reason, properties):
                raise ClientError(f"the broker closed the connection: {reason_text(reason, properties)}")
            case _:
                raise ClientError(f"the broker sent an unexpected {type(packet).__name__}")

    def _take(self, message: Publish) -> None:
        alias = message.properties.topic_alias
        if alias is not None:
            if message.topic:
                self._aliases[alias] = message.topic
            elif alias not in self._aliases:
                raise ClientError("the broker used a topic alias that it had not set")
            else:
                message = replace(message, topic=self._aliases[alias])
        if message.qos == 2 and message.packet_id is not None:
            if message.packet_id in self._received:  # [MQTT-4.3.3-10] It was handed on before.
                self._send(PubRec(message.packet_id))
                return
            self._received.add(message.packet_id)
        self._messages.put_nowait(message)

    def _lose(self, error: OSError | None) -> None:
        """The connection is closed, which the broker has not explained in MQTT; ``None``: nor has the system."""
        text = "the broker closed the connection"
        if error is not None:
            text = f"the connection was lost: {self._endpoint.why(error)}"
        if not self._connack.done() and not isinstance(error, ssl.SSLError):
            text += self._endpoint.why_no_answer()
        self._fail(ClientError(text))

    def _fail(self, error: ClientError) -> None:
        """Hand an error to everybody who waits and to those who will."""
        if self._failure is not None:
            return
        self._failure = error
        self._lost.set()
        self._messages.put_nowait(None)
        for future in self._futures():
            if not future.done():
                future.set_exception(error)
                # Whoever waits sees it; where nobody does, it has been seen here.
                future.exception()
