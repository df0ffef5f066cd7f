"""The statements of MQTT 3.1.1, a file for each chapter."""
