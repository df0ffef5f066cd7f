"""All known packets, right ones and wrong ones, and what a broker makes of each: the same in every build.

Run as a program it prints the transcript, so that one interpreter can be held against another.
"""

from __future__ import annotations

from mqttbroker.protocol import Connect, ProtocolVersion, encode
from tests.protocol.vectors import VECTORS
from tests.threats.sans_io import Harness

__all__ = ["streams", "transcript"]


def streams() -> list[tuple[str, bytes]]:
    """Each vector of the codec as the first packet of a connection, and behind a CONNECT."""
    found: list[tuple[str, bytes]] = []
    for vector in VECTORS:
        connect = encode(Connect("c", vector.version, username="u"), vector.version)
        found.append((f"{vector} first", vector.data))
        found.append((f"{vector} after CONNECT", connect + vector.data))
        found.append((f"{vector} cut short and continued", connect + vector.data[:-1] + connect))
    return found


def transcript() -> list[str]:
    """One line for each stream: what was sent back, whether the connection is open, and what was logged."""
    lines: list[str] = []
    for name, data in streams():
        harness = Harness()
        connection, carrier = harness.open()
        harness.feed(connection, data)
        harness.feed(connection, encode(Connect("d"), ProtocolVersion.V5))
        harness.tick(100)
        logged = [(level, event, details.get("code")) for level, event, details in harness.logged]
        lines.append(f"{name}: {carrier.sent.hex()} {carrier.open} {logged}")
    return lines


if __name__ == "__main__":
    for line in transcript():
        print(line)
