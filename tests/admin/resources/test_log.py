"""The log over HTTP: how much of it there is, and its last lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mqttbroker.admin.log_lines import LONGEST_TEXT, REMEMBERED, LogLines
from tests.admin.console import Console, console


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """The level of the log is the process's."""
    logger = logging.getLogger("mqttbroker")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


def told(somebody: Console, event: str, level: str = "info", **details: object) -> None:
    assert somebody.broker.admin is not None
    somebody.broker.admin.app.context.log(level, event, **details)


async def events(somebody: Console, **query: str | int) -> list[str]:
    return [each["event"] for each in (await somebody.get("/api/v1/log/recent", params=query))["items"]]


class TestRecent:
    async def test_the_last_lines(self) -> None:
        async with console() as somebody:
            told(somebody, "first", number=1, text="x", none=None)
            told(somebody, "second", "warning")
            items = (await somebody.get("/api/v1/log/recent"))["items"]
            first, second = items[-2:]
            assert (first["level"], first["event"]) == ("info", "first")
            assert first["details"] == {"number": 1, "text": "x", "none": None}
            assert (second["level"], second["number"]) == ("warning", first["number"] + 1)
            # And they are logged as ever.
            assert ("info", "first", {"number": 1, "text": "x", "none": None}) in somebody.logged

    async def test_it_can_be_followed(self) -> None:
        async with console() as somebody:
            page = await somebody.get("/api/v1/log/recent")
            for number in range(5):
                told(somebody, f"line {number}")
            page = await somebody.get("/api/v1/log/recent", params={"after": page["next"], "limit": 3})
            assert [each["event"] for each in page["items"]] == ["line 0", "line 1", "line 2"]
            page = await somebody.get("/api/v1/log/recent", params={"after": page["next"], "limit": 3})
            assert [each["event"] for each in page["items"]] == ["line 3", "line 4"]
            page = await somebody.get("/api/v1/log/recent", params={"after": page["next"]})
            assert (page["items"], page["missed"]) == ([], False)

    async def test_what_was_missed_is_told(self) -> None:
        async with console() as somebody:
            page = await somebody.get("/api/v1/log/recent")
            for number in range(REMEMBERED + 1):
                told(somebody, f"line {number}")
            page = await somebody.get("/api/v1/log/recent", params={"after": page["next"], "limit": 1})
            assert (page["missed"], page["items"][0]["event"]) == (True, "line 1")
            for stranger in ("abcd-1", "nonsense", f"{page['next']}0000000000000000"):
                assert (await somebody.get("/api/v1/log/recent", params={"after": stranger}))["missed"]

    async def test_level_and_search(self) -> None:
        async with console() as somebody:
            told(somebody, "apple", colour="GREEN")
            told(somebody, "pear", "warning", colour="yellow")
            told(somebody, "plum", "error", colour="green")
            assert await events(somebody, level="warning") == ["pear", "plum"]
            assert await events(somebody, search="Green") == ["apple", "plum"]
            assert await events(somebody, search="colour=green", level="error") == ["plum"]
            assert await events(somebody, search="pea") == ["pear"]

    async def test_what_is_not_logged_is_not_there(self) -> None:
        async with console() as somebody:
            told(somebody, "quiet", "debug")
            assert "quiet" not in await events(somebody)
            response = await somebody.http.put("/api/v1/log", json={"level": "debug"})
            assert response.json() == {"level": "debug"}
            told(somebody, "loud", "debug")
            assert "loud" in await events(somebody)

    async def test_only_admins_see_it(self) -> None:
        async with console() as somebody:
            body = {"role": "viewer", "password": "a long password"}
            assert (await somebody.http.put("/api/v1/accounts/eve", json=body)).status_code == 200
            await somebody.log_in("eve", "a long password")
            assert (await somebody.http.get("/api/v1/log/recent")).status_code == 403
            assert (await somebody.http.get("/api/v1/log")).status_code == 200


class TestLines:
    def lines(self) -> LogLines:
        return LogLines(lambda level, event, /, **details: None)

    def test_they_are_bounded(self) -> None:
        lines = self.lines()
        for _ in range(REMEMBERED + 10):
            lines("info", "x" * 100_000, **{f"key {number}": "y" * 100_000 for number in range(100)})
        assert len(lines.lines) == REMEMBERED
        line = lines.lines[-1]
        assert len(line.event) < LONGEST_TEXT + 50
        assert sum(len(str(value)) for value in line.details.values()) < 20 * (LONGEST_TEXT + 50)

    def test_whatever_is_logged(self) -> None:
        lines = self.lines()
        lines("error", "a\nb\x1b‮", big=10**100, raw=b"\xff\x00", thing=[1], exception=ValueError("bad\n"), f=0.5)
        (line,) = lines.lines
        assert line.event == r"a\nb\x1b\u202e"
        assert line.details == {
            "big": str(10**100),
            "raw": r"\\xff\x00",
            "thing": "[1]",
            "exception": r"ValueError: bad\n",
            "f": 0.5,
        }
