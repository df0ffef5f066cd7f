"""Whether a test without its tool is skipped, or fails where tools are required."""

from __future__ import annotations

import pytest

from tests.support.tools import require_tool

ABSENT = "no-such-program-anywhere"


def test_a_present_tool_is_found() -> None:
    assert require_tool("sh").endswith("/sh")


def test_an_absent_tool_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MQTTBROKER_REQUIRE_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=ABSENT):
        require_tool(ABSENT)


def test_an_absent_tool_fails_where_tools_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTTBROKER_REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception, match=ABSENT):
        require_tool(ABSENT)
