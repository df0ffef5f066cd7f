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
from mqttbroker.broker.gate import Gate, host_of
from mqttbroker.broker.limits import Limits
from mqttbroker.broker.quiet import Log
from mqttbroker.broker.route import Sink

__all__ = [
    "Accepted",
    "Action",
    "Authenticator",
    "Authorizer",
    "BrokerCore",
    "Challenge",
    "ClientCertificate",
    "Connection",
    "Counters",
    "Credentials",
    "Decision",
    "Entrance",
    "EveryoneWelcome",
    "EverythingAllowed",
    "Gate",
    "Identity",
    "Limits",
    "ListenerLimits",
    "Log",
    "Peer",
    "Refused",
    "Sink",
    "Verdict",
    "VerdictCallback",
    "host_of",
]
