"""Tests of ``mqttbroker.sessions``."""
