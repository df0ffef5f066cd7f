"""The statements of MQTT 5.0, a file for each chapter."""
