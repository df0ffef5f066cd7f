"""One vector: the bytes of a packet in one version, and what they are.

A row is a name, a version, the bytes in the notation of `notation`, and the packet that they are, or
the reason code of the error that they cause. `canonical` is False where the encoder writes the packet
in another form.
"""

from __future__ import annotations

from dataclasses import dataclass

from mqttbroker.protocol import Packet, ProtocolVersion, ReasonCode
from tests.protocol.notation import assemble

__all__ = ["MALFORMED", "V5", "V31", "V311", "VIOLATION", "Vector", "accept", "everywhere", "refuse"]

V31 = ProtocolVersion.V31
V311 = ProtocolVersion.V311
V5 = ProtocolVersion.V5
MALFORMED = ReasonCode.MALFORMED_PACKET
VIOLATION = ReasonCode.PROTOCOL_ERROR


@dataclass(frozen=True, slots=True)
class Vector:
    """One row. Either `packet` or `error` is set."""

    name: str
    version: ProtocolVersion
    data: bytes
    packet: Packet | None = None
    error: ReasonCode | None = None
    canonical: bool = True

    def __str__(self) -> str:
        return f"{self.version.name.lower()}-{self.name.replace(' ', '-')}"


def accept(name: str, version: ProtocolVersion, text: str, packet: Packet, *, canonical: bool = True) -> Vector:
    """A row of bytes that are a packet."""
    return Vector(name, version, assemble(text), packet=packet, canonical=canonical)


def refuse(name: str, version: ProtocolVersion, text: str, error: ReasonCode) -> Vector:
    """A row of bytes that are refused."""
    return Vector(name, version, assemble(text), error=error)


def everywhere(
    name: str, text: str, result: Packet | ReasonCode, versions: tuple[ProtocolVersion, ...] = (V31, V311, V5)
) -> list[Vector]:
    """The same row for several versions."""
    if isinstance(result, ReasonCode):
        return [refuse(name, version, text, result) for version in versions]
    return [accept(name, version, text, result) for version in versions]
