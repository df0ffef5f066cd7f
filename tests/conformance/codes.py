"""Which reason codes each side may send in which packet: the standard's table in ``data/reason-codes.tsv``.

It is read here and not taken from the broker, which has a table of its own. A code with a question mark behind its
remark stands where the standard contradicts itself, and counts as illegal.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict

from tests.conformance.statements import FOLDER

__all__ = ["FROM_CLIENT", "FROM_SERVER", "MQTT3"]


def _read() -> tuple[dict[str, frozenset[int]], dict[str, frozenset[int]]]:
    sides: dict[str, dict[str, set[int]]] = {"client": defaultdict(set), "server": defaultdict(set)}
    with (FOLDER / "data" / "reason-codes.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            for packet, remark, doubt in re.findall(r"([A-Z]+)(?:\(([^)]*)\))?(\?)?", row["packets"]):
                for side, codes in sides.items():
                    if not doubt and remark in ("", f"{side} only"):
                        codes[packet].add(int(row["code"], 16))
    from_client, from_server = (
        {packet: frozenset(codes) for packet, codes in sides[side].items()} for side in ("client", "server")
    )
    return from_client, from_server


FROM_CLIENT, FROM_SERVER = _read()
"""Name of the packet as in the standard to the codes that this side may send in it."""

MQTT3 = {"CONNACK": frozenset(range(6)), "SUBACK": frozenset((0, 1, 2, 0x80))}
"""The return codes of MQTT 3.1 and 3.1.1, as they are on the wire."""
