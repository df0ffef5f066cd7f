"""Where a connection stands."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["State"]


class State(IntEnum):
    """State of a connection; which packets it takes is the table in ``handlers/__init__.py``."""

    OPENED = 0
    """No CONNECT yet."""
    AUTHENTICATING = 1
    """CONNECT came; the authenticator has not answered, or an enhanced authentication is under way."""
    CONNECTED = 2
    CLOSED = 3
