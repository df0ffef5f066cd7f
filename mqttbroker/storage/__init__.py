"""Durable records of one broker: sessions, what they are owed, and retained messages.

:class:`Store` is the interface; :class:`MemoryStore` is the implementation that lasts as long as the process.
This layer knows no connections and no packets as they are on the wire.
"""

from mqttbroker.storage.memory import MemoryStore
from mqttbroker.storage.messages import Message, QueuedMessage
from mqttbroker.storage.records import SessionRecord, SubscriptionRecord, WillRecord
from mqttbroker.storage.store import Durable, Store, StoreError, StoreFull

__all__ = [
    "Durable",
    "MemoryStore",
    "Message",
    "QueuedMessage",
    "SessionRecord",
    "Store",
    "StoreError",
    "StoreFull",
    "SubscriptionRecord",
    "WillRecord",
]
