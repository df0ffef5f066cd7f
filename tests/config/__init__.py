"""Tests of mqttbroker/config/."""
