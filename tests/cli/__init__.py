"""Tests of mqttbroker/cli/."""
