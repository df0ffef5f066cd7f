"""All vectors: packets and their bytes, over all types and versions.

Each row says what is read, what is refused, and what is written. The rows are in one file per part of
the standard; other test packages take them from here.
"""

from __future__ import annotations

from tests.protocol.vector import Vector
from tests.protocol.vectors_connect import CONNACK, CONNECT
from tests.protocol.vectors_publish import ACKNOWLEDGEMENTS, PROPERTY_LISTS, PUBLISH
from tests.protocol.vectors_subscribe import FIXED_HEADERS, SESSION_END, SUBSCRIPTIONS

__all__ = ["ACCEPTED", "REFUSED", "VECTORS"]

VECTORS: tuple[Vector, ...] = (
    *CONNECT,
    *CONNACK,
    *PUBLISH,
    *PROPERTY_LISTS,
    *ACKNOWLEDGEMENTS,
    *SUBSCRIPTIONS,
    *SESSION_END,
    *FIXED_HEADERS,
)
"""Every row."""

ACCEPTED: tuple[Vector, ...] = tuple(vector for vector in VECTORS if vector.packet is not None)
"""The rows whose bytes are a packet."""

REFUSED: tuple[Vector, ...] = tuple(vector for vector in VECTORS if vector.packet is None)
"""The rows whose bytes are an error."""
