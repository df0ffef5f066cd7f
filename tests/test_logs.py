"""One event is one line, whatever strangers put into it."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from mqttbroker.logs import (
    LINES_WAITING,
    TRACEBACK_LIMIT,
    VALUE_LIMIT,
    ThreadedHandler,
    configure_logging,
    escape,
    log_event,
)

Configure = Callable[[str, str], io.StringIO]

HOSTILE = 'a\r\nINFO forged\x1b[2J\u202egnp.exe\u2028\x00\x7f\x9b\ud800\\n "quoted" k=v'


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configures logging into a string; the process's logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def make(level: str, format: str) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(level, format, stream)
        return stream

    yield make
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("format", ["text", "json"])
class TestBothFormats:
    """What holds for text and for JSON."""

    @pytest.mark.parametrize("place", ["a value", "the event", "another logger's message", "an exception"])
    def test_what_does_not_print_is_escaped_on_one_line(self, configure: Configure, format: str, place: str) -> None:
        stream = configure("info", format)
        match place:
            case "a value":
                log_event("info", "connected", client=HOSTILE)
            case "the event":
                log_event("info", HOSTILE)
            case "another logger's message":
                logging.getLogger("asyncio").warning("lost %s", HOSTILE)
            case _:
                log_event("error", "failed", exception=ValueError(HOSTILE))
        line = stream.getvalue()
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        assert "forged" in line

    def test_a_long_value_is_cut(self, configure: Configure, format: str) -> None:
        stream = configure("info", format)
        log_event("info", "connected", client="x" * 100_000, data=b"y" * 100_000, number=10**5_000)
        line = stream.getvalue()
        assert "x" * VALUE_LIMIT + "... (100000 characters)" in line
        assert "y" * VALUE_LIMIT in line
        assert len(line) < 3 * VALUE_LIMIT + 300

    def test_a_long_traceback_keeps_its_end(self, configure: Configure, format: str) -> None:
        stream = configure("info", format)
        log_event("error", "failed", exception=ValueError("x" * 2 * TRACEBACK_LIMIT + "the end"))
        assert "the end" in stream.getvalue()
        assert len(stream.getvalue()) < 1.1 * TRACEBACK_LIMIT

    def test_levels(self, configure: Configure, format: str) -> None:
        stream = configure("warning", format)
        log_event("info", "quiet")
        logging.getLogger("other").info("quiet")
        log_event("warning", "loud")
        assert "quiet" not in stream.getvalue()
        assert "loud" in stream.getvalue()

    def test_configuring_again_replaces(self, configure: Configure, format: str) -> None:
        first = configure("info", format)
        second = configure("debug", format)
        log_event("debug", "once")
        assert not first.getvalue()
        assert second.getvalue().count("\n") == 1


class TestText:
    """Lines for people."""

    def test_a_line(self, configure: Configure) -> None:
        stream = configure("info", "text")
        log_event(
            "info", "connected", client="sensor-1", user=None, inflight=3, topic="a b", empty="", data=b"\xff\x00"
        )
        time, rest = stream.getvalue().split(" ", 1)
        assert time.endswith("Z")
        expected = 'info    connected client=sensor-1 user=None inflight=3 topic="a b" empty="" data="\\\\xff\\x00"\n'
        assert rest == expected

    def test_a_value_cannot_look_like_two(self, configure: Configure) -> None:
        stream = configure("info", "text")
        log_event("info", "connected", client='a" admin="yes')
        assert stream.getvalue().endswith(' connected client="a\\" admin=\\"yes"\n')

    def test_the_name_of_a_foreign_logger_is_shown(self, configure: Configure) -> None:
        stream = configure("info", "text")
        logging.getLogger("asyncio").warning("slow")
        logging.getLogger("mqttbroker.security").warning("readable")
        foreign, own = stream.getvalue().splitlines()
        assert foreign.endswith("slow logger=asyncio")
        assert own.endswith("readable")


class TestJson:
    """Lines for programs."""

    def test_a_line(self, configure: Configure) -> None:
        stream = configure("info", "json")
        log_event("info", "connected", client=HOSTILE, inflight=3, user=None, clean=True)
        document = json.loads(stream.getvalue())
        assert document.pop("time").endswith("Z")
        assert document == {
            "level": "info",
            "event": "connected",
            "logger": "mqttbroker",
            "client": HOSTILE,
            "inflight": 3,
            "user": None,
            "clean": True,
        }

    def test_an_exception(self, configure: Configure) -> None:
        stream = configure("info", "json")
        log_event("error", "failed", exception=ValueError("why"))
        assert json.loads(stream.getvalue())["exception"].endswith("ValueError: why")


def test_what_is_below_the_level_goes_no_further(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy broker has two such lines for each connection."""
    stream = configure("warning", "text")
    monkeypatch.setattr("mqttbroker.logs._logger", None)
    log_event("info", "connected", client="c")
    assert stream.getvalue() == ""
    with pytest.raises(AttributeError):
        log_event("warning", "connection failed", client="c")


def test_an_exception_that_is_only_text_is_a_detail(configure: Configure) -> None:
    stream = configure("info", "json")
    log_event("error", "failed", exception="why")
    assert json.loads(stream.getvalue())["event"] == "failed"


@pytest.mark.parametrize(("level", "format"), [("loud", "text"), ("info", "xml")], ids=["level", "format"])
def test_what_is_not_known_is_refused(level: str, format: str) -> None:
    with pytest.raises(ValueError, match="expected a level"):
        configure_logging(level, format)


def test_escape() -> None:
    assert escape("sensors/größe/温度") == "sensors/größe/温度"
    assert escape("\n\\n\x1b\u202e\U000e0001") == "\\n\\\\n\\x1b\\u202e\\U000e0001"


def test_in_a_thread_nobody_waits_for_who_reads_the_log() -> None:
    written: list[str] = []
    stuck, taken = threading.Event(), threading.Event()

    class Inner(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            taken.set()
            assert stuck.wait(5)
            written.append(record.getMessage())

    handler = ThreadedHandler(Inner())
    for number in range(LINES_WAITING + 5):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
        assert taken.wait(5)  # The first is out of the queue, and stuck.
    stuck.set()
    handler.close()
    assert written[0] == "line 0"
    assert written[1] == "4 lines of the log were lost: nobody took them"
    assert written[-1] == f"line {LINES_WAITING}"
