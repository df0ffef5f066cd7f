"""How ``mqttbroker trace`` shows a packet: one line, in which what is of interest comes first.

Everything in it comes from strangers, so that what does not print is written as escapes.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from mqttbroker.cli.columns import cut
from mqttbroker.logs import escape

__all__ = ["shown"]

CLIENT: Final = 16
NAME: Final = 11
LONGEST: Final = 64
"""Characters of one text."""
ENDS: Final = {
    "time": "its time is over",
    "packets": "that was as many packets as were asked for",
    "bytes": "that was as much as one trace may hold",
    "stopped": "it was stopped",
    "login": "the token is no longer good",
    "failed": "the broker could not go on with it; its log says why",
}

Fields = dict[str, Any]


def shown(line: Fields) -> str:
    """The line of text for a line of a trace; empty for what needs none."""
    kind = line["kind"]
    when = datetime.fromtimestamp(line["time"]).strftime("%H:%M:%S.%f")[:-3]
    if kind == "packet":
        return f"{when}  {_packet(line)}"
    if kind == "closed":
        reason = escape(line["reason"]) or "without a reason"
        return f"{when}  {_client(line)}  --  {'closed':<{NAME}}  {reason}"
    if kind == "lost":
        return f"{when}  {line['count']:,} packets are missing here: they came faster than they were read"
    if kind == "end":
        count = line["packets"]
        return f"{count:,} packet{'' if count == 1 else 's'}; {ENDS.get(line['reason'], line['reason'])}"
    return ""


def _packet(line: Fields) -> str:
    fields = line["fields"]
    arrow = "->" if line["direction"] == "in" else "<-"
    details = line["error"]
    if details is None:
        details = "  ".join(part for part in _WRITERS.get(line["packet"], _plain)(line, fields) if part)
        properties = _properties(fields.get("properties", {}))
        details += f"  {{{properties}}}" if properties else ""
    return f"{_client(line)}  {arrow}  {line['packet']:<{NAME}}  {details}".rstrip()


def _client(line: Fields) -> str:
    return f"{cut(escape(line['client_id']) or line['address'], CLIENT):<{CLIENT}}"


def _connect(line: Fields, fields: Fields) -> list[str]:
    will = fields.get("will")
    return [
        f"MQTT {line['version']}",
        f"from {line['address']}",
        "clean start" if fields["clean_start"] else "",
        f"keep alive {fields['keep_alive']} s",
        f"user {_text(fields['username'])}" if "username" in fields else "no user",
        "password (hidden)" if "password" in fields else "",
        "" if will is None else f"will {_text(will['topic'])} {_flags(will)} {_payload(will)}",
    ]


def _connack(_line: Fields, fields: Fields) -> list[str]:
    return [_reason(fields["reason_code"]), "session present" if fields["session_present"] else ""]


def _publish(line: Fields, fields: Fields) -> list[str]:
    topic = line["topic"] or fields["topic"]
    number = f"#{fields['packet_id']}" if "packet_id" in fields else ""
    alias = "(by its alias)" if topic and not fields["topic"] else ""
    return [_text(topic) or "unknown topic", alias, _flags(fields), number, _payload(fields)]


def _acknowledgement(line: Fields, fields: Fields) -> list[str]:
    reason = fields.get("reason_code")
    code = "" if reason is None or not reason["code"] else _reason(reason)
    return [f"#{fields['packet_id']}", _text(line["topic"]) if line["topic"] else "", code]


def _subscribe(_line: Fields, fields: Fields) -> list[str]:
    return [f"#{fields['packet_id']}", ", ".join(map(_request, fields["subscriptions"]))]


def _request(request: Fields) -> str:
    options = [
        "no local" if request.get("no_local") else "",
        "retain as published" if request.get("retain_as_published") else "",
        f"retain handling {request['retain_handling']}" if request.get("retain_handling") else "",
    ]
    return " ".join([_text(request["topic_filter"]), f"q{request['qos']}", *filter(None, options)])


def _unsubscribe(_line: Fields, fields: Fields) -> list[str]:
    return [f"#{fields['packet_id']}", ", ".join(map(_text, fields["topic_filters"]))]


def _answers(_line: Fields, fields: Fields) -> list[str]:
    return [f"#{fields['packet_id']}", ", ".join(map(_reason, fields.get("reason_codes", ())))]


def _plain(_line: Fields, fields: Fields) -> list[str]:
    reason = fields.get("reason_code")
    return ["" if reason is None else _reason(reason)]


_WRITERS: Final[dict[str, Callable[[Fields, Fields], list[str]]]] = {
    "CONNECT": _connect,
    "CONNACK": _connack,
    "PUBLISH": _publish,
    "PUBACK": _acknowledgement,
    "PUBREC": _acknowledgement,
    "PUBREL": _acknowledgement,
    "PUBCOMP": _acknowledgement,
    "SUBSCRIBE": _subscribe,
    "SUBACK": _answers,
    "UNSUBSCRIBE": _unsubscribe,
    "UNSUBACK": _answers,
}


def _reason(reason: Fields) -> str:
    return f"{reason['name']} (0x{reason['code']:02x})" if reason["code"] else str(reason["name"])


def _flags(message: Fields) -> str:
    return f"q{message['qos']}{' retain' if message['retain'] else ''}{' dup' if message.get('dup') else ''}"


def _payload(message: Fields) -> str:
    payload, size = message["payload"], message["payload_size"]
    more = "..." if payload["truncated"] else ""
    if payload["encoding"] == "text":
        return f"{size} B  {_text(payload['data'], more)}".rstrip()
    return f"{size} B  0x{_cut(b64decode(payload['data']).hex(), more)}"


def _properties(properties: Fields) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in properties.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"{_text(each[0])}={_text(each[1])}" if isinstance(each, list) else str(each) for each in value)
    return _text(value) if isinstance(value, str) else str(value)


def _text(text: str, more: str = "") -> str:
    return _cut(escape(text), more)


def _cut(text: str, more: str) -> str:
    return text + more if len(text) <= LONGEST else text[:LONGEST] + "..."
