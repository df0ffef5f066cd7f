"""What Prometheus is told: names by its conventions, labels from sets that do not grow with clients or topics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from mqttbroker import __version__, is_compiled
from mqttbroker.admin.alarms import KINDS
from mqttbroker.admin.context import Administered
from mqttbroker.admin.health import not_ready
from mqttbroker.admin.monitor import Monitor
from mqttbroker.broker import BrokerCore
from mqttbroker.distribution import Distribution

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(broker: Administered) -> bytes:
    """The text that Prometheus reads, with the figures of this moment."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Collector(broker))
    return generate_latest(registry)


class _Collector:
    def __init__(self, broker: Administered) -> None:
        self._broker = broker

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        broker = self._broker
        core = broker.core
        info = GaugeMetricFamily("mqttbroker_build_info", "The build that runs.", labels=("version", "compiled"))
        info.add_metric((__version__, str(is_compiled()).lower()), 1)
        yield info
        yield _gauge("ready", "Whether clients can be served.", not not_ready(broker))
        yield from _connections(core)
        yield from _listeners(broker)
        yield from _messages(core)
        yield from _kept(broker)
        if broker.monitor is not None:
            yield from _measured(broker.monitor)
            yield from _machine(broker.monitor)


def _connections(core: BrokerCore) -> Iterator[Metric]:
    counters = core.counters
    online = len(core.registry.online)
    sessions = GaugeMetricFamily(
        "mqttbroker_sessions", "Sessions, by whether a client is connected.", labels=("state",)
    )
    sessions.add_metric(("connected",), online)
    sessions.add_metric(("away",), len(core.registry.sessions) - online)
    yield sessions
    yield _gauge("connections", "Open connections, with and without a session.", core.gate.connections)
    yield _counter("connections_accepted", "Connections that were let in.", counters.connections_accepted)
    yield _counter("connections_refused", "Connections, and CONNECT, that were refused.", counters.connections_refused)
    yield _counter("clients_connected", "CONNECT packets that were accepted.", counters.clients_connected)
    yield _counter("takeovers", "Connections ended by another with their client identifier.", counters.takeovers)
    yield _counter("sessions_expired", "Sessions whose time has run out.", counters.sessions_expired)
    denied = CounterMetricFamily("mqttbroker_denied", "What rules have refused.", labels=("action",))
    denied.add_metric(("publish",), counters.publish_denied)
    denied.add_metric(("subscribe",), counters.subscribe_denied)
    yield denied


def _listeners(broker: Administered) -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "mqttbroker_listener_connections", "Open connections, by listener.", labels=("listener",)
    )
    for name, count in broker.connections.items():
        connections.add_metric((name,), count)
    yield connections
    expiry = GaugeMetricFamily(
        "mqttbroker_certificate_expiry_timestamp_seconds",
        "When the first of a listener's certificates runs out, since the epoch.",
        labels=("listener",),
    )
    for name, certificates in broker.certificates.items():
        if certificates:
            expiry.add_metric((name,), min(each.not_after for each in certificates))
    yield expiry


def _messages(core: BrokerCore) -> Iterator[Metric]:
    counters, limits = core.counters, core.session_limits
    packets = counters.messages_received + counters.other_packets_received
    yield _counter("packets_received", "Packets of every type.", packets)
    yield _counter("packets_sent", "Packets of every type.", counters.packets_sent)
    yield _counter("packets_malformed", "Packets that have ended their connection.", counters.packets_malformed)
    yield _counter("messages_received", "PUBLISH packets.", counters.messages_received)
    yield _counter("messages_sent", "PUBLISH packets.", limits.messages_sent)
    yield _counter("messages_unrouted", "Messages to which nobody was subscribed.", counters.messages_unrouted)
    yield _counter("message_received_bytes", "Bytes of whole PUBLISH packets.", counters.message_bytes_received)
    yield _counter("message_sent_bytes", "Bytes of whole PUBLISH packets.", limits.message_bytes_sent)
    yield _counter("received_bytes", "Bytes of MQTT, without TLS and WebSocket.", counters.bytes_received)
    yield _counter("sent_bytes", "Bytes of MQTT, without TLS and WebSocket.", counters.bytes_sent)
    yield _counter("wills_published", "Wills that were published.", counters.wills_published)
    dropped = CounterMetricFamily(
        "mqttbroker_messages_dropped", "Messages that did not get to a session.", labels=("cause",)
    )
    for cause, count in limits.dropped.items():
        dropped.add_metric((cause.value,), count)
    yield dropped


