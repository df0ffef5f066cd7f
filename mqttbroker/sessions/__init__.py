"""What one client is owed: subscriptions, the window of messages in flight, the queue behind it, and its wire.

This layer knows no sockets. A session writes encoded packets into an :class:`Outbox`; whoever
carries bytes empties it.
"""

from mqttbroker.sessions.limits import SLICE, Drop, SessionLimits
from mqttbroker.sessions.mounting import mounted_client_id, mounted_filter, split_client_id
from mqttbroker.sessions.outbox import NOWHERE, Carrier, Outbox
from mqttbroker.sessions.session import Session
from mqttbroker.sessions.subscription import Subscription
from mqttbroker.sessions.waiting import Waiting

__all__ = [
    "NOWHERE",
    "SLICE",
    "Carrier",
    "Drop",
    "Outbox",
    "Session",
    "SessionLimits",
    "Subscription",
    "Waiting",
    "mounted_client_id",
    "mounted_filter",
    "split_client_id",
]
