"""Running commands as a person does, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from mqttbroker.cli.app import app

__all__ = ["Command", "command"]

Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs ``mqttbroker`` with these arguments and this standard input; the result has both outputs and the code."""
    # Messages of the command line's parser are not cut and coloured for a narrow window.
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], input=input, prog_name="mqttbroker")

    return run