def _kept(broker: Administered) -> Iterator[Metric]:
    core = broker.core
    yield _gauge("subscriptions", "Subscriptions; a shared one counts once.", len(core.router))
    yield _gauge("shared_subscription_members", "Members of all shared subscriptions.", core.router.members)
    yield _gauge("retained_messages", "Retained messages.", len(core.retained))
    yield _gauge("retained_bytes", "Bytes of retained messages.", core.retained.size)
    yield _gauge("queued_bytes", "Bytes that sessions are owed.", core.session_limits.owed_bytes)
    yield _gauge("store_accepting", "Whether the store has room.", core.store.accepting)
    yield _gauge("store_congested", "Whether much waits to be written.", core.store.congested)
    directory = broker.config.data_dir
    if directory is not None:
        size = sum(each.stat().st_size for each in directory.glob("*.mdb"))
        yield _gauge("store_size_bytes", "Bytes of the store's files.", size)


def _measured(monitor: Monitor) -> Iterator[Metric]:
    yield _gauge("start_time_seconds", "When the broker was started, since the epoch.", monitor.started)
    depths = monitor.queues.depths
    yield _gauge("queued_messages", "Messages that sessions are owed, in flight ones too.", depths.messages)
    yield _gauge("inflight_messages", "Messages sent to clients and not acknowledged.", depths.inflight)
    yield _gauge("queued_sessions", "Sessions that are owed anything.", depths.sessions)
    yield _gauge("longest_queue_messages", "What the session that is owed most is owed.", depths.longest)
    yield _histogram(
        "event_loop_lag_seconds", "How late the event loop came to what was due, looked at once a second.", monitor.lag
    )
    alarms = GaugeMetricFamily("mqttbroker_alarms", "What is wrong at this time, by kind.", labels=("alarm",))
    for kind in KINDS:
        alarms.add_metric((kind,), monitor.alarms.count(kind))
    yield alarms


def _machine(monitor: Monitor) -> Iterator[Metric]:
    figures = monitor.figures
    yield _gauge("memory_bytes", "Memory of the process, without the pages of files.", figures.memory.own)
    yield _gauge("memory_ceiling_bytes", "How much there may be; 0 if nobody knows.", figures.ceiling.size)
    if figures.disk is not None:
        yield _gauge("disk_free_bytes", "Bytes free where the data directory is.", figures.disk.free)
        yield _gauge("disk_size_bytes", "Bytes of the file system where the data directory is.", figures.disk.size)
    store = figures.store
    if store is not None:
        yield _gauge("store_map_bytes", "How large the store can become before its map grows.", store.map)
        yield _gauge("store_used_bytes", "Bytes of the store's pages that hold something.", store.used)
        yield _histogram("commit_seconds", "How long the store's commits take.", store.commits.latency)
        if store.commits.age is not None:
            yield _gauge("last_commit_age_seconds", "How long ago the store's last commit was.", store.commits.age)


def _histogram(name: str, text: str, found: Distribution) -> Metric:
    histogram = HistogramMetricFamily(f"mqttbroker_{name}", text)
    bounds = [*map(str, found.bounds), "+Inf"]
    histogram.add_metric((), list(zip(bounds, accumulate(found.counts), strict=True)), found.total)
    return histogram


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"mqttbroker_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"mqttbroker_{name}", text, value=value)
