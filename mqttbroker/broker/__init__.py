"""The MQTT state machine of a broker: connections, routing, sessions, retained messages, wills and limits, without
sockets.
"""

from mqttbroker.broker.authority import (
    Accepted,
    Action,
    Authenticator,
    Authorizer,
    Challenge,
    Credentials,
    Decision,
    EveryoneWelcome,
    EverythingAllowed,
    Identity,
    Refused,
    Verdict,
    VerdictCallback,
)
from mqttbroker.broker.connection import Connection
from mqttbroker.broker.core import BrokerCore, Log
from mqttbroker.broker.counters import Counters
from mqttbroker.broker.limits import Limits
from mqttbroker.broker.route import Sink

__all__ = [
    "Accepted",
    "Action",
    "Authenticator",
    "Authorizer",
    "BrokerCore",
    "Challenge",
    "Connection",
    "Counters",
    "Credentials",
    "Decision",
    "EveryoneWelcome",
    "EverythingAllowed",
    "Identity",
    "Limits",
    "Log",
    "Refused",
    "Sink",
    "Verdict",
    "VerdictCallback",
]
