"""Logs: one event, one line, for people or for programs.

Everything that logs, through structlog or through the standard ``logging`` module, ends in one handler on standard
error. What a line holds may come from strangers (a client identifier, a topic, a user name), so that three things
hold for every line, whatever was logged:

* it is one line: control characters and line separators are written as escapes;
* it shows what it holds: ESC, bidirectional overrides and every other character that does not print is an escape;
* it is bounded: a text is cut after ``VALUE_LIMIT`` characters, a traceback after ``TRACEBACK_LIMIT``.

``configure_logging`` changes the process's logging, so that only programs call it (the command line), never the
library.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

__all__ = [
    "TRACEBACK_LIMIT",
    "VALUE_LIMIT",
    "ThreadedHandler",
    "configure_logging",
    "escape",
    "log_event",
    "log_to_logging",
]

VALUE_LIMIT: Final = 512
"""Characters of one value, or of the event's own text, before it is cut."""
TRACEBACK_LIMIT: Final = 16_384
"""Characters of one traceback before it is cut: the beginning goes, since the end tells what happened."""

LINES_WAITING: Final = 10_000
"""Lines that may wait to be written; see :class:`ThreadedHandler`."""
LAST_WORDS: Final = 2.0
"""Seconds for which the end of the process waits for them."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

EventDict = MutableMapping[str, Any]
_logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("mqttbroker")
_standard: Final = logging.getLogger("mqttbroker")


def configure_logging(
    level: str = "info", format: str = "text", stream: TextIO | None = None, *, in_thread: bool = False
) -> None:
    """Send all logs of the process at ``level`` and above to ``stream`` (standard error), replacing what was set.

    With ``in_thread`` a thread of its own writes, so that nobody waits for whoever reads the log; see
    :class:`ThreadedHandler`. ``level`` is "debug", "info", "warning" or "error"; ``format`` is "text" or "json".
    Others raise :class:`ValueError`.
    """
    if level not in _LEVELS or format not in ("text", "json"):
        raise ValueError(f"expected a level of {', '.join(_LEVELS)} and a format of text or json")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    render: structlog.typing.Processor = _render_text if format == "text" else _render_json
    handler: logging.Handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _bound, render],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [ThreadedHandler(handler) if in_thread else handler]
    root.setLevel(_LEVELS[level])
    _standard.setLevel(logging.NOTSET)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


class ThreadedHandler(logging.Handler):
    """Hands records to another handler in a thread of its own.

    When that handler does not get rid of them (a pipe that nobody reads), ``LINES_WAITING`` wait and the rest is
    lost; how many were lost is the next line that gets through.
    """

    def __init__(self, inner: logging.Handler) -> None:
        super().__init__()
        self._inner = inner
        self._waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(LINES_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="mqttbroker-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never waits."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, for a moment at the most."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=LAST_WORDS)
            self._thread.join(LAST_WORDS)
        super().close()

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                text = f"{lost} lines of the log were lost: nobody took them"
                self._inner.handle(logging.LogRecord("mqttbroker", logging.WARNING, __file__, 0, text, None, None))
            self._inner.handle(record)


def log_event(level: str, event: str, /, **details: object) -> None:
    """Log one event of the broker: a ``Log`` for :class:`~mqttbroker.broker.BrokerCore`.

    ``exception`` among the details may be an exception, whose traceback is then logged.
    """
    number = _LEVELS[level]
    # Asked first: most lines of a busy broker are below its level, and structlog works a while before it asks.
    if not _standard.isEnabledFor(number):
        return
    exception = details.pop("exception", None)
    if isinstance(exception, BaseException):
        details["exc_info"] = exception
    _logger.log(number, event, **details)


def log_to_logging(level: str, event: str, /, **details: object) -> None:
    """The log of an embedded broker: the standard library's logger ``mqttbroker``."""
    number = _LEVELS[level]
    if _standard.isEnabledFor(number):
        exception = details.pop("exception", None)
        words = " ".join(f"{key}={value!r}" for key, value in details.items())
        _standard.log(number, "%s %s", event, words, exc_info=exception if isinstance(exception, Exception) else None)


def escape(text: str) -> str:
    """Return ``text`` with every character that does not print, and the backslash, written as an escape."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character if character.isprintable() and character != "\\" else character.encode("unicode_escape").decode()
        for character in text
    )


def _bound(_logger: object, _name: str, event: EventDict) -> EventDict:
    """Make every value a number, a truth value, ``None`` or a short text."""
    return {escape(key)[:VALUE_LIMIT]: _plain(key, value) for key, value in event.items()}


def _plain(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else hex(value)[:VALUE_LIMIT]
    if isinstance(value, bytes):
        value = value[:VALUE_LIMIT].decode("utf-8", "backslashreplace")
    text = str(value)
    if key == "exception":
        return text if len(text) <= TRACEBACK_LIMIT else "..." + text[-TRACEBACK_LIMIT:]
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}... ({len(text)} characters)"


def _render_text(_logger: object, _name: str, event: EventDict) -> str:
    """Return ``TIME LEVEL event key=value ...``."""
    words = [str(event.pop("time")), f"{event.pop('level'):7}", escape(str(event.pop("event")))]
    # The logger's name is of use where it is not the broker's own.
    if str(event.get("logger", "")).partition(".")[0] in ("", "mqttbroker"):
        event.pop("logger", None)
    words += [f"{key}={_quoted(value)}" for key, value in event.items()]
    return " ".join(words)


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not set(text) & set(' "=\\'):
        return text
    return '"' + escape(text).replace('"', '\\"') + '"'


def _render_json(_logger: object, _name: str, event: Mapping[str, Any]) -> str:
    """Return a JSON object, in ASCII, so that whatever does not print is an escape."""
    line = structlog.processors.JSONRenderer(ensure_ascii=True)(None, "", dict(event))
    text = line if isinstance(line, str) else line.decode()
    return text.replace("\x7f", "\\u007f")
