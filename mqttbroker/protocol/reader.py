"""From a stream of bytes, cut anywhere, to packets.

The reader keeps the bytes of at most one unfinished packet. It never allocates by a declared length:
memory grows with what has arrived. Every byte is copied a fixed number of times, so that a large
packet in small pieces takes linear time. How the stream is cut never changes what comes out.
"""

from __future__ import annotations

from mqttbroker.protocol.decoder import decode
from mqttbroker.protocol.errors import MQTTError, PacketTooLarge
from mqttbroker.protocol.packets import Connect, Packet
from mqttbroker.protocol.properties import DEFAULT_MAX_USER_PROPERTIES
from mqttbroker.protocol.versions import ProtocolVersion
from mqttbroker.protocol.wire import MAX_REMAINING_LENGTH, read_remaining_length

__all__ = ["MAX_PACKET_SIZE", "PacketReader"]

MAX_PACKET_SIZE = 1 + 4 + MAX_REMAINING_LENGTH
"""The size in bytes of the largest packet that the protocol can express."""


class PacketReader:
    """Splits a stream into packets and decodes them.

    `version` is the version to read with; a CONNECT in the stream switches it. `max_packet_size`
    counts the whole packet in bytes, fixed header included.

    After an error the reader reads nothing more: packets before it in the stream are still returned,
    and then every call of `feed` raises it. `error` tells at once.
    """

    __slots__ = ("_held", "_max_packet_size", "_max_user_properties", "_wanted", "error", "version")

    def __init__(
        self,
        version: ProtocolVersion = ProtocolVersion.V5,
        max_packet_size: int = MAX_PACKET_SIZE,
        max_user_properties: int = DEFAULT_MAX_USER_PROPERTIES,
    ) -> None:
        self.version: ProtocolVersion = version
        self.error: MQTTError | None = None
        self._max_packet_size: int = max_packet_size
        self._max_user_properties: int = max_user_properties
        # The start of an unfinished packet, and how many bytes it takes before a look is worth it.
        self._held: bytearray = bytearray()
        self._wanted: int = 0

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes, oldest first.

        Raises MQTTError once everything before the error has been returned.
        """
        if self.error is not None:
            raise self.error
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return []
            data = bytes(self._held)
            self._held = bytearray()
        packets: list[Packet] = []
        try:
            pos = self._take_packets(data, packets)
        except MQTTError as error:
            self.error = error
            if not packets:
                raise
            return packets
        if pos < len(data):
            self._held += data[pos:]
        return packets

    def _take_packets(self, data: bytes, packets: list[Packet]) -> int:
        """Decode every whole packet in `data`; the position of the unfinished rest."""
        pos = 0
        size = len(data)
        while pos < size:
            remaining, start = read_remaining_length(data, pos + 1)
            if remaining < 0:
                self._wanted = size - pos + 1
                return pos
            end = start + remaining
            if end - pos > self._max_packet_size:
                raise PacketTooLarge(f"packet of {end - pos} bytes")
            if end > size:
                self._wanted = end - pos
                return pos
            packet = decode(data[pos], data[start:end], self.version, max_user_properties=self._max_user_properties)
            if isinstance(packet, Connect):
                self.version = packet.version
            packets.append(packet)
            pos = end
        return pos
