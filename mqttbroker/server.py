"""A running broker: the core, its store, its listeners, in an asyncio program or as a process of its own.

:class:`Broker` is the library; :func:`serve` is what the command line runs. Nothing here is global: several brokers
may live in one process and one event loop, and a stopped one leaves no task, timer, thread or descriptor behind.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mqttbroker import systemd
from mqttbroker.access import Access
from mqttbroker.admin.log_lines import LogLines
from mqttbroker.admin.monitor import Monitor
from mqttbroker.broker import Authenticator, Authorizer, BrokerCore, Log
from mqttbroker.config import Config, check_exposure
from mqttbroker.entrances import admin_tls, make_listener, with_sockets
from mqttbroker.inprocess import LocalSubscription, local_message
from mqttbroker.listeners import Clock, Host, Listener
from mqttbroker.listeners.renewal import Renewal
from mqttbroker.logs import log_event, log_to_logging
from mqttbroker.protocol import NO_PROPERTIES, Properties
from mqttbroker.security import SecurityError
from mqttbroker.storage import MemoryStore, Store, StoreError
from mqttbroker.storage.lmdb import LmdbStore

if TYPE_CHECKING:
    from mqttbroker.admin.server import AdminServer
    from mqttbroker.certs import CertificateInfo
    from mqttbroker.listeners.tls import TlsFiles

__all__ = ["Broker", "serve"]

STOP_TIMEOUT = 5.0
"""Seconds in which clients may take what was written for them before a stopping broker cuts them off."""
SPARE_FILES = 100
"""Files that the broker has open besides its connections, at most."""
COLLECT_AFTER = (20_000, 5, 20)
"""Objects made and not gone after which the garbage collector looks at the young ones; how often it does so before it
looks at the older ones as well; and how often that before it looks at all.
"""
ADMIN = "admin server"
"""What the admin server is called among listeners that speak TLS."""


class Broker:
    """An MQTT broker for use inside an asyncio program.

    ``async with Broker(config) as broker:`` listens as configured; without a configuration on 127.0.0.1 port 1883,
    for anybody. Raises :class:`ConfigError`, :class:`SecurityError` or ``OSError`` on entering when it cannot run as
    configured.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        store: Store | None = None,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        log: Log | None = None,
        sockets: Mapping[str, list[socket.socket]] | None = None,
    ) -> None:
        """``sockets`` are sockets that listen already, by the name of the listener that takes them over."""
        self.config: Config = config or Config()
        self._sockets: Mapping[str, list[socket.socket]] = sockets or {}
        self._store: Store | None = store
        self._authenticator: Authenticator | None = authenticator
        self._authorizer: Authorizer | None = authorizer
        self._log: Log = log or log_to_logging
        if self.config.admin.enabled:
            self._log = LogLines(self._log)
        self._access: Access | None = None
        self._listeners: list[Listener] = []
        self._host: Host | None = None
        self._renewal: Renewal | None = None
        self.admin: AdminServer | None = None
        """The server of the HTTP API, while there is one."""
        self.monitor: Monitor | None = None
        """What is measured while the broker runs."""
        self._hurry: asyncio.Event = asyncio.Event()
        self.failed: asyncio.Event = asyncio.Event()
        """Set when the store has failed and the broker should stop; :attr:`failure` says why."""
        self.failure: Exception | None = None

    # Life.

    async def __aenter__(self) -> Broker:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the store and listen. Whatever fails leaves nothing open."""
        if self._host is not None:
            raise RuntimeError("the broker runs already")
        config = self.config
        if self._authenticator is None:
            check_exposure(config)
        loop = asyncio.get_running_loop()
        clock = Clock()
        self._hurry.clear()
        access = Access(config, self._authenticator, self._authorizer, loop, self._log)
        listeners = [make_listener(each, config, access, self._log) for each in config.listeners]
        of_admin = admin_tls(config, self._log)
        store = self._store or self._open_store(loop)
        try:
            core = BrokerCore(config.limits, store, access.authorizer, self._log, clock())
        except BaseException:
            store.close()
            raise
        self._access = access
        self._host = Host(core, clock, loop)
        named = [*((each.name, each.tls) for each in listeners), (ADMIN, of_admin)]
        self._renewal = Renewal(((name, tls) for name, tls in named if tls is not None), clock, self._log)
        self.monitor = Monitor(self, loop, self._log)
        try:
            for listener, settings in zip(listeners, config.listeners, strict=True):
                await self._listen(listener, settings.retry_bind)
            if config.admin.enabled:
                await self._start_admin(of_admin)
        except BaseException:
            await self.stop()
            raise
        self._host.start()
        self.monitor.start(clock())
        self._renewal.start(loop)

    async def _listen(self, listener: Listener, retry: bool) -> None:
        host = self._running
        self._listeners.append(listener)
        try:
            await listener.start(host, self._sockets.get(listener.name))
        except OSError as error:
            if not retry:
                raise
            self._log("warning", "trying again", reason=error.strerror)
            listener.start_later(host)
        for address, port in listener.addresses:
            where: dict[str, object] = {"host": address, "port": port} if port else {"socket": address}
            self._log("info", "listening", listener=listener.name, **where)

    async def _start_admin(self, tls: TlsFiles | None) -> None:
        # Only now, since it imports much that a broker without it has no use for.
        from mqttbroker.admin.server import AdminServer
        from mqttbroker.listeners.tls import lasting_context

        lines = self._log
        assert isinstance(lines, LogLines)
        self.admin = AdminServer(self, lines, None if tls is None else lasting_context(tls))
        await self.admin.start()

    def _open_store(self, loop: asyncio.AbstractEventLoop) -> Store:
        config = self.config
        if config.data_dir is None or config.durability == "none":
            return MemoryStore()

        def soon(function: Callable[[], None]) -> None:
            loop.call_soon(self._run_and_flush, function)

        def post(function: Callable[[], None]) -> None:
            # The store's thread may finish a commit that nobody waits for any more, after the loop is gone.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._run_and_flush, function)

        return LmdbStore(config.data_dir, soon, post, self._log, config.durability, self._store_failed)

    def _run_and_flush(self, function: Callable[[], None]) -> None:
        function()
        if self._host is not None:
            self._host.flush_soon()

    def _store_failed(self, error: Exception) -> None:
        self.failure = error
        self.failed.set()

    async def stop(self, timeout: float | None = None) -> None:
        """Stop in order: accept nothing, tell the clients, wait for them up to ``timeout`` seconds, close the store."""
        host = self._host
        if host is None:
            return
        if self.admin is not None:
            await self.admin.stop()
            self.admin = None
        for listener in self._listeners:
            await listener.stop()
        host.stopping = True
        host.core.shut_down(host.clock())
        host.core.flush()
        await self._wait_for_clients(host, STOP_TIMEOUT if timeout is None else timeout)
        host.stop()
        if self.monitor is not None:
            self.monitor.stop()
            self.monitor = None
        if self._renewal is not None:
            self._renewal.stop()
            self._renewal = None
        for carrier in list(host.carriers):
            carrier.abort()
        host.core.store.close()
        if self._access is not None:
            self._access.close()
            self._access = None
        self._listeners = []
        self._host = None

    # What is read again.

    def reload(self) -> bool:
        """Read users, rules, certificates, authorities, revocation lists and the accounts of the admin server again;
        false when some of them are wrong.

        Users and rules are replaced together, certificates listener by listener. Connections that are open stay, and
        are held to the new rules. What is wrong is logged, and what was there stays in force.
        """
        certificates = self._renewal is None or self._renewal.reload()
        accounts = self.admin is None or self.admin.reload()
        return self._reload_access() and accounts and certificates

    def _reload_access(self) -> bool:
        host = self._running
        assert self._access is not None
        try:
            self._access.reload()
        except SecurityError as error:
            self._log("error", "users and rules not replaced", reason=str(error))
            return False
        host.core.rules_changed()
        self._log("info", "users and rules read again")
        return True

    @property
    def certificates(self) -> dict[str, list[CertificateInfo]]:
        """The certificates that listeners and the admin server show, by name of listener: what is in them, and how
        long they are good.
        """
        return {} if self._renewal is None else self._renewal.certificates

    @property
    def connections(self) -> dict[str, int]:
        """Connections that are open, by name of listener."""
        return {each.name: each.entrance.connections for each in self._listeners}

    # The end.

    async def _wait_for_clients(self, host: Host, timeout: float) -> None:
        waits = [asyncio.ensure_future(host.idle()), asyncio.ensure_future(self._hurry.wait())]
        _, pending = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def hurry(self) -> None:
        """Let a :meth:`stop` that is under way wait no longer for clients."""
        self._hurry.set()

    # What a program asks of it.

    @property
    def core(self) -> BrokerCore:
        """The broker without its sockets. Raises ``RuntimeError`` when it is not running."""
        return self._running.core

    @property
    def access(self) -> Access:
        """Its users and rules. Raises ``RuntimeError`` when it is not running."""
        if self._access is None:
            raise RuntimeError("the broker is not running")
        return self._access

    @property
    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """Host and port by name of listener, as they are bound."""
        return {listener.name: listener.addresses for listener in self._listeners}

    @property
    def host(self) -> str:
        """The address of the first listener."""
        return self._listeners[0].addresses[0][0]

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self._listeners[0].addresses[0][1]

    def now(self) -> float:
        """Seconds since the epoch by the broker's clock, which never goes back."""
        return self._running.clock()

    def flush_soon(self) -> None:
        """Send what the core has written for clients, at the end of this turn of the loop."""
        self._running.flush_soon()

    @property
    def _running(self) -> Host:
        if self._host is None:
            raise RuntimeError("the broker is not running")
        return self._host

    async def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish a message from this program; at QoS 1 and 2 it is on disk for those it is kept for when this returns.

        Raises ``InvalidTopicName`` or ``InvalidPacket``.
        """
        host = self._running
        now = host.clock()
        data = payload.encode() if isinstance(payload, str) else payload
        host.core.publish_message(local_message(topic, data, qos, retain, properties, now), now)
        host.flush_soon()
        if qos and not host.core.store.settled:
            done: asyncio.Future[None] = host.loop.create_future()
            host.core.store.when_durable(lambda error: settle(done, error))
            await done

    def subscribe(self, topic_filter: str, qos: int = 2, max_waiting: int = 10_000) -> LocalSubscription:
        """Subscribe from this program: ``async for message in broker.subscribe("a/#")`` gives ``Publish`` packets.

        The subscription begins at once and lasts until it is closed, or the loop over it is left. When more than
        ``max_waiting`` messages wait for the program, the oldest is dropped and counted in ``dropped``.
        Raises ``InvalidTopicFilter``.
        """
        host = self._running
        return LocalSubscription(host.core, topic_filter, qos, max_waiting, host.clock())

    def advance_clock(self, seconds: float) -> None:
        """Let time pass at once for everything that is due on the broker's clock: for tests of what takes long."""
        host = self._running
        host.clock.advance(seconds)
        host.tick()


