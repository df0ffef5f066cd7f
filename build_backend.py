"""How this project is built: by setuptools, with mypyc for the hot modules.

A wheel is compiled where there is a C compiler, and pure Python elsewhere, which works as well. An editable install is
pure Python, so that what is edited is what runs. ``MQTTBROKER_COMPILE=1`` compiles in any case or fails, and
``MQTTBROKER_COMPILE=0`` never compiles.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Mapping
from glob import glob
from pathlib import Path

from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "compiled_modules",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
    "wants_compiling",
]

Settings = Mapping[str, object] | None

COMPILER = "mypy>=1.15"
PACKAGES = ("topics", "sessions", "broker", "broker/handlers")
FURTHER = ("mqttbroker/protocol/wire.py", "mqttbroker/storage/messages.py")
# Dataclasses gain nothing, and neither do names that are only imported from elsewhere.
NOT_COMPILED = {"__init__.py", "authority.py", "entrance.py", "limits.py"}


def compiled_modules() -> list[str]:
    """The modules on the way of a message."""
    found = [path for package in PACKAGES for path in sorted(glob(f"mqttbroker/{package}/*.py"))]
    return [path for path in found if Path(path).name not in NOT_COMPILED] + list(FURTHER)


def wants_compiling(editable: bool) -> bool:
    """Whether modules are compiled: as the environment says, else in a wheel where it can be done."""
    wish = os.environ.get("MQTTBROKER_COMPILE", "")
    if wish:
        return wish == "1"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    return not editable and shutil.which(compiler) is not None and header.exists()


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What a wheel is built with."""
    return [COMPILER] if wants_compiling(editable=False) else []


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """What an editable install is built with."""
    return [COMPILER] if wants_compiling(editable=True) else []
