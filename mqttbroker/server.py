"""A running broker: the core, its store, its listeners, in an asyncio program or as a process of its own.

:class:`Broker` is the library; :func:`serve` is what the command line runs. Nothing here is global: several brokers
may live in one process and one event loop, and a stopped one leaves no task, timer, thread or descriptor behind.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any

from mqttbroker.broker import Authenticator, Authorizer, BrokerCore, EveryoneWelcome, EverythingAllowed, Log
from mqttbroker.config import Config, ListenerConfig, check_exposure
from mqttbroker.inprocess import LocalSubscription, local_message
from mqttbroker.listeners import (
    Clock,
    Host,
    StreamListener,
    WebSocketSettings,
    tcp_listener,
    websocket_listener,
)
from mqttbroker.logs import log_event
from mqttbroker.protocol import NO_PROPERTIES, Properties
from mqttbroker.security import AccessList, PasswordAuthenticator, PasswordFile, ThreadOffload
from mqttbroker.storage import MemoryStore, Store, StoreError
from mqttbroker.storage.lmdb import LmdbStore

__all__ = ["Broker", "serve"]

STOP_TIMEOUT = 5.0
"""Seconds in which clients may take what was written for them before a stopping broker cuts them off."""


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
    ) -> None:
        self.config: Config = config or Config()
        self._store: Store | None = store
        self._authenticator: Authenticator | None = authenticator
        self._authorizer: Authorizer | None = authorizer
        self._log: Log = log or log_to_logging
        self._offload: ThreadOffload | None = None
        self._listeners: list[StreamListener] = []
        self._host: Host | None = None
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
        if self._authenticator is None:
            check_exposure(self.config)
        loop = asyncio.get_running_loop()
        clock = Clock()
        self._hurry.clear()
        authenticator = self._authenticator or self._make_authenticator(loop)
        authorizer = self._authorizer or self._make_authorizer()
        store = self._store or self._open_store(loop)
        try:
            core = BrokerCore(self.config.limits, store, authenticator, authorizer, self._log, clock())
        except BaseException:
            store.close()
            raise
        self._host = Host(core, clock, loop)
        try:
            for each in self.config.listeners:
                listener = _make_listener(each)
                await listener.start(self._host)
                self._listeners.append(listener)
                for host, port in listener.addresses:
                    self._log("info", "listening", listener=each.name, host=host, port=port)
        except BaseException:
            await self.stop()
            raise
        self._host.start()

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
        for listener in self._listeners:
            listener.stop()
        host.stopping = True
        host.core.shut_down(host.clock())
        host.core.flush()
        await self._wait_for_clients(host, STOP_TIMEOUT if timeout is None else timeout)
        host.stop()
        for carrier in list(host.carriers):
            carrier.abort()
        host.core.store.close()
        if self._offload is not None:
            self._offload.close()
            self._offload = None
        self._listeners = []
        self._host = None

    async def _wait_for_clients(self, host: Host, timeout: float) -> None:
        waits = [asyncio.ensure_future(host.idle()), asyncio.ensure_future(self._hurry.wait())]
        _, pending = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def hurry(self) -> None:
        """Let a :meth:`stop` that is under way wait no longer for clients."""
        self._hurry.set()

    def _make_authenticator(self, loop: asyncio.AbstractEventLoop) -> Authenticator:
        security = self.config.security
        if security.password_file is None:
            return EveryoneWelcome()
        self._offload = ThreadOffload(loop)
        return PasswordAuthenticator(PasswordFile.load(security.password_file), security.anonymous, self._offload)

    def _make_authorizer(self) -> Authorizer:
        security = self.config.security
        if security.acl_file is not None:
            return AccessList.load(security.acl_file)
        if security.password_file is None:
            return EverythingAllowed()
        self._log("warning", "no acl_file: with a password file and no rules, nobody may publish or subscribe")
        return AccessList([], "no acl_file")

    # What a program asks of it.

    @property
    def core(self) -> BrokerCore:
        """The broker without its sockets. Raises ``RuntimeError`` when it is not running."""
        return self._running.core

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


def _make_listener(config: ListenerConfig) -> StreamListener:
    if config.type == "websocket":
        settings = WebSocketSettings(config.path, config.origins, config.require_subprotocol)
        return websocket_listener(config.name, config.host, config.port, settings)
    return tcp_listener(config.name, config.host, config.port)


def settle(done: asyncio.Future[None], error: Exception | None) -> None:
    """End a future as the store says, unless nobody waits for it any more."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def serve(config: Config) -> None:
    """Run a broker until SIGTERM or SIGINT; the second of them ends it at once.

    Raises what :meth:`Broker.start` raises, and :class:`StoreError` when the store fails while it runs.
    """
    _run(_serve(config))


async def _serve(config: Config) -> None:
    broker = Broker(config, log=log_event)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told_to_stop(number: signal.Signals) -> None:
        if stop.is_set():
            broker.hurry()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has neither for an event loop; there, Ctrl-C raises KeyboardInterrupt.
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, told_to_stop, number)
    async with broker:
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(broker.failed.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    if broker.failure is not None:
        raise StoreError(f"the store has failed: {broker.failure}. What was acknowledged is on disk; look at the disk")


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform != "win32":
        with suppress(ImportError):
            import uvloop

            uvloop.run(main)
            return
    asyncio.run(main)


# Logs.

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def log_to_logging(level: str, event: str, /, **details: object) -> None:
    """The log of an embedded broker: the standard library's logger ``mqttbroker``."""
    logger = logging.getLogger("mqttbroker")
    number = _LEVELS[level]
    if logger.isEnabledFor(number):
        exception = details.pop("exception", None)
        words = " ".join(f"{key}={value!r}" for key, value in details.items())
        logger.log(number, "%s %s", event, words, exc_info=exception if isinstance(exception, Exception) else None)
