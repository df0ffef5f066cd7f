"""Programs from outside Python that some tests need.

A test that lacks its program is skipped on a developer's machine. Where the environment says
``MQTTBROKER_REQUIRE_TOOLS=1``, as continuous integration does, it fails instead, so that no test is left out
unnoticed.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

__all__ = ["missing", "require_tool"]

_ALSO = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where daemons are installed; not on everybody's PATH."""


def require_tool(name: str) -> str:
    """Return the path of the program, or skip the test (fail it, where tools are required)."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_ALSO))
    if path is None:
        missing(f"the program {name!r} is not installed")
    return path


def missing(what: str) -> NoReturn:
    """Skip the test for want of something from outside, or fail it where tools are required."""
    if os.environ.get("MQTTBROKER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{what}, and MQTTBROKER_REQUIRE_TOOLS=1 forbids to skip", pytrace=False)
    pytest.skip(what)
