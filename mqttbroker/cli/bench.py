"""``mqttbroker bench``: how much a broker can do, this one or any other."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mqttbroker.bench import BenchError, Link, Result, Scenario, run
from mqttbroker.bench.connecting import connect_many
from mqttbroker.bench.process import cpu_clock, listener
from mqttbroker.cli.bench_output import connections_document, live, messages_document, report
from mqttbroker.cli.bench_target import make_link
from mqttbroker.cli.endpoint import ClientError, Endpoint
from mqttbroker.cli.failure import fail
from mqttbroker.cli.options import ConnectionOptions, check_name, wrong

__all__ = ["bench"]


class Shape(StrEnum):
    """Who publishes to whom."""

    PAIRS = "pairs"
    FANOUT = "fanout"
    FANIN = "fanin"
    OFFLINE = "offline"
    CONNECT = "connect"


_CLIENTS: Final = {Shape.PAIRS: (1, 1), Shape.FANOUT: (1, 100), Shape.FANIN: (100, 1), Shape.OFFLINE: (1, 1)}
_VERSIONS: Final = {"311": False, "3.1.1": False, "mqttv311": False, "5": True, "mqttv5": True}


def bench(
    shape: Annotated[
        Shape,
        typer.Argument(
            help="pairs: each publisher has its subscriber. fanout, fanin: all subscribers get all messages. "
            "offline: subscribers are away and come back for their messages. connect: connections alone.",
        ),
    ],
    host: Annotated[str | None, typer.Option("--host", "-h", help="The broker's host. (default: localhost)")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", min=1, max=65_535, help="Its port.")] = None,
    unix: Annotated[Path | None, typer.Option("--unix", "--socket", help="Path of the broker's Unix socket.")] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="mqtt://, mqtts://, ws:// or wss:// in the place of those."),
    ] = None,
    cafile: Annotated[Path | None, typer.Option("--cafile", help="Use TLS, and trust these authorities (PEM).")] = None,
    tls_use_os_certs: Annotated[
        bool, typer.Option("--tls-use-os-certs", help="Use TLS, and trust the authorities of the system.")
    ] = False,
    cert: Annotated[Path | None, typer.Option("--cert", help="Client certificate, a PEM file.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The client certificate's key, a PEM file.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check that the broker's certificate is for this host.")
    ] = False,
    username: Annotated[str | None, typer.Option("--username", "-u", help="User name.")] = None,
    password: Annotated[
        str | None, typer.Option("--pw", "-P", help="Password. Other users of this machine can see it while this runs.")
    ] = None,
    version: Annotated[str, typer.Option("--protocol-version", "-V", metavar="5|311", help="MQTT version.")] = "311",
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="How long it is measured.")] = 10.0,
    warm_up: Annotated[
        float | None, typer.Option("--warm-up", min=0, help="Seconds before that. (default: a fifth of it)")
    ] = None,
    messages: Annotated[
        int | None,
        typer.Option("--messages", min=1, help="Publish so many in all, with no warm-up; --seconds is the most."),
    ] = None,
    publishers: Annotated[int | None, typer.Option("--publishers", min=1, help="Those who publish.")] = None,
    subscribers: Annotated[int | None, typer.Option("--subscribers", min=1, help="Those who subscribe.")] = None,
    qos: Annotated[int, typer.Option("--qos", "-q", min=0, max=2, help="Quality of service.")] = 0,
    window: Annotated[
        int, typer.Option("--window", min=1, max=30_000, help="Messages under way for each publisher.")
    ] = 50,
    payload: Annotated[int, typer.Option("--payload", min=0, max=200_000_000, help="Bytes of a message.")] = 64,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.001, help="Publish so many a second in all, and tell how long they take."),
    ] = None,
    topic: Annotated[str, typer.Option("--topic", "-t", help="What all topics begin with.")] = "bench",
    slow_readers: Annotated[int, typer.Option("--slow-readers", min=0, help="Subscribers that do not keep up.")] = 0,
    slow_rate: Annotated[int, typer.Option("--slow-rate", min=0, help="Bytes a second that each of them reads.")] = 0,
    connections: Annotated[int, typer.Option("--connections", min=1, help="connect: how many.")] = 1_000,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=500, help="connect: so many at a time.")] = 50,
    hold: Annotated[float, typer.Option("--hold", min=0, help="connect: keep them for so many seconds.")] = 0.0,
    again: Annotated[int, typer.Option("--again", min=0, help="connect: cut all and let all come back, so often.")] = 0,
    processes: Annotated[int, typer.Option("--processes", min=1, max=64, help="Processes that make the load.")] = 1,
    pid: Annotated[int | None, typer.Option("--pid", min=1, help="The broker's process, for its CPU time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Put a load on a broker, this one or any other, and report what it did. Help is --help, since -h is the host."""
    version5 = _VERSIONS.get(version.lower())
    if version5 is None:
        wrong(f"expected 5 or 311, got {version!r}", "-V")
    check_name(topic, "--topic")
    options = ConnectionOptions(
        host=host,
        port=port,
        unix=unix,
        cafile=cafile,
        tls_use_os_certs=tls_use_os_certs,
        cert=cert,
        key=key,
        insecure=insecure,
        username=username,
        password=password,
        version=version,
    )
    try:
        endpoint, link = make_link(options, url)
    except ClientError as error:
        fail(error)
    pid, clock = _clock(pid, link)
    output = _Output(shape, pid, payload, as_json)
    if shape is Shape.CONNECT:
        settings: dict[str, Any] = {"connections": connections, "at_once": at_once, "hold": hold, "again": again}
        with _interrupts() as stop, _failures(endpoint), output.live("connections") as progress:
            rounds = asyncio.run(
                connect_many(
                    link,
                    connections,
                    at_once,
                    clock,
                    rate=rate,
                    hold=hold,
                    again=again,
                    version5=version5,
                    progress=progress,
                    stop=stop,
                )
            )
        output.show({**settings, "rate": rate, "version5": version5}, rounds, stop.is_set())
        return
    scenario = _scenario(
        shape, publishers, subscribers, qos=qos, window=window, payload=payload, version5=version5, topic=topic,
        slow_readers=slow_readers, slow_rate=slow_rate,
    )  # fmt: skip
    with _interrupts() as stop, _failures(endpoint), output.live("messages") as progress:
        result = asyncio.run(
            run(
                scenario,
                link,
                seconds,
                clock,
                rate,
                progress,
                warm_up=warm_up,
                messages=messages,
                processes=processes,
                stop=stop,
            )
        )
    settings = asdict(scenario)
    del settings["name"]
    output.show({**settings, "rate": rate, "processes": processes}, [result], stop.is_set())
    if messages is not None and not stop.is_set() and result.messages < messages * scenario.copies:
        fail(f"{messages * scenario.copies - result.messages} messages were not delivered in {seconds:g} s")


