"""Mount points: names as a client sees them, and as the broker knows them.

A client of a listener with a mount point lives below it: the broker puts the mount point in front of every topic and
filter that comes from the client, and :class:`Wire` takes it away from those that go there. Client identifiers below
one mount point have nothing to do with those elsewhere: the broker knows them with the mount point in front, and U+0000
in between, which no string of MQTT can hold.
"""

from __future__ import annotations

from mqttbroker.topics import split_share

__all__ = ["mounted_client_id", "mounted_filter", "split_client_id"]


def mounted_client_id(mount_point: str, client_id: str) -> str:
    """The client identifier by which sessions are known."""
    return f"{mount_point}\0{client_id}" if mount_point else client_id


def split_client_id(known: str) -> tuple[str, str]:
    """Mount point and the client's own identifier, of the one by which its session is known."""
    mount_point, _, client_id = known.rpartition("\0")
    return mount_point, client_id


def mounted_filter(mount_point: str, topic_filter: str) -> str:
    """The topic filter below the mount point, also in a shared subscription. Raises ``InvalidTopicFilter``."""
    if not mount_point:
        return topic_filter
    share, inner = split_share(topic_filter)
    return f"$share/{share}/{mount_point}{inner}" if share else mount_point + inner
