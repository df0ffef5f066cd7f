"""What a broker may never send, whatever a test is about: held against every packet that any client receives.

That a packet can be read at all, has no property that does not belong to it, and so on, is seen to by the client's
decoder. What is here depends on who sends, and on what came before. A Referee raises in the client that waits.
"""

from __future__ import annotations

from mqttbroker.protocol import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from tests.conformance.codes import FROM_SERVER, MQTT3
from tests.support.raw import RawClient

__all__ = ["Referee"]

WITH_CODE = ConnAck | PubAck | PubRec | PubRel | PubComp | Disconnect | Auth


class Referee:
    """Watches one connection; see :attr:`RawClient.watch`."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._connected = False
        self._ended = False

    def __call__(self, packet: Packet, raw: bytes) -> None:
        """Raise :class:`AssertionError` if the broker may not send this packet, or not now."""
        shown = f"{packet!r} ({raw[:64].hex(' ')})"
        assert not self._ended, f"after the last packet of the connection came {shown}"  # [MQTT-3.14.4-1]
        assert not isinstance(packet, Connect | Subscribe | Unsubscribe | PingReq), f"not a server's packet: {shown}"
        if not self._connected:
            # [MQTT-3.2.0-1] [MQTT-3.14.0-1]
            assert isinstance(packet, ConnAck | Auth), f"before a CONNACK of success came {shown}"
        else:
            assert not isinstance(packet, ConnAck), f"a second CONNACK: {shown}"  # [MQTT-3.2.0-2]
        five = self._client.version == ProtocolVersion.V5
        for code in _codes(packet, raw, five):
            kind = packet.type.name
            # [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2]
            # [MQTT-3.14.2-1] [MQTT-3.15.2-1]
            legal = FROM_SERVER[kind] if five else MQTT3[kind]
            assert code in legal, f"a server may not send 0x{code:02x} in {kind}: {shown}"
        if isinstance(packet, Publish):
            # [MQTT-3.3.1-2] [MQTT-3.3.2-2]
            assert packet.qos or not packet.dup, f"DUP with QoS 0: {shown}"
            assert not set("+#") & set(packet.topic), f"a topic name with wildcards: {shown}"
        elif isinstance(packet, Disconnect):
            assert five, f"a server of MQTT 3 sends no DISCONNECT: {shown}"
            assert packet.properties.session_expiry_interval is None, shown  # [MQTT-3.14.2-2]
            self._ended = True
        elif isinstance(packet, ConnAck):
            self._connected = raw[3] == 0
            self._ended = not self._connected


def _codes(packet: Packet, raw: bytes, five: bool) -> tuple[int, ...]:
    """The codes that the packet carries; in MQTT 3 the bytes on the wire."""
    if isinstance(packet, SubAck | UnsubAck):
        if five:
            return tuple(int(code) for code in packet.reason_codes)
        return tuple(raw[-len(packet.reason_codes) :]) if packet.reason_codes else ()
    if isinstance(packet, ConnAck) and not five:
        return (raw[3],)
    if isinstance(packet, WITH_CODE) and five:
        return (int(packet.reason_code),)
    return ()
