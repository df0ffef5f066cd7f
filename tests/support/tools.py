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


def require_tool(*names: str) -> str:
    """Return the path of the program, the first of these that is installed, or skip the test (fail it, where tools are
    required).
    """
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_ALSO))
        if path is not None:
            return path
    missing(f"the program {' or '.join(map(repr, names))} is not installed")


def missing(what: str) -> NoReturn:
    """Skip the test for want of something from outside, or fail it where tools are required."""
    if os.environ.get("MQTTBROKER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{what}, and MQTTBROKER_REQUIRE_TOOLS=1 forbids to skip", pytrace=False)
    pytest.skip(what)
