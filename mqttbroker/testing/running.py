"""A broker in a thread of its own, so that synchronous and asynchronous tests use it alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from mqttbroker.broker import Authenticator, Authorizer, Limits
from mqttbroker.config import Config, ListenerConfig, SysConfig
from mqttbroker.protocol import NO_PROPERTIES, Properties
from mqttbroker.server import Broker
from mqttbroker.storage import Store

__all__ = ["RunningBroker"]

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds in which a broker must have started, stopped, or answered."""


class RunningBroker:
    """A broker on a free port of the loopback interface, in its own thread and event loop.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`. Log lines are kept in ``logged``.
    ``loop_factory`` makes the event loop, as ``uvloop.new_event_loop`` does; ``None``: the one that asyncio chooses.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        config: Config | None = None,
        store: Store | None = None,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        # Tests are seldom about $SYS topics, and see no others than their own.
        self.config: Config = config or Config(
            listeners=(ListenerConfig(port=0),), limits=limits or Limits(), sys=SysConfig(interval=0)
        )
        self.logged: list[tuple[str, str, dict[str, object]]] = []
        """Level, event and details of every line that the broker has logged."""
        self._make: Callable[[], Broker] = lambda: Broker(
            self.config, store=store, authenticator=authenticator, authorizer=authorizer, log=self._log
        )
        self._loop_factory = loop_factory
        self._broker: Broker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.host: str = ""
        self.port: int = 0

    def start(self) -> RunningBroker:
        """Start, and return when clients can connect. Raises what :meth:`Broker.start` raises."""
        started: list[BaseException | None] = []
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: self._run(self._main(ready, started)), name="mqttbroker", daemon=True
        )
        self._thread.start()
        if not ready.wait(TIMEOUT):
            raise TimeoutError("the broker has not started")
        error = started[0]
        if error is not None:
            self._thread.join(TIMEOUT)
            raise error
        return self

    def _run(self, main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(main)

    async def _main(self, ready: threading.Event, started: list[BaseException | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        broker = self._make()
        try:
            await broker.start()
        except BaseException as error:
            started.append(error)
            ready.set()
            return
        self._broker = broker
        self.host, self.port = broker.host, broker.port
        started.append(None)
        ready.set()
        await self._stop.wait()
        await broker.stop()
        self._broker = None

    def stop(self) -> None:
        """Stop as on SIGTERM, and wait for it. No error when it is not running."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(self._stop.set)
        thread.join(TIMEOUT)
        if thread.is_alive():
            raise TimeoutError("the broker has not stopped")
        self._thread = None

    def __enter__(self) -> RunningBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def broker(self) -> Broker:
        """The broker. It belongs to another thread: use :meth:`call` for all but reading a number."""
        if self._broker is None:
            raise RuntimeError("the broker is not running")
        return self._broker

    @property
    def url(self) -> str:
        """Where it listens, as ``mqtt://127.0.0.1:54321``."""
        return f"mqtt://{self.host}:{self.port}"

    def call(self, function: Callable[[Broker], T]) -> T:
        """Run a function with the broker in the broker's thread, and return what it returns."""

        async def run() -> T:
            return function(self.broker)

        return self._wait(run())

    def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish a message as :meth:`Broker.publish` does."""
        self._wait(self.broker.publish(topic, payload, qos, retain, properties))

    def advance(self, seconds: float) -> None:
        """Let time pass for everything that is due on the broker's clock: keep-alive, expiry, delayed wills."""

        def pass_time(broker: Broker) -> None:
            broker.advance_clock(seconds)

        self.call(pass_time)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT)

    def _log(self, level: str, event: str, /, **details: object) -> None:
        self.logged.append((level, event, details))
