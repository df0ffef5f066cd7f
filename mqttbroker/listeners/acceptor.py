"""From a listening socket to a transport: accepting, the gate, what a proxy says, and TLS.

The way of a connection: it is accepted, the gate counts it or refuses it, a proxy's header is read where one is
expected, TLS shakes hands where there is TLS; only then there is a transport and an MQTT connection. All of this must
be done in the time that a client has for its CONNECT.

A listening socket has one task. Out of descriptors it waits, and says so once.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from mqttbroker.broker import Entrance, Peer, host_of
from mqttbroker.listeners.encryption import Encryption
from mqttbroker.listeners.host import Host
from mqttbroker.listeners.proxy_protocol import ProxyHeader, ProxyHeaderError, ProxyHeaderReader
from mqttbroker.listeners.sockets import UnixAddress, format_address, tcp_sockets, unix_peer, unix_socket
from mqttbroker.listeners.stream import Arrival, StreamProtocol
from mqttbroker.listeners.transport import Poller, SocketTransport, Transport
from mqttbroker.listeners.trust import TrustedNetworks

if TYPE_CHECKING:
    from mqttbroker.listeners.tls import TlsFiles

__all__ = ["Listener", "ProtocolFactory"]

BURST = 64
"""Connections that are accepted before others have their turn."""
PEEK = 4_096
"""Bytes of a proxy's header that are looked at in one go."""
LONGEST_BACK_OFF = 5.0
"""Seconds between two attempts to accept where the system has no room for a connection, at most."""
POLL = 0.02
"""Seconds between two looks at a socket, in an event loop that does not tell when there is something."""
RETRY_BIND = 30.0
"""Seconds between two attempts to listen where something stands in the way, at most."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

ProtocolFactory = Callable[[Arrival], StreamProtocol]


class _TurnedAwayError(Exception):
    """The gate has refused a client that a proxy speaks for."""


class Listener:
    """One place where clients connect: a TCP port, on one or more addresses, or a Unix socket."""

    def __init__(
        self,
        entrance: Entrance,
        address: tuple[str, int] | UnixAddress,
        protocol: ProtocolFactory,
        *,
        tls: TlsFiles | None = None,
        proxy_protocol: bool = False,
        trusted: TrustedNetworks | None = None,
        reuse_port: bool = False,
    ) -> None:
        self.entrance: Entrance = entrance
        self.tls: TlsFiles | None = tls
        self._address = address
        self._protocol = protocol
        self._proxy_protocol = proxy_protocol
        self._trusted: TrustedNetworks = trusted or TrustedNetworks(())
        self._reuse_port = reuse_port
        self._host: Host = cast("Host", None)
        self._sockets: list[socket.socket] = []
        self._inherited: bool = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[None] | None] = set()
        """Those that must not be cancelled."""
        self._stopping: bool = False

    @property
    def name(self) -> str:
        """What logs call it."""
        return self.entrance.name

    @property
    def where(self) -> str:
        """The address, as it was asked for."""
        return str(self._address.path) if isinstance(self._address, UnixAddress) else format_address(self._address)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, with the ports that the system has chosen where 0 was asked for; a Unix socket is its path
        and 0.
        """
        names = [each.getsockname() for each in self._sockets]
        return [(name, 0) if isinstance(name, str) else (name[0], name[1]) for name in names]

    # Listening.

    async def start(self, host: Host, inherited: list[socket.socket] | None = None) -> None:
        """Bind and listen, or take over sockets that listen already.

        Raises ``OSError`` with a message that names the listener and its address.
        """
        self._host = host
        try:
            self._inherited = bool(inherited)
            self._sockets = inherited or await self._open()
        except (OSError, LookupError) as error:
            raise OSError(
                getattr(error, "errno", None), f"listener {self.name!r} cannot listen on {self.where}: {_reason(error)}"
            ) from error
        for each in self._sockets:
            self._spawn(self._accept(each))

    async def _open(self) -> list[socket.socket]:
        if isinstance(self._address, UnixAddress):
            return [unix_socket(self._address)]
        return await tcp_sockets(*self._address, self._reuse_port)

    def start_later(self, host: Host) -> None:
        """Try to listen again and again, until it works."""
        self._host = host
        self._spawn(self._retry())

    async def _retry(self) -> None:
        delay = 1.0
        while True:
            await asyncio.sleep(delay)
            try:
                await self.start(self._host)
            except OSError:
                delay = min(delay * 2, RETRY_BIND)
            else:
                self._host.core.log("info", "listening after all", listener=self.name, on=self.where)
                return

    async def stop(self) -> None:
        """Accept no more connections, and drop those that have not got as far as MQTT; those that have stay."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            if task not in self._opening:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self._sockets:
            each.close()
        if isinstance(self._address, UnixAddress) and self._sockets and not self._inherited:
            self._address.path.unlink(missing_ok=True)
        self._sockets = []

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._host.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Accepting.

    async def _accept(self, listening: socket.socket) -> None:
        delay = 0.0
        while True:
            try:
                await _readable(listening)
                for _ in range(BURST):
                    connected, address = listening.accept()
                    self._arrived(connected, address)
            except (BlockingIOError, ConnectionError, InterruptedError):
                pass  # Nobody else is there, or is gone already.
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    self._host.core.log("error", "cannot accept", listener=self.name, reason=_reason(error))
                elif not delay:
                    self._host.core.log(
                        "error", "no room for connections, waiting", listener=self.name, reason=_reason(error)
                    )
                delay = min(max(2 * delay, 0.1), LONGEST_BACK_OFF)
                await asyncio.sleep(delay)
                continue
            if delay:
                delay = 0.0
                self._host.core.log("info", "accepting again", listener=self.name)

    def _arrived(self, connected: socket.socket, address: Any) -> None:
        """Ask the gate about a connection, and make a transport of it."""
        host = self._host
        now = host.clock()
        unix = connected.family == getattr(socket, "AF_UNIX", None)
        try:
            connected.setblocking(False)
            if not unix:
                # A small packet does not wait until the one before it is acknowledged.
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = unix_peer(connected) if unix else Peer(format_address(address))
        except OSError:
            connected.close()
            return
        ip = "" if unix else address[0]
        trusted = unix or self._trusted.contains(ip)
        if self._proxy_protocol and not trusted:
            host.core.quiet_log(
                now, ip, "warning", "connection refused: not one of trusted_proxies", listener=self.name, address=ip
            )
            connected.close()
            return
        arrival = Arrival(host, self.entrance, peer, "" if trusted else ip, now)
        arrival.believed = trusted and not self._proxy_protocol
        if not host.core.gate.enter(self.entrance, arrival.counted, now, peer.address):
            connected.close()
        elif host.poller is not None and self.tls is None and not self._proxy_protocol:
            self._attach(host.poller, self._protocol(arrival), connected)
        else:
            task = self._spawn(self._begin(connected, arrival))
            # Also where the task is cancelled before it has begun.
            task.add_done_callback(lambda _: self._begun(connected, arrival))

    def _begun(self, connected: socket.socket, arrival: Arrival) -> None:
        if not arrival.made:
            self._host.core.gate.leave(self.entrance, arrival.counted, self._host.clock())
            connected.close()

    async def _begin(self, connected: socket.socket, arrival: Arrival) -> None:
        """Whatever comes before the first byte of MQTT."""
        host = self._host
        deadline = host.loop.time() + self.entrance.limits.connect_timeout
        try:
            if self._proxy_protocol:
                async with asyncio.timeout_at(deadline):
                    self._learn(arrival, await _read_proxy_header(connected))
            await self._open_transport(connected, arrival, deadline)
        except _TurnedAwayError:
            pass  # The gate has said so.
        except ConnectionError as error:
            # As proxies do all day long that look whether the port is open.
            address, reason = arrival.peer.address, _reason(error)
            host.core.log("debug", "closed before MQTT", listener=self.name, address=address, reason=reason)
        except (OSError, TimeoutError, ProxyHeaderError) as error:
            what = "TLS hand-shake failed" if isinstance(error, ssl.SSLError) else "connection failed"
            host.core.quiet_log(
                host.clock(),
                host_of(arrival.peer.address),
                "warning",
                what,
                listener=self.name,
                address=arrival.peer.address,
                reason=_reason(error),
            )

    async def _open_transport(self, connected: socket.socket, arrival: Arrival, deadline: float) -> None:
        if self.tls is None:
            await self._connect(self._protocol(arrival), connected)
            return

        def protocol(transport: Transport) -> StreamProtocol:
            stream = self._protocol(arrival)
            stream.connection_made(transport)
            return stream

        encryption = Encryption(self.tls.context, protocol, self._host.loop)
        await self._connect(encryption, connected)
        try:
            if not self._stopping:
                async with asyncio.timeout_at(deadline):
                    await encryption.shaken
        finally:
            encryption.shaken.cancel()
            if not arrival.made:
                encryption.abort()

    async def _connect(self, receiver: StreamProtocol | Encryption, connected: socket.socket) -> None:
        """Read from the socket from now on, and hand on what comes."""
        if self._host.poller is not None:
            self._attach(self._host.poller, receiver, connected)
            return
        # That waits for nobody; were it cancelled in the middle, each loop would leave something else behind.
        task = asyncio.current_task()
        self._opening.add(task)
        try:
            await self._host.loop.connect_accepted_socket(lambda: cast("asyncio.Protocol", receiver), connected)
        finally:
            self._opening.discard(task)

    def _attach(self, poller: Poller, receiver: StreamProtocol | Encryption, connected: socket.socket) -> None:
        transport = SocketTransport(poller, connected, receiver)
        receiver.connection_made(transport)
        transport.start()

    def _learn(self, arrival: Arrival, header: ProxyHeader) -> None:
        """Take over what a trusted proxy says about its client. Raises :class:`_TurnedAwayError` when that may not
        enter.
        """
        if header.local or not header.source:
            return
        # The rest of what is known is about the proxy.
        arrival.peer = Peer(header.source, header.certificate)
        if header.source != "unix":
            address = host_of(header.source)
            if not self._host.core.gate.identify(self.entrance, address, self._host.clock()):
                raise _TurnedAwayError
            arrival.counted = address


async def _read_proxy_header(connected: socket.socket) -> ProxyHeader:
    """Read the header, and not one byte of what follows."""
    reader = ProxyHeaderReader()
    while reader.header is None:
        await _readable(connected)
        with suppress(BlockingIOError):
            waiting = connected.recv(PEEK, socket.MSG_PEEK)
            if not waiting:
                raise ConnectionResetError(errno.ECONNRESET, "closed before its PROXY header was whole")
            connected.recv(reader.feed(waiting))
    return reader.header


async def _readable(connected: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if not readable.done():
            readable.set_result(None)

    try:
        loop.add_reader(connected, ready)
    except NotImplementedError:
        # The usual event loop of Windows cannot tell; whoever asks tries, and asks again.
        await asyncio.sleep(POLL)
        return
    try:
        await readable
    finally:
        loop.remove_reader(connected)


def _reason(error: Exception) -> str:
    """What went wrong, in the system's words where it has some."""
    if isinstance(error, TimeoutError):
        return "took too long"
    # A name that cannot be resolved has a number of its own, which strerror does not know; TLS has none that matter.
    number = error.errno if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)
    return str(error) or type(error).__name__
