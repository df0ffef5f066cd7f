"""An MQTT 3.1, 3.1.1 and 5.0 broker: a server, a library for asyncio programs, and a test fixture."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
