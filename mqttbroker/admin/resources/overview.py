"""The broker as a whole: what it is, how it is set up, and what it has counted."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from mqttbroker import __version__, is_compiled
from mqttbroker.admin.audit import Entry
from mqttbroker.admin.endpoint import PREFIX, Call, Output, endpoint
from mqttbroker.admin.monitor import Monitor
from mqttbroker.admin.problems import conflict
from mqttbroker.admin.resources.alarms import AlarmView, shown_alarms
from mqttbroker.broker import BrokerCore
from mqttbroker.config import ListenerConfig

__all__ = [
    "audit",
    "broker",
    "certificates",
    "configuration",
    "listeners",
    "reload_files",
]


class Messages(Output):
    """Totals since the start."""

    received: int
    """PUBLISH packets."""
    sent: int
    """PUBLISH packets."""
    received_bytes: int
    """Bytes of MQTT, all packets."""
    sent_bytes: int
    """Bytes of MQTT, all packets."""
    dropped: dict[str, int]
    """Messages that did not get to a session, by cause."""
    queued: int
    """Messages that sessions are owed at this time."""
    queued_bytes: int
    """Their bytes."""


class MemoryView(Output):
    """Memory of the process, in bytes."""

    used: int
    """Without the pages of files, such as the store's, which the system takes back when it wants them."""
    resident: int
    """With them."""
    ceiling: int
    """How much there may be; 0 where nobody knows."""
    ceiling_by: str
    """What sets the ceiling: ``control group``, ``resource limit`` or ``machine``."""


class StoreView(Output):
    """The store on disk, in bytes and seconds."""

    size: int
    """Of its files."""
    map: int
    """How large they can become before the map grows, which it does by itself."""
    used: int
    """Of the pages that hold something."""
    disk_free: int | None
    disk_size: int | None
    commits: int
    last_commit_age: float | None
    """``null`` before the first commit."""
    last_commit_latency: float | None
    mean_commit_latency: float | None
    """Since the start."""


class Lag(Output):
    """How much later than it should the broker came to its work, in seconds."""

    last: float
    mean: float
    """Since the start."""


class Overview(Output):
    """The broker at a glance."""

    version: str
    compiled: bool
    """Whether the path of a message is compiled."""
    now: float
    """The broker's clock, in seconds since the epoch."""
    started: float
    uptime: float
    """Seconds."""
    connections: int
    """Connections that are open."""
    sessions: int
    """Sessions, of clients that are connected and of those that are away."""
    subscriptions: int
    retained_messages: int
    counters: dict[str, int]
    """Totals since the start."""
    messages: Messages
    memory: MemoryView
    store: StoreView | None
    """``null`` where everything is in memory."""
    loop_lag: Lag
    alarms: list[AlarmView]
    """What is wrong at this time; what is critical first."""


class Address(Output):
    host: str
    """The path, where it is a Unix socket."""
    port: int


class ListenerView(Output):
    """A place where clients connect."""

    name: str
    type: str
    addresses: list[Address]
    tls: bool
    mount_point: str
    proxy_protocol: bool
    path: str
    """Of WebSocket; empty elsewhere."""
    client_certificates: str
    """Whether clients are asked for one: ``none``, ``optional`` or ``required``."""


class Listeners(Output):
    listeners: list[ListenerView]


class CertificateView(Output):
    """A certificate that a listener shows."""

    listener: str
    file: str
    subject: str
    issuer: str
    names: list[str]
    not_before: float
    not_after: float
    """When it runs out, in seconds since the epoch."""
    serial: str
    seconds_left: float
    """Negative where it has run out."""


class Certificates(Output):
    certificates: list[CertificateView]


class AuditEntries(Output):
    entries: list[Entry]
    """The newest first, since the broker was started."""


@endpoint("GET", f"{PREFIX}/broker", role="viewer", tag="broker", summary="The broker at a glance")
async def broker(call: Call[None, None]) -> Overview:
    context = call.context
    core, now = context.broker.core, context.broker.now()
    counters, monitor = core.counters, context.broker.monitor
    assert monitor is not None  # As long as the broker runs.
    return Overview(
        version=__version__,
        compiled=is_compiled(),
        now=now,
        started=context.started,
        uptime=now - context.started,
        connections=len(core.connections),
        sessions=len(core.registry.sessions),
        subscriptions=len(core.router),
        retained_messages=len(core.retained),
        counters={name: getattr(counters, name) for name in dir(counters) if name[0] != "_"},
        messages=_messages(core, monitor),
        memory=_memory(monitor),
        store=_store(monitor),
        loop_lag=_lag(monitor),
        alarms=shown_alarms(monitor),
    )


