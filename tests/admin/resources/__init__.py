"""Tests of ``mqttbroker.admin.resources``: over HTTP, with real brokers and clients."""