def settle(done: asyncio.Future[None], error: Exception | None) -> None:
    """End a future as the store says, unless nobody waits for it any more."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def serve(config: Config) -> None:
    """Run a broker until SIGTERM or SIGINT; the second of them ends it at once. SIGHUP reads users, rules and
    certificates again.

    Under systemd, take over the sockets that it has opened, and tell it how things stand. Raises what
    :meth:`Broker.start` raises, :class:`SystemdError`, and :class:`StoreError` when the store fails while it runs.
    """
    thresholds = gc.get_threshold()
    gc.disable()  # Until the broker runs: what it reads from its store stays.
    try:
        _run(_serve(config))
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        gc.enable()


async def _serve(config: Config) -> None:
    config, sockets = with_sockets(config, systemd.inherited_sockets())
    allow_connections(config.limits.max_connections)
    broker = Broker(config, log=log_event, sockets=sockets)
    stop = asyncio.Event()

    def told_to_stop() -> None:
        if stop.is_set():
            broker.hurry()
        stop.set()

    def told_to_reload() -> None:
        systemd.notify(*systemd.reloading())
        broker.reload()
        systemd.notify("READY=1")

    _on_signals({"SIGTERM": told_to_stop, "SIGINT": told_to_stop, "SIGHUP": told_to_reload})
    async with broker:
        collect_seldom()
        _log_what_is_ignored(broker)
        if broker.admin is not None:
            _show_console(broker.admin)
        systemd.notify("READY=1", f"STATUS=Listening at {', '.join(broker.addresses)}")
        watchdog = asyncio.ensure_future(_feed_watchdog())
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(broker.failed.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in (*waits, watchdog):
            wait.cancel()
        systemd.notify("STOPPING=1")
    if broker.failure is not None:
        raise StoreError(f"the store has failed: {broker.failure}. What was acknowledged is on disk; look at the disk")


def collect_seldom() -> None:
    """Let the garbage collector leave alone what is in memory now, and look at the rest less often (decision 14).

    It is the process's, so that only a program may do this, and no library.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