@endpoint("GET", f"{PREFIX}/listeners", role="viewer", tag="broker", summary="Where clients connect")
async def listeners(call: Call[None, None]) -> Listeners:
    running = call.context.broker
    return Listeners(listeners=[_listener(each, running.addresses) for each in running.config.listeners])


@endpoint("GET", f"{PREFIX}/config", role="admin", tag="broker", summary="The configuration in force")
async def configuration(call: Call[None, None]) -> dict[str, Any]:
    """Every key with its value, as in the file of the configuration, whether it was set or not."""
    shown = _plain(call.context.broker.config)
    assert isinstance(shown, dict)
    return shown


@endpoint("GET", f"{PREFIX}/certificates", role="viewer", tag="broker", summary="Certificates, and when they run out")
async def certificates(call: Call[None, None]) -> Certificates:
    running = call.context.broker
    now = running.now()
    shown = [
        CertificateView(
            listener=listener,
            file=str(each.file),
            subject=each.subject,
            issuer=each.issuer,
            names=list(each.names),
            not_before=each.not_before,
            not_after=each.not_after,
            serial=each.serial,
            seconds_left=each.not_after - now,
        )
        for listener, shown_there in running.certificates.items()
        for each in shown_there
    ]
    return Certificates(certificates=shown)


@endpoint("POST", f"{PREFIX}/reload", role="admin", tag="broker", summary="Read users, rules and certificates again")
async def reload_files(call: Call[None, None]) -> None:
    """As SIGHUP does. 409: some file is wrong, the log says which; what it had is still in force."""
    if not call.context.broker.reload():
        raise conflict("some file is wrong, and what it had is still in force; the log of the broker says which")


@endpoint("GET", f"{PREFIX}/audit", role="admin", tag="access", summary="Who has changed what lately")
async def audit(call: Call[None, None]) -> AuditEntries:
    """The last thousand changes since the start; the file of the audit log has all."""
    return AuditEntries(entries=call.context.audit.recent)


def _messages(core: BrokerCore, monitor: Monitor) -> Messages:
    counters, limits = core.counters, core.session_limits
    return Messages(
        received=counters.messages_received,
        sent=limits.messages_sent,
        received_bytes=counters.bytes_received,
        sent_bytes=counters.bytes_sent,
        dropped={cause.value: count for cause, count in limits.dropped.items()},
        queued=monitor.queues.depths.messages,
        queued_bytes=limits.owed_bytes,
    )


def _memory(monitor: Monitor) -> MemoryView:
    memory, ceiling = monitor.figures.memory, monitor.figures.ceiling
    return MemoryView(used=memory.own, resident=memory.resident, ceiling=ceiling.size, ceiling_by=ceiling.set_by)


def _store(monitor: Monitor) -> StoreView | None:
    store, disk = monitor.figures.store, monitor.figures.disk
    if store is None:
        return None
    latency = store.commits.latency
    commits = latency.count
    return StoreView(
        size=store.size,
        map=store.map,
        used=store.used,
        disk_free=None if disk is None else disk.free,
        disk_size=None if disk is None else disk.size,
        commits=commits,
        last_commit_age=store.commits.age,
        last_commit_latency=store.commits.last if commits else None,
        mean_commit_latency=latency.total / commits if commits else None,
    )


def _lag(monitor: Monitor) -> Lag:
    return Lag(last=monitor.last_lag, mean=monitor.lag.total / max(monitor.lag.count, 1))


def _listener(listener: ListenerConfig, addresses: Any) -> ListenerView:
    bound = addresses.get(listener.name, ())
    return ListenerView(
        name=listener.name,
        type=listener.type,
        addresses=[Address(host=host, port=port) for host, port in bound],
        tls=listener.tls is not None,
        mount_point=listener.mount_point or "",
        proxy_protocol=listener.proxy_protocol,
        path=listener.path if listener.type == "websocket" else "",
        client_certificates="none" if listener.tls is None else listener.tls.client_certificates,
    )


def _plain(value: object) -> object:
    """A configuration as JSON knows values. It names files with secrets, and holds none itself."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
