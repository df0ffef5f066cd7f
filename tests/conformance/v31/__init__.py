"""What MQTT 3.1 does otherwise than 3.1.1. Its specification has no numbered statements."""
