"""What the standards leave to a server, and what this one does. ``{name}`` stands for the default of that limit."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CHOICES", "Choice"]


class Choice(NamedTuple):
    """One thing that a server decides for itself."""

    section: str
    """Of MQTT 5.0, unless it says otherwise."""
    left_open: str
    behaviour: str


CHOICES = (
    Choice("1.5.4", "Control characters and non-characters in strings", "accepted; U+0000 and surrogates are not"),
    Choice(
        "3.1.2.1, 3.1.2.2",
        "Answer to an unknown protocol",
        "another name: closed without an answer. `MQTT` or `MQIsdp` with an unknown version: the CONNACK of MQTT 3.1.1 "
        "with return code 1, which every client can read; then closed",
    ),
    Choice("3.1.2.5", "Will of a client whose rights were taken away", "not published, and logged"),
    Choice(
        "3.1.2.10",
        "Keep Alive",
        "the client's value up to {max_keep_alive} s; a lower limit is told in Server Keep Alive and replaces 0 too",
    ),
    Choice(
        "3.1.2.11.2",
        "Session Expiry Interval",
        "granted up to {max_session_expiry} s (4294967295: for ever); less is told in CONNACK",
    ),
    Choice(
        "3.1.2.11.4",
        "Client's Maximum Packet Size that an answer exceeds",
        "Reason String and User Properties are left out; a CONNACK that is still too large becomes a refusal with 0x95,"
        " a SUBACK or UNSUBACK a DISCONNECT with 0x95",
    ),
    Choice("3.1.2.11.7", "Reason String where Request Problem Information is 0", "left out of every packet"),
    Choice(
        "3.1.3.1",
        "Client identifiers",
        "any string of up to {max_client_id_length} bytes; an empty one is replaced by `auto-` and 20"
        " hexadecimal digits",
    ),
    Choice(
        "3.1.3.1 of 3.1.1",
        "Empty client identifier in MQTT 3.1.1",
        "accepted with Clean Session 1, else refused with 2",
    ),
    Choice(
        "3.1.4, 5.4.2",
        "A client identifier whose session another user made",
        "refused with 0x87 (MQTT 3: return code 5)",
    ),
    Choice(
        "3.1.4", "Packets that arrive behind CONNECT before CONNACK was sent", "handled after CONNACK, in their order"
    ),
    Choice("3.2.2.3.3", "Receive Maximum of the server", "{receive_maximum}; one more is answered with 0x93"),
    Choice("3.2.2.3.4", "Maximum QoS", "{max_qos}"),
    Choice("3.2.2.3.6", "Maximum Packet Size of the server", "{max_packet_size} bytes, announced always"),
    Choice("3.2.2.3.8", "Topic Alias Maximum of the server", "{topic_alias_maximum}, in each direction"),
    Choice("3.2.2.3.15", "Response Information", "none, unless configured with `response_information`"),
    Choice("3.2.2.3.16", "Server Reference", "never sent"),
    Choice(
        "3.2.2.3.9, 3.2.2.3.10",
        "Reason String and User Properties of the server",
        "Reason String with refusals; no User Properties",
    ),
    Choice(
        "3.3.1.3",
        "Retained messages",
        "kept in all versions and for all QoS until they expire, are replaced or removed; one that there is no room"
        " for is refused with 0x97 as a whole, also for current subscribers",
    ),
    Choice("3.3.1.3", "Order of retained messages for a wildcard", "not defined"),
    Choice("3.3.1.3", "Retained messages for a shared subscription", "none, as section 4.8.2 demands"),
    Choice("3.3.2.3.2", "Payload that does not fit its Payload Format Indicator", "not looked at, and forwarded"),
    Choice(
        "3.3.2.3.4",
        "Aliases that the server sends",
        "the first topics of a connection get them, up to the client's maximum and {topic_alias_maximum}; they do not"
        " change",
    ),
    Choice(
        "3.3.4",
        "Overlapping subscriptions",
        "one copy with the highest QoS and the identifiers of all; RETAIN as published if any of them asked for that. "
        "Shared subscriptions are apart and get a copy of their own",
    ),
    Choice(
        "3.3.4, 3.4.2.1",
        "A PUBLISH that is not allowed",
        "MQTT 5.0: PUBACK or PUBREC with 0x87, QoS 0 is dropped. MQTT 3: acknowledged like any other and dropped",
    ),
    Choice(
        "3.3.4",
        "A PUBLISH that there is no room for",
        "MQTT 5.0: PUBACK or PUBREC with 0x97. MQTT 3: not acknowledged, so that the client sends it again",
    ),
    Choice("3.4.2.1", "No matching subscribers", "told with 0x10 in PUBACK and PUBREC"),
    Choice(
        "3.3.2.1",
        "A topic name that is too long or has too many levels",
        "{max_topic_length} bytes, {max_topic_levels} levels: more is answered with 0x90",
    ),
    Choice("3.8.4", "Granted QoS", "what was asked for, up to the Maximum QoS"),
    Choice("3.8.4", "Retained messages and SUBACK", "SUBACK first"),
    Choice("4.1", "Messages of QoS 0 for a session without a connection", "dropped"),
    Choice(
        "4.1",
        "Queue of a session",
        "up to {max_queued_messages} messages and {max_queued_bytes} bytes; then `queue_policy` decides:"
        " {queue_policy}",
    ),
    Choice(
        "4.3.3",
        "When a QoS 2 message is passed on",
        "when its PUBLISH arrives (method B of 3.1.1); its identifier is kept until PUBREL",
    ),
    Choice("4.4", "Retransmission", "on a new connection only, in MQTT 3 too"),
    Choice("4.6", "Ordered topics", "all, for each QoS"),
    Choice("4.7.2", "Topics that begin with `$`", "the server's own: no client may publish to them"),
    Choice(
        "4.8.2",
        "Choice among the members of a shared subscription",
        "{shared_strategy}; members that are connected come first",
    ),
    Choice(
        "4.8.2",
        "QoS 2 to a shared subscription",
        "once sent, a message stays with its member, whose session ends with it; one that was never sent"
        " goes to another member",
    ),
    Choice(
        "4.12",
        "Enhanced authentication",
        "by an authenticator given to the library; none is built in, so every method is refused with 0x8C",
    ),
    Choice("4.13", "Errors", "answered with CONNACK or DISCONNECT and a reason code (MQTT 5.0), then closed"),
)