def _on_signals(handlers: Mapping[str, Callable[[], None]]) -> None:
    loop = asyncio.get_running_loop()
    for name, handler in handlers.items():
        # Windows has none of them for an event loop; there, Ctrl-C raises KeyboardInterrupt.
        with suppress(NotImplementedError, AttributeError):
            loop.add_signal_handler(getattr(signal, name), handler)


def _log_what_is_ignored(broker: Broker) -> None:
    """Exceptions that have nowhere to go are logged, and not written past the log. A stranger can cause some at will,
    by a server name in TLS that is none.
    """

    def log(ignored: sys.UnraisableHookArgs) -> None:
        core = broker.core
        core.quiet_log(core.now, "", "warning", "exception ignored", error=repr(ignored.exc_value))

    sys.unraisablehook = log


def _show_console(admin: AdminServer) -> None:
    """Tell people where the console is, and how to get in. It is not for the log, which is kept and read by others."""
    lines = [f"Console:  {admin.url}"]
    if admin.first_password is not None:
        where = admin.accounts_file or "in memory: there is another password after each start"
        lines += ["Account:  admin", f"Password: {admin.first_password}"]
        lines += ["", f"The password is shown only now. (Accounts: {where})"]
    print("", *(f"  {line}".rstrip() for line in lines), "", sep="\n", flush=True)


async def _feed_watchdog() -> None:
    interval = systemd.watchdog_interval()
    while interval is not None:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(interval)


def allow_connections(wanted: int) -> None:
    """Let this process open as many files as it has connections, as far as the system allows."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        enough = wanted + SPARE_FILES
        if soft != resource.RLIM_INFINITY and soft < enough:
            most = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            if most < enough:
                log_event("debug", "fewer connections than max_connections: the system allows few files", limit=most)


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform != "win32":
        with suppress(ImportError):
            import uvloop

            uvloop.run(main)
            return
    asyncio.run(main)
