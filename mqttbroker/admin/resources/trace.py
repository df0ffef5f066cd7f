"""Packets of a client, of a topic or from an address, as they come.

A trace begins with the request and ends with it: when its time is over, when it has found as many packets as were asked
for, when somebody stops it, or when its reader leaves. The audit log tells who has traced whom.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, allows, endpoint
from mqttbroker.admin.ids import path_id, session_id
from mqttbroker.admin.problems import Problem, bad_request, not_found
from mqttbroker.admin.traces import Begin, End, Line, line, shown_network
from mqttbroker.broker import Found, Target, TooManyTraces, Trace, network_of
from mqttbroker.topics import InvalidTopicFilter, check_topic_filter, split_share

__all__ = ["TraceStream", "stop_trace", "trace", "traces"]

LONGEST: Final = 3_600
"""Seconds for which a trace goes on, at most."""
QUIET: Final = 15.0
"""Seconds without a packet after which a comment shows that the stream lives, and its reader is asked for again."""
FAREWELL: Final = 1.0
"""Seconds in which the reader may take the last line."""
AT_ONCE: Final = 200
"""Lines that are written before others have their turn."""
JSON_LINES: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"

_encoder: Final = msgspec.json.Encoder()


class TraceQuery(Input):
    """What to trace, just one of the first three, and for how long."""

    client: Annotated[str | None, Meta(description="The ``id`` of a client, connected or not.")] = None
    topic: Annotated[str | None, Meta(description="A topic filter; all connections are read along for it.")] = None
    address: Annotated[str | None, Meta(description="An IP address, or a network: ``192.0.2.0/24``.")] = None
    seconds: Annotated[int, Meta(ge=1, le=LONGEST)] = 300
    packets: Annotated[int, Meta(ge=1, le=1_000_000, description="How many packets, at most.")] = 10_000
    payload: Annotated[int, Meta(ge=0, le=65_536, description="Bytes shown of each payload; 0 for none.")] = 256
    format: Annotated[
        Literal["sse", "jsonl"] | None,
        Meta(description="Server-sent events or JSON lines, where ``Accept`` does not say it."),
    ] = None
    download: Annotated[bool, Meta(description="Whether a browser keeps it as a file.")] = False


class Running(Output):
    """A trace that is under way."""

    number: int
    who: str
    began: float
    ends_at: float
    seen: int
    """Packets so far."""
    client: str | None
    topic: str | None
    address: str | None


class Traces(Output):
    traces: list[Running]


@endpoint("GET", f"{PREFIX}/trace", role="admin", tag="trace", summary="Packets as they come", media_type=EVENT_STREAM)
async def trace(call: Call[TraceQuery, None]) -> Response:
    """Server-sent events, or JSON lines. The type of an event is the ``kind`` of its data: ``begin``, ``packet``,
    ``closed``, ``lost``, and at last ``end``. Passwords and authentication data are never shown.
    """
    query, broker = call.query, call.context.broker
    target = _target(query)
    arrived = asyncio.Event()
    who = "" if call.who is None else call.who.name
    now = broker.now()
    begun = Trace(target, now, now + query.seconds, query.packets, query.payload, arrived.set, who)
    try:
        broker.core.tracing.begin(begun)
    except TooManyTraces as error:
        raise Problem(503, str(error), headers={"Retry-After": "30"}) from error
    try:
        await call.context.audit.record(trace, call, 200)
    except BaseException:
        broker.core.tracing.end(begun, "failed")
        raise
    return TraceStream(begun, call, arrived)


@endpoint("GET", f"{PREFIX}/traces", role="admin", tag="trace", summary="Traces that are under way")
async def traces(call: Call[None, None]) -> Traces:
    """There may be eight at once."""
    return Traces(traces=[_shown(each) for each in call.context.broker.core.tracing.traces])


@endpoint("DELETE", f"{PREFIX}/traces/{{number}}", role="admin", tag="trace", summary="Stop a trace")
async def stop_trace(call: Call[None, None]) -> None:
    """Its reader gets the line ``end`` with the reason ``stopped``."""
    tracing = call.context.broker.core.tracing
    for each in tracing.traces:
        if str(each.number) == call.path["number"]:
            call.changed(before=_shown(each))
            tracing.end(each, "stopped")
            return
    raise not_found("such trace")


def _target(query: TraceQuery) -> Target:
    given = [each for each in (query.client, query.topic, query.address) if each is not None]
    if len(given) != 1:
        raise bad_request("expected just one of client, topic and address", "$.client")
    if query.client is not None:
        known = session_id(query.client)
        if not known:
            raise bad_request("expected a client identifier", "$.client")
        return Target(client=known)
    if query.topic is not None:
        try:
            check_topic_filter(query.topic)
            shared = bool(split_share(query.topic)[0])
        except InvalidTopicFilter as error:
            raise bad_request(str(error), "$.topic") from error
        if shared:
            raise bad_request("expected the filter without $share and the name of the group", "$.topic")
        return Target(topic_filter=query.topic)
    try:
        return Target(network=network_of(given[0]))
    except ValueError:
        raise bad_request("expected an IP address, or a network such as 192.0.2.0/24", "$.address") from None


def _shown(trace: Trace) -> Running:
    target = trace.target
    return Running(
        number=trace.number,
        who=trace.who,
        began=trace.began,
        ends_at=trace.ends_at,
        seen=trace.seen,
        client=None if target.client is None else path_id(target.client),
        topic=target.topic_filter,
        address=None if target.network is None else shown_network(target.network),
    )


class TraceStream(Response):
    """An answer that goes on until the trace has ended or its reader has left."""

    def __init__(self, trace: Trace, call: Call[TraceQuery, None], arrived: asyncio.Event) -> None:
        wants = call.query.format or ("jsonl" if JSON_LINES in call.headers.get("accept", "") else "sse")
        self._events: bool = wants == "sse"
        super().__init__(headers={"X-Accel-Buffering": "no"}, media_type=EVENT_STREAM if self._events else JSON_LINES)
        del self.headers["content-length"]
        if call.query.download:
            when = datetime.fromtimestamp(trace.began, UTC).strftime("%Y%m%d-%H%M%S")
            self.headers["Content-Disposition"] = f'attachment; filename="trace-{when}.jsonl"'
        self._trace = trace
        self._call = call
        self._arrived = arrived
        self._begun: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send lines until it ends in one way or another."""
        context, trace = self._call.context, self._trace
        reason = "disconnected by reader"
        try:
            streaming = asyncio.ensure_future(self._stream(send))
            leaving = asyncio.ensure_future(_left(receive))
            try:
                await asyncio.wait((streaming, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in (streaming, leaving):
                    way.cancel()
                await asyncio.gather(streaming, leaving, return_exceptions=True)
            if not streaming.cancelled():
                streaming.result()  # Raises what went wrong.
        finally:
            context.broker.core.tracing.end(trace, reason)
            context.log("info", "trace ended", who=trace.who, reason=trace.ended, packets=trace.seen)

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        context, trace = self._call.context, self._trace
        await self._write(send, [_begin(trace)])
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        while not trace.ended:
            found = trace.take()
            if not found:
                self._arrived.clear()
                left = trace.ends_at - context.broker.now()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._arrived.wait(), max(min(QUIET, left), 0.0))
                if context.broker.now() >= trace.ends_at:
                    context.broker.core.tracing.end(trace, "time")
            await self._write_found(send, found)
            if loop.time() >= asked_at + QUIET:
                asked_at = loop.time()
                if not self._may_go_on():
                    context.broker.core.tracing.end(trace, "login")
                elif not found and self._events:
                    await send({"type": "http.response.body", "body": b": nothing\n\n", "more_body": True})
        await self._write_found(send, trace.take())
        last = End(time=context.broker.now(), reason=trace.ended, packets=trace.seen)
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await send({"type": "http.response.body", "body": self._written(last), "more_body": False})

    async def _write_found(self, send: Send, found: list[Found]) -> None:
        preview = self._trace.preview
        for at in range(0, len(found), AT_ONCE):
            await self._write(send, [line(each, preview) for each in found[at : at + AT_ONCE]])
            await asyncio.sleep(0)

    async def _write(self, send: Send, lines: list[Line]) -> None:
        body = b"".join(map(self._written, lines))
        await send({"type": "http.response.body", "body": body, "more_body": True})

    def _written(self, shown: Line) -> bytes:
        data = _encoder.encode(shown)
        if not self._events:
            return data + b"\n"
        return b"event: %s\ndata: %s\n\n" % (str(shown.__struct_config__.tag).encode(), data)

    def _may_go_on(self) -> bool:
        """Whether whoever began may still look on. A stream alone does not keep a session from ending."""
        with suppress(Problem):
            who = self._call.context.login.authenticate(self._call.headers, counts=False)
            return allows(who.role, "admin")
        return False


def _begin(trace: Trace) -> Begin:
    shown = _shown(trace)
    return Begin(
        time=trace.began,
        client=shown.client,
        topic=shown.topic,
        address=shown.address,
        ends_at=trace.ends_at,
        packets=trace.packets,
        payload=trace.preview,
    )


async def _left(receive: Receive) -> None:
    """Wait until the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
