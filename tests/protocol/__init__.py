"""Tests of `mqttbroker.protocol`."""
