"""The admin server: a socket, uvicorn's HTTP protocol on it, and the application, in the broker's own event loop.

uvicorn's ``Server`` is left aside: it wants the process's signals, wakes up ten times a second, and sets up logging.
Its protocol, which does the HTTP, needs none of that.

The life of a server: :meth:`AdminServer.start`, :meth:`AdminServer.stop`. What is under way when it stops has a moment
to finish, then it is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any, Final, cast

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from mqttbroker.admin import pages
from mqttbroker.admin.accounts import Accounts, accounts_path
from mqttbroker.admin.app import App
from mqttbroker.admin.audit import AuditLog
from mqttbroker.admin.backups import BACKUP_DIR, Backups
from mqttbroker.admin.context import Administered, Context
from mqttbroker.admin.endpoint import Endpoint, collect
from mqttbroker.admin.feed import Feed
from mqttbroker.admin.guard import Guard
from mqttbroker.admin.local_token import LocalTokenFile
from mqttbroker.admin.log_lines import LogLines
from mqttbroker.admin.login import Login
from mqttbroker.admin.offload import Offload
from mqttbroker.admin.openapi import describe
from mqttbroker.admin.problems import PROBLEM_TYPE, bad_request
from mqttbroker.admin.resources import (
    access,
    account,
    alarms,
    backups,
    clients,
    configuration,
    description,
    events,
    history,
    limits,
    log,
    monitoring,
    overview,
    publish,
    retained,
    rules,
    sessions,
    subscriptions,
    topics,
    trace,
    users,
)
from mqttbroker.admin.watching import Watches
from mqttbroker.broker import Inspection, Log, Steering
from mqttbroker.config import is_loopback
from mqttbroker.security import SecurityError

__all__ = ["AdminServer", "endpoints"]

AUDIT_FILE: Final = "admin-audit.jsonl"
MOST_CONNECTIONS: Final = 200
HEADERS_TIMEOUT: Final = 10.0
"""Seconds in which the headers of a request must have come."""
MOST_HEADER_BYTES: Final = 16_384
STOP_TIMEOUT: Final = 1.0
"""Seconds in which requests may be finished when the server stops."""
RESOURCES: Final = (
    description,
    account,
    overview,
    history,
    alarms,
    log,
    limits,
    configuration,
    backups,
    clients,
    sessions,
    subscriptions,
    topics,
    retained,
    publish,
    events,
    trace,
    monitoring,
    access,
    users,
    rules,
)


def endpoints() -> list[Endpoint]:
    """All endpoints of the API."""
    return collect(RESOURCES)


class AdminServer:
    """The admin server of one broker.

    Raises :class:`SecurityError` where the accounts cannot be used, from the start; ``OSError`` where it cannot listen.
    """

    def __init__(self, broker: Administered, log: LogLines, tls: ssl.SSLContext | None = None) -> None:
        """Without ``tls`` it speaks plain HTTP."""
        self._tls = tls
        self._settings = broker.config.admin
        self._log: Log = log
        self._offload = Offload()
        accounts_file, audit_file = self._files(broker.config.data_dir)
        self._accounts = Accounts(accounts_file)
        self._feed = Feed()
        self._watches = Watches()
        self._backups = _backups(broker, log)
        self._login = Login(self._accounts, broker.now)
        self._events = broker.core.events
        self._tracing = broker.core.tracing
        data_dir = broker.config.data_dir
        self._local_token = None if data_dir is None else LocalTokenFile(data_dir, log)
        listed = endpoints()
        context = Context(
            broker=broker,
            log=log,
            accounts=self._accounts,
            login=self._login,
            audit=AuditLog(audit_file, log, self._offload),
            offload=self._offload,
            started=broker.now(),
            inspection=Inspection(broker.core),
            steering=Steering(broker.core),
            feed=self._feed,
            lines=log,
            backups=self._backups,
            watches=self._watches,
            description=describe(listed),
        )
        ports = [
            port for each in broker.config.listeners if each.type == "websocket" for port in _ports(broker, each.name)
        ]
        self.app: App = App(context, Guard(self._names(), ports), listed, pages.Pages.read(pages.BUILT))
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    def _files(self, data_dir: Path | None) -> tuple[Path | None, Path | None]:
        accounts = accounts_path(self._settings, data_dir)
        audit = self._settings.audit_file
        if audit is None and accounts is not None:
            audit = accounts.with_name(AUDIT_FILE)
        return accounts, audit

    def _names(self) -> list[str]:
        return [*self._settings.trusted_hosts, self._settings.host]

    async def start(self) -> None:
        """Listen."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        )
        config.load()
        try:
            self._server = await loop.create_server(
                lambda: _Protocol(config, self._state, {}),
                settings.host,
                settings.port,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HEADERS_TIMEOUT,
            )
        except OSError as error:
            reason = f"the admin server cannot listen on {settings.host} port {settings.port}: {error.strerror}"
            raise OSError(error.errno, reason) from error
        if self.first_password is not None:
            # Not before, or it would be kept and never have been shown.
            self._accounts.save()
        self._events.listen(self._feed.tell)
        if self._local_token is not None:
            self._local_token.write(self._accounts.make_local_token(), *self.address, scheme=self._scheme)
        self._log("info", "admin server listening", url=self.url)
        if not is_loopback(settings.host) and self._tls is None:
            self._log("warning", "the admin server speaks plain HTTP, and others reach its address", url=self.url)

    def reload(self) -> bool:
        """Read the accounts again, if their file was written by somebody else; false where it is wrong. Sessions end
        of those whose password or role is another.
        """
        try:
            changed = self._accounts.reload()
        except SecurityError as error:
            self._log("error", "accounts of the admin server not replaced", reason=str(error))
            return False
        for name in changed:
            self._login.close_all(name)
        if changed:
            self._log("info", "accounts of the admin server read again", changed=len(changed))
        return True

    @property
    def url(self) -> str:
        """Where browsers find it."""
        host, port = self.address
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def _scheme(self) -> str:
        return "http" if self._tls is None else "https"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as they are bound. Raises ``RuntimeError`` when it does not listen."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the admin server does not listen")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    @property
    def first_password(self) -> str | None:
        """The password of the account ``admin``, where it was made just now."""
        return self._accounts.first_password

    @property
    def accounts_file(self) -> Path | None:
        """Where the accounts are."""
        return self._accounts.path

    async def stop(self) -> None:
        """Stop: nobody comes in any more, what is under way may be finished, the rest is cut off."""
        if self._local_token is not None:
            self._local_token.remove()
        if self._server is not None:
            self._server.close()
        self._events.unlisten(self._feed.tell)
        self._feed.close()
        self._tracing.end_all("stopped")
        self._watches.close()
        for connection in list(self._state.connections):
            if isinstance(connection, _Protocol):
                connection.finish()
        if self._state.tasks:
            _, unfinished = await asyncio.wait(self._state.tasks, timeout=STOP_TIMEOUT)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        for connection in list(self._state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        self._backups.close()
        self._offload.close()


def _backups(broker: Administered, log: Log) -> Backups:
    """Of the store on disk, where there is one."""
    config = broker.config
    if config.data_dir is None or config.durability == "none":
        return Backups(None, None, log)
    return Backups(config.data_dir, config.admin.backup_dir or config.data_dir / BACKUP_DIR, log)


def _ports(broker: Administered, listener: str) -> list[int]:
    return [port for _, port in broker.addresses.get(listener, ()) if port]


# Failures of the application itself; what strangers send in place of HTTP is no matter for the log.
_http_log = logging.getLogger("mqttbroker.admin.http")
_http_log.setLevel(logging.ERROR)


_NOT_UNDERSTOOD: Final = bad_request(f"expected HTTP, and at most {MOST_HEADER_BYTES} bytes of headers")


class _Protocol(H11Protocol):
    """One connection."""

    def __init__(self, config: uvicorn.Config, state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, state, app_state)
        self.logger = _http_log
        self.access_log = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are enough."""
        # uvloop's are none by their class.
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read, and see to it that a request that has begun comes to the end of its headers."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too much of it, in the way of all other problems: no application sees it."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = msgspec.json.encode(_NOT_UNDERSTOOD.body())
            headers = {**Guard([]).headers({}), "Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
            headers |= {"Content-Length": str(len(body)), "Connection": "close"}
            answer = h11.Response(status_code=400, reason=b"Bad Request", headers=list(headers.items()))
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go."""
        super().connection_lost(exc)
        self._rest()

    def finish(self) -> None:
        """Close the connection, after the answer to a request that is there."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _watch(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if not waiting or self.transport.is_closing():
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_TIMEOUT, self.transport.abort)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
