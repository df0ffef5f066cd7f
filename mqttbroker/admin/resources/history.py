"""How the broker's figures have been."""

from __future__ import annotations

from math import isnan
from typing import Annotated

from msgspec import Meta

from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, endpoint
from mqttbroker.admin.history import FINE

__all__ = ["history"]

Values = list[float | None]
"""One for each time; ``null`` where it is not known."""


class HistoryQuery(Input):
    seconds: Annotated[float, Meta(ge=1, le=86_400, description="How far back.")] = FINE[0] * FINE[1]
    after: Annotated[float, Meta(ge=0, description="Only what came after this time.")] = 0.0


class FigureHistory(Output):
    """The figures of the broker over time, each as a list along ``at``."""

    step: float
    """Seconds between two times, about."""
    at: list[float]
    """Seconds since the epoch, the oldest first."""
    series: dict[str, Values]


@endpoint("GET", f"{PREFIX}/history", role="viewer", tag="broker", summary="How the figures have been")
async def history(call: Call[HistoryQuery, None]) -> FigureHistory:
    """A quarter of an hour is there by seconds, what is older by minutes, for a day; since the start of the broker."""
    context, query = call.context, call.query
    monitor = context.broker.monitor
    if monitor is None or monitor.history is None:
        return FigureHistory(step=FINE[0], at=[], series={})
    found = monitor.history.last(query.seconds, context.broker.now(), query.after)
    return FigureHistory(
        step=found.step,
        at=list(found.at),
        series={name: [_short(each) for each in values] for name, values in found.series.items()},
    )


def _short(value: float) -> float | None:
    """Not more digits than there is to see."""
    return None if isnan(value) else round(value, 1) if value >= 100 else round(value, 6)
