"""The command line: ``mqttbroker serve``, ``check-config``, ``passwd``, ``pub``, ``sub``
and ``bench``.

Nothing is imported before it is needed, so that ``mqttbroker --version`` and ``--help`` answer at once.
Exit codes: 0 done, 1 failed (with one line on standard error), 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments; the entry point of ``mqttbroker``."""
    from mqttbroker.cli.app import app

    app(prog_name="mqttbroker")
