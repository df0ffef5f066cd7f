"""For monitoring systems: figures for Prometheus, and, for everybody, whether the broker is alive and ready."""

from __future__ import annotations

import msgspec
from starlette.responses import PlainTextResponse, Response

from mqttbroker.admin.endpoint import Call, Output, endpoint
from mqttbroker.admin.health import not_ready
from mqttbroker.admin.metrics import CONTENT_TYPE, render

__all__ = ["health", "metrics", "readiness"]


class Readiness(Output):
    """Whether clients can be served."""

    ready: bool
    reasons: list[str]
    """Why not."""


@endpoint(
    "GET", "/healthz", role=None, tag="monitoring", summary="Whether the broker is alive", media_type="text/plain"
)
async def health(call: Call[None, None]) -> Response:
    """An answer at all says so."""
    return PlainTextResponse("ok\n")


@endpoint("GET", "/readyz", role=None, tag="monitoring", summary="Whether the broker can serve clients, and why not")
async def readiness(call: Call[None, None]) -> Response:
    """200 where it can, 503 where it cannot."""
    reasons = not_ready(call.context.broker)
    body = msgspec.json.encode(Readiness(ready=not reasons, reasons=reasons))
    return Response(body, 503 if reasons else 200, media_type="application/json")


@endpoint("GET", "/metrics", role="viewer", tag="monitoring", summary="Figures for Prometheus", media_type="text/plain")
async def metrics(call: Call[None, None]) -> Response:
    """The text format 0.0.4."""
    return Response(render(call.context.broker), headers={"Content-Type": CONTENT_TYPE})
