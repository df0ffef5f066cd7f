"""The versions of MQTT that the broker speaks, and how a CONNECT names them.

A version is a pair of protocol name and protocol level in the variable header of CONNECT
(section 3.1.2.1 and 3.1.2.2). Only the three pairs below exist for us; a known level under the
wrong name is as unknown as a wrong level.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

__all__ = ["PROTOCOL_NAMES", "ProtocolVersion"]


class ProtocolVersion(IntEnum):
    """A version of MQTT; the value is the protocol level on the wire."""

    V31 = 3
    V311 = 4
    V5 = 5


PROTOCOL_NAMES: Mapping[ProtocolVersion, str] = {
    ProtocolVersion.V31: "MQIsdp",
    ProtocolVersion.V311: "MQTT",
    ProtocolVersion.V5: "MQTT",
}
"""The protocol name that goes with each version in CONNECT."""
