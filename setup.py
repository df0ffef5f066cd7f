"""The part of the build that pyproject.toml cannot say: which modules are compiled. See build_backend.py."""

import os
import sys

from setuptools import Extension, setup

sys.path.insert(0, os.path.dirname(__file__))

from build_backend import compiled_modules, wants_compiling


def extensions() -> list[Extension]:
    """The compiled modules. Where the environment does not ask for them, a compiler that fails leaves pure Python."""
    if not wants_compiling(editable="editable_wheel" in sys.argv):
        return []
    from mypyc.build import mypycify

    made: list[Extension] = mypycify(compiled_modules(), opt_level="3", debug_level="0")
    for each in made:
        each.optional = os.environ.get("MQTTBROKER_COMPILE") != "1"
    return made


setup(ext_modules=extensions())
