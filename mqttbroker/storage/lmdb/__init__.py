"""The durable store: LMDB files in one directory, written in groups by a thread of its own."""

from mqttbroker.storage.lmdb.environment import Durability
from mqttbroker.storage.lmdb.opening import open_environment
from mqttbroker.storage.lmdb.store import LmdbStore

__all__ = ["Durability", "LmdbStore", "open_environment"]
