"""What is wrong with the broker at this time."""

from __future__ import annotations

from mqttbroker.admin.alarms import Alarm, Kind, Place, Severity
from mqttbroker.admin.endpoint import PREFIX, Call, Output, endpoint
from mqttbroker.admin.ids import path_id
from mqttbroker.admin.monitor import Monitor

__all__ = ["AlarmView", "alarms", "shown_alarms"]


class AlarmView(Output):
    """Something that is wrong. It goes by itself when it is so no more."""

    id: str
    """What names it, also when it comes again."""
    alarm: Kind
    severity: Severity
    since: float
    """Seconds since the epoch."""
    text: str
    """What is so."""
    advice: str
    """What to do."""
    place: Place
    """Where in the console there is more."""
    client: str | None
    """The client that it is about, as ``id`` of a list has it."""


class AlarmList(Output):
    alarms: list[AlarmView]
    """What is critical first, then the newest."""


@endpoint("GET", f"{PREFIX}/alarms", role="viewer", tag="broker", summary="What is wrong at this time")
async def alarms(call: Call[None, None]) -> AlarmList:
    """Looked at once a second. Raising and clearing is told as an event of the kind ``alarm``, too."""
    return AlarmList(alarms=shown_alarms(call.context.broker.monitor))


def shown_alarms(monitor: Monitor | None) -> list[AlarmView]:
    """The alarms of a broker, as they are shown."""
    return [] if monitor is None else [_view(each) for each in monitor.alarms]


def _view(alarm: Alarm) -> AlarmView:
    finding = alarm.finding
    return AlarmView(
        id=alarm.id.replace("\0", "/"),
        alarm=alarm.kind,
        severity=finding.severity,
        since=alarm.since,
        text=finding.text,
        advice=finding.advice,
        place=finding.place,
        client=path_id(finding.client) if finding.client else None,
    )
