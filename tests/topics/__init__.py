"""Tests of `mqttbroker.topics`."""
