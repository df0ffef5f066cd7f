"""Fixtures for all tests: the broker's own pytest plugin, loaded here so that coverage measures its imports."""

from __future__ import annotations

pytest_plugins = ["mqttbroker.testing.plugin"]
