"""Tests of ``mqttbroker.broker``: no sockets, no sleeping, time is an argument."""