def _scenario(shape: Shape, publishers: int | None, subscribers: int | None, **settings: Any) -> Scenario:
    usual = _CLIENTS[shape]
    fan = shape in (Shape.FANOUT, Shape.FANIN)
    if not fan:
        if publishers and subscribers and publishers != subscribers:
            wrong("as many as --publishers, since they are pairs", "--subscribers")
        publishers = subscribers = publishers or subscribers
    if shape is Shape.OFFLINE:
        # Nothing is kept at QoS 0.
        settings["qos"] = settings["qos"] or 1
    return Scenario(
        shape.value,
        publishers or usual[0],
        subscribers or usual[1],
        fan=fan,
        persistent=shape is Shape.OFFLINE,
        **settings,
    )


def _clock(pid: int | None, link: Link) -> tuple[int | None, Any]:
    """The broker's process, if it is known, and how its CPU time is read."""
    wanted = pid
    pid = pid or listener(link.address)
    clock = cpu_clock(pid) if pid is not None else None
    if clock is None:
        if wanted is not None:
            fail(f"there is no process {wanted}, or it cannot be seen")
        return None, lambda: 0.0
    return pid, clock


@contextmanager
def _failures(endpoint: Endpoint) -> Iterator[None]:
    """What goes wrong becomes one line and an exit code."""
    try:
        yield
    except BenchError as error:
        fail(error)
    except TimeoutError:
        fail(f"cannot connect to {endpoint}: no answer in time")
    except OSError as error:
        why = endpoint.why(error)
        if endpoint.tls is not None and isinstance(error, ConnectionResetError) and not isinstance(error, ssl.SSLError):
            why = "the connection was closed during the TLS hand-shake (is this a port with TLS?)"
        fail(f"cannot connect to {endpoint}: {why}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """While this lasts, Ctrl-C sets the event; the second time it does what it always does."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Output:
    """Where results go."""

    def __init__(self, shape: Shape, pid: int | None, payload: int, as_json: bool) -> None:
        self._shape = shape.value
        self._pid = pid
        self._payload = payload
        self._as_json = as_json

    def live(self, noun: str) -> Any:
        """Show how it goes, on a terminal."""
        return live(not self._as_json and sys.stdout.isatty(), noun)

    def show(self, settings: dict[str, Any], results: list[Result], interrupted: bool) -> None:
        """Print the report."""
        if not self._as_json:
            typer.echo(report(self._shape, results, self._payload, self._pid, interrupted))
        else:
            document = (
                connections_document(settings, results, self._pid, interrupted)
                if self._shape == Shape.CONNECT.value
                else messages_document(self._shape, settings, results[0], self._payload, self._pid, interrupted)
            )
            typer.echo(json.dumps(document, indent=2))
        if interrupted:
            raise typer.Exit(130)
