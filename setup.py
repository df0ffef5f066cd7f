"""The part of the build that pyproject.toml cannot say: which modules are compiled. It runs within build_backend.py."""

from setuptools import setup

from build_backend import extensions

setup(ext_modules=extensions())
