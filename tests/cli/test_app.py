"""What ``mqttbroker`` alone shows, and that it is quick to show it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mqttbroker
from tests.cli.conftest import Command

VERSION = f"mqttbroker {mqttbroker.__version__} ({'compiled' if mqttbroker.is_compiled() else 'pure Python'})\n"


def test_version(command: Command) -> None:
    result = command("--version")
    assert (result.exit_code, result.stdout) == (0, VERSION)


COMMANDS = ("serve", "check-config", "passwd", "certs", "store", "pub", "sub", "clients", "top", "trace")


def test_help_lists_the_commands(command: Command) -> None:
    result = command("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.stdout


@pytest.mark.parametrize("name", COMMANDS, ids=str)
def test_each_command_explains_itself(command: Command, name: str) -> None:
    result = command(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: mqttbroker {name}" in result.stdout


def test_an_unknown_command(command: Command) -> None:
    assert command("server").exit_code == 2


def test_the_broker_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, mqttbroker.cli.app; heavy = {'mqttbroker.server', 'uvloop', 'argon2', 'cryptography'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mqttbroker", "--version"], check=True, timeout=30, capture_output=True, text=True
    )
    assert result.stdout == VERSION
