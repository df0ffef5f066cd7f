"""Who a client is and what it may do: a password file and access rules, behind the broker's two interfaces.

Whatever is wrong with a file is a :class:`SecurityError`. Who meets one refuses to start, or keeps what was in force.
"""

from mqttbroker.security.acl import AccessList
from mqttbroker.security.authenticator import PasswordAuthenticator, RunInThread
from mqttbroker.security.by_listener import RulesByListener
from mqttbroker.security.changing import ChangingAuthenticator
from mqttbroker.security.covers import covers
from mqttbroker.security.errors import SecurityError, TlsError
from mqttbroker.security.offload import ThreadOffload
from mqttbroker.security.passwords import PasswordFile
from mqttbroker.security.peer import PeerAuthenticator
from mqttbroker.security.rule_file import NO_FILE, FormerRules, RuleFile, RulesChangedMeanwhile
from mqttbroker.security.rules import Rule, check_rules, load_rules, parse_rules, version_of

__all__ = [
    "NO_FILE",
    "AccessList",
    "ChangingAuthenticator",
    "FormerRules",
    "PasswordAuthenticator",
    "PasswordFile",
    "PeerAuthenticator",
    "Rule",
    "RuleFile",
    "RulesByListener",
    "RulesChangedMeanwhile",
    "RunInThread",
    "SecurityError",
    "ThreadOffload",
    "TlsError",
    "check_rules",
    "covers",
    "load_rules",
    "parse_rules",
    "version_of",
]
