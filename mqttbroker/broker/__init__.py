"""The MQTT state machine of a broker: connections, routing, sessions, retained messages, wills and limits, without
sockets.
"""

from mqttbroker.broker.authority import (
    Accepted,
    Action,
    Authenticator,
    Authorizer,
    Challenge,
    ClientCertificate,
    Credentials,
    Decision,
    EveryoneWelcome,
    EverythingAllowed,
    Identity,
    Peer,
    Refused,
    Verdict,
    VerdictCallback,
)
from mqttbroker.broker.connection import Connection
from mqttbroker.broker.core import BrokerCore
from mqttbroker.broker.counters import Counters
from mqttbroker.broker.entrance import Entrance, ListenerLimits
from mqttbroker.broker.events import EventListener, Events
from mqttbroker.broker.gate import Gate, host_of
from mqttbroker.broker.inspection import Inspection
from mqttbroker.broker.limits import Limits
from mqttbroker.broker.quiet import Log
from mqttbroker.broker.route import Sink
from mqttbroker.broker.steering import Steering
from mqttbroker.broker.trace import Network, Target, Trace, network_of
from mqttbroker.broker.traced import HIDDEN, Found, TracedEnd, TracedLoss, TracedPacket
from mqttbroker.broker.tracing import TooManyTraces, Tracing
from mqttbroker.broker.views import (
    CLIENT_ORDERS,
    SESSION_ORDERS,
    ClientDetail,
    ClientOrder,
    ClientSummary,
    Deleted,
    Disconnected,
    Outcome,
    Page,
    Purged,
    QueuedSummary,
    Receiver,
    Receivers,
    RetainedDetail,
    SessionOrder,
    SessionSummary,
    SubscriptionSummary,
    TopicLevel,
    Totals,
    WillDetail,
)

__all__ = [
    "CLIENT_ORDERS",
    "HIDDEN",
    "SESSION_ORDERS",
    "Accepted",
    "Action",
    "Authenticator",
    "Authorizer",
    "BrokerCore",
    "Challenge",
    "ClientCertificate",
    "ClientDetail",
    "ClientOrder",
    "ClientSummary",
    "Connection",
    "Counters",
    "Credentials",
    "Decision",
    "Deleted",
    "Disconnected",
    "Entrance",
    "EventListener",
    "Events",
    "EveryoneWelcome",
    "EverythingAllowed",
    "Found",
    "Gate",
    "Identity",
    "Inspection",
    "Limits",
    "ListenerLimits",
    "Log",
    "Network",
    "Outcome",
    "Page",
    "Peer",
    "Purged",
    "QueuedSummary",
    "Receiver",
    "Receivers",
    "Refused",
    "RetainedDetail",
    "SessionOrder",
    "SessionSummary",
    "Sink",
    "Steering",
    "SubscriptionSummary",
    "Target",
    "TooManyTraces",
    "TopicLevel",
    "Totals",
    "Trace",
    "TracedEnd",
    "TracedLoss",
    "TracedPacket",
    "Tracing",
    "Verdict",
    "VerdictCallback",
    "WillDetail",
    "host_of",
    "network_of",
]
