"""How this project is built: by setuptools, with mypyc for the hot modules and Vite for the web console.

A wheel is compiled where there is a C compiler, and pure Python elsewhere, which works as well. An editable install is
pure Python, so that what is edited is what runs. ``MQTTBROKER_COMPILE=1`` compiles in any case or fails, and
``MQTTBROKER_COMPILE=0`` never compiles.

A wheel and a source distribution have the web console in them, built by ``build_console.py``; Node comes from PyPI
where there is none. Where it cannot be built, they are made without it. ``MQTTBROKER_CONSOLE=1`` builds it in any case
or fails, and ``MQTTBROKER_CONSOLE=0`` takes what is there. An editable install leaves it to ``make console``.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping
from glob import glob
from pathlib import Path

from setuptools import Extension, build_meta
from setuptools.build_meta import prepare_metadata_for_build_editable, prepare_metadata_for_build_wheel

import build_console

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "extensions",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, object] | None

COMPILER = "mypy>=1.15"
# The packages that the rest of the project needs are not there while it is built, and its types are checked elsewhere.
MYPY_OPTIONS = ("--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--cache-dir=build/mypy")
PACKAGES = ("topics", "sessions", "broker", "broker/handlers")
FURTHER = (
    "mqttbroker/listeners/encryption.py",
    "mqttbroker/listeners/frames.py",
    "mqttbroker/listeners/host.py",
    "mqttbroker/listeners/stream.py",
    "mqttbroker/listeners/tcp.py",
    "mqttbroker/listeners/transport.py",
    "mqttbroker/listeners/websocket.py",
    "mqttbroker/protocol/publish.py",
    "mqttbroker/protocol/wire.py",
    "mqttbroker/storage/lmdb/batch.py",
    "mqttbroker/storage/lmdb/codec.py",
    "mqttbroker/storage/lmdb/store.py",
    "mqttbroker/storage/lmdb/writer.py",
    "mqttbroker/storage/messages.py",
)
# Dataclasses gain nothing, and neither do names that are only imported from elsewhere.
NOT_COMPILED = ("broker/authority.py", "broker/entrance.py", "broker/limits.py", "broker/views.py", "__init__.py")


_compiling = False
"""Whether what is built at this moment is compiled."""


def extensions() -> list[Extension]:
    """The compiled modules, for setup.py.

    Where the environment does not ask for them, a compiler that fails leaves pure Python.
    """
    if not _compiling:
        return []
    from mypyc.build import mypycify

    found = [path for package in PACKAGES for path in sorted(glob(f"mqttbroker/{package}/*.py"))]
    modules = [path for path in found if not path.endswith(NOT_COMPILED)] + list(FURTHER)
    made: list[Extension] = mypycify([*MYPY_OPTIONS, *modules], opt_level="3", debug_level="0")
    for each in made:
        each.optional = os.environ.get("MQTTBROKER_COMPILE") != "1"
    return made


def build_wheel(directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build what is installed."""
    _make_console()
    # Files of another build have other names there, and would come along.
    for left in glob("build/lib*/mqttbroker/admin/console"):
        shutil.rmtree(left)
    return _build(build_meta.build_wheel, False, directory, config_settings, metadata_directory)


def build_editable(directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build what leads to the source."""
    return _build(build_meta.build_editable, True, directory, config_settings, metadata_directory)


def build_sdist(directory: str, config_settings: Settings = None) -> str:
    """Build what a wheel can be built from elsewhere."""
    _make_console()
    return build_meta.build_sdist(directory, config_settings)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What a wheel is built with."""
    return [*([COMPILER] if _wants_compiling(editable=False) else []), *_requires_for_console()]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """What a source distribution is built with."""
    return _requires_for_console()


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """What an editable install is built with."""
    return [COMPILER] if _wants_compiling(editable=True) else []


def _build(
    build: Callable[..., str],
    editable: bool,
    directory: str,
    config_settings: Settings,
    metadata_directory: str | None,
) -> str:
    global _compiling
    _compiling = _wants_compiling(editable)
    try:
        return build(directory, config_settings, metadata_directory)
    finally:
        _compiling = False


def _wants_console() -> bool:
    """Whether the console is to be built: unless the environment says no, or what is there is what would come of it."""
    return os.environ.get("MQTTBROKER_CONSOLE") != "0" and not build_console.is_current()


def _requires_for_console() -> list[str]:
    return [build_console.NODE_PACKAGE] if _wants_console() and build_console.find_tools() is None else []


def _make_console() -> None:
    if not _wants_console():
        return
    try:
        tools = build_console.find_tools()
        if tools is None:
            raise build_console.Impossible("there is no Node")
        build_console.build(tools)
    except build_console.Impossible as reason:
        if os.environ.get("MQTTBROKER_CONSOLE") == "1":
            raise
        print(f"warning: built without the web console: {reason}", file=sys.stderr)


def _wants_compiling(editable: bool) -> bool:
    """Whether modules are compiled: as the environment says, else in a wheel where it can be done."""
    wish = os.environ.get("MQTTBROKER_COMPILE", "")
    if wish:
        return wish == "1"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    return not editable and shutil.which(compiler) is not None and header.exists()
