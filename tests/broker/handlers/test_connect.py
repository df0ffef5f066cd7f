"""CONNECT: what is refused and how, what the CONNACK says, and the log line of each refusal."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Accepted, Challenge, Credentials, Limits, Refused, Verdict, VerdictCallback
from mqttbroker.broker import Peer as OtherEnd
from mqttbroker.broker.state import State
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Disconnect,
    MQTTError,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    Publish,
    ReasonCode,
    Will,
    encode,
)
from mqttbroker.storage import MemoryStore
from tests.broker.support import V5, V31, V311, Deny, Patient, Peer, World

WHO = {"client": "client", "user": None, "address": "192.0.2.1:50001"}


def refused(peer: Peer) -> ReasonCode:
    """The reason of the CONNACK, after which the connection is closed."""
    assert peer.connack is not None
    assert peer.carrier.closed
    assert peer.connection not in peer.world.core.connections
    return peer.connack.reason_code


class Refusing:
    def __init__(self, verdict: Verdict | Exception) -> None:
        self.verdict: Verdict | Exception = verdict

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        if isinstance(self.verdict, Exception):
            raise self.verdict
        done(self.verdict)


class TestConnAck:
    def test_of_mqtt_3(self) -> None:
        for version in (V31, V311):
            assert World().client(version=version).connack == ConnAck(False)

    def test_of_mqtt_5_says_what_is_not_at_its_default(self) -> None:
        peer = World().client()
        assert peer.connack == ConnAck(
            False,
            properties=Properties(receive_maximum=1_024, maximum_packet_size=8_388_608, topic_alias_maximum=256),
        )

    def test_every_limit_that_a_client_must_know(self) -> None:
        limits = Limits(
            receive_maximum=65_535,
            max_qos=1,
            retain_available=False,
            topic_alias_maximum=0,
            wildcard_subscriptions=False,
            subscription_identifiers=False,
            shared_subscriptions=False,
            max_keep_alive=60,
            max_session_expiry=100,
            response_information="reply/${clientid}",
        )
        peer = World(limits).client(
            "c", keep_alive=61, expiry=101, properties=Properties(request_response_information=1)
        )
        assert peer.connack == ConnAck(
            False,
            properties=Properties(
                session_expiry_interval=100,
                maximum_qos=1,
                retain_available=0,
                maximum_packet_size=8_388_608,
                wildcard_subscription_available=0,
                subscription_identifier_available=0,
                shared_subscription_available=0,
                server_keep_alive=60,
                response_information="reply/c",
            ),
        )

    def test_response_information_only_for_those_who_ask(self) -> None:
        """[MQTT-3.1.2-28]"""
        peer = World(Limits(response_information="x")).client()
        assert peer.connack is not None
        assert peer.connack.properties.response_information is None

    def test_mqtt_3_1_has_no_session_present(self) -> None:
        world = World()
        world.client(version=V31, clean=False).lose()
        peer = world.client(version=V31, clean=False)
        assert peer.connack == ConnAck(False)
        assert world.logged("connected")[-1]["session_present"] is True

    @pytest.mark.parametrize(
        ("asked", "granted"), [(0, 60), (60, 60), (61, 60), (59, 59)], ids=["never", "as allowed", "longer", "shorter"]
    )
    def test_server_keep_alive(self, asked: int, granted: int) -> None:
        """[MQTT-3.2.2-21]"""
        peer = World(Limits(max_keep_alive=60)).client(keep_alive=asked)
        assert peer.connection.keep_alive == granted
        assert peer.connack is not None
        told = peer.connack.properties.server_keep_alive
        assert told == (granted if asked != granted else None)

    def test_mqtt_3_is_left_its_keep_alive(self) -> None:
        assert World(Limits(max_keep_alive=60)).client(version=V311, keep_alive=600).connection.keep_alive == 600

    def test_the_log_line(self) -> None:
        world = World()
        world.client("c", user="u")
        assert world.log == [
            (
                "info",
                "connected",
                {"client": "c", "user": "u", "address": "192.0.2.1:50001", "version": "V5", "session_present": False},
            )
        ]


class TestClientIdentifier:
    def test_an_empty_one_is_replaced(self) -> None:
        """[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]"""
        world = World()
        peers = [world.client("") for _ in range(3)]
        assigned = [peer.connack.properties.assigned_client_identifier for peer in peers if peer.connack]
        assert len(set(assigned)) == 3
        assert set(world.core.registry.sessions) == set(assigned)

    def test_one_that_is_taken_is_not_assigned(self) -> None:
        world = World()
        first = world.core.new_client_id("")
        world.client(first)
        world.core.rng.seed(1)
        assert world.core.new_client_id("") != first

    def test_in_mqtt_3_1_1_with_a_clean_session(self) -> None:
        world = World()
        assert world.client("", V311).connack == ConnAck(False)
        assert world.client("", V311).connack == ConnAck(False)
        assert len(world.core.registry.sessions) == 2

    @pytest.mark.parametrize(
        ("version", "clean"), [(V311, False), (V31, True)], ids=["3.1.1, to be kept", "3.1 has no empty ones"]
    )
    def test_where_there_may_be_none(self, version: ProtocolVersion, clean: bool) -> None:
        """[3.1.1: MQTT-3.1.3-8]"""
        peer = World().opened(version)
        peer.connect("", clean=clean)
        assert refused(peer) == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID

    def test_one_that_is_too_long(self) -> None:
        world = World(Limits(max_client_id_length=23))
        assert world.client("\u00e4" * 11 + "a").connack
        peer = world.opened()
        peer.connect("\u00e4" * 12)
        assert refused(peer) == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID


class TestVersions:
    @pytest.mark.parametrize(
        ("name", "level", "answer"),
        [
            pytest.param(b"\x00\x04MQTT", 6, b"\x20\x02\x00\x01", id="level 6"),
            pytest.param(b"\x00\x06MQIsdp", 4, b"\x20\x02\x00\x01", id="old name, new level"),
            pytest.param(b"\x00\x04HTTP", 4, b"", id="another name"),
        ],
    )
    def test_what_is_not_spoken(self, name: bytes, level: int, answer: bytes) -> None:
        """[3.1.1: MQTT-3.1.2-2]"""
        peer = World().opened()
        body = name + bytes([level, 2, 0, 0, 0, 0, 1]) + b"c"
        peer.feed(bytes([0x10, len(body)]) + body)
        assert b"".join(peer.carrier.sent) == answer
        assert peer.carrier.closed

    def test_a_malformed_connect_is_answered_in_its_version(self) -> None:
        world = World()
        for version, expected in ((V5, 1), (V311, 0)):
            packet = encode(Connect("client", version), version)
            peer = world.opened(version)
            peer.feed(bytes([packet[0], packet[1] - 1]) + packet[2:-1])
            assert len(peer.take()) == expected
            assert peer.carrier.closed

    @pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x04MQTT", b"\xff\xff"], ids=bytes.hex)
    def test_bodies_that_end_early(self, body: bytes) -> None:
        peer = World().opened()
        peer.feed(bytes([0x10, len(body)]) + body)
        assert peer.carrier.closed
        assert peer.carrier.sent == []


class TestWill:
    @pytest.mark.parametrize(
        ("will", "limits", "reason"),
        [
            pytest.param(Will("a/+"), Limits(), ReasonCode.TOPIC_NAME_INVALID, id="wildcard"),
            pytest.param(Will(""), Limits(), ReasonCode.TOPIC_NAME_INVALID, id="empty topic"),
            pytest.param(Will("a/b/c"), Limits(max_topic_levels=2), ReasonCode.TOPIC_NAME_INVALID, id="levels"),
            pytest.param(Will("t", qos=2), Limits(max_qos=1), ReasonCode.QOS_NOT_SUPPORTED, id="QoS"),
            pytest.param(
                Will("t", retain=True), Limits(retain_available=False), ReasonCode.RETAIN_NOT_SUPPORTED, id="retain"
            ),
            pytest.param(Will("$SYS/x"), Limits(), ReasonCode.NOT_AUTHORIZED, id="a name of the server"),
            pytest.param(Will("denied"), Limits(), ReasonCode.NOT_AUTHORIZED, id="by a rule"),
        ],
    )
    def test_refused(self, will: Will, limits: Limits, reason: ReasonCode) -> None:
        world = World(limits, authorizer=Deny(("publish", "denied")))
        peer = world.opened()
        peer.connect(will=will)
        assert refused(peer) == reason
        assert world.core.registry.sessions == {}

    def test_the_response_topic_is_a_topic_name(self) -> None:
        """[MQTT-3.3.2-14]"""
        peer = World().opened()
        peer.connect(will=Will("t", properties=Properties(response_topic="")))
        assert refused(peer) == ReasonCode.PROTOCOL_ERROR

    def test_the_log_line_of_a_rule(self) -> None:
        world = World(authorizer=Deny(("publish", "denied")))
        world.opened().connect(will=Will("denied", b"secret payload"))
        assert world.logged("refused") == [
            {**WHO, "action": "publish will", "topic": "denied", "rule": "rule for denied"}
        ]
        assert "secret" not in str(world.log)


class TestAuthenticator:
    def test_what_it_is_told(self) -> None:
        patient = Patient()
        peer = World(authenticator=patient).opened()
        peer.connect("c", user="u", password=b"p")
        (asked,) = patient.asked
        assert asked.credentials == Credentials("c", "u", b"p", OtherEnd("192.0.2.1:50001"), "tcp")

    def test_the_name_that_it_gives_counts(self) -> None:
        world = World(authenticator=Refusing(Accepted("somebody")))
        peer = world.client(user="claimed")
        assert peer.connection.identity.username == "somebody"
        assert world.session().username == "somebody"

    @pytest.mark.parametrize(
        ("reason", "in_mqtt_3"),
        [
            (ReasonCode.BAD_USER_NAME_OR_PASSWORD, ReasonCode.BAD_USER_NAME_OR_PASSWORD),
            (ReasonCode.NOT_AUTHORIZED, ReasonCode.NOT_AUTHORIZED),
            (ReasonCode.SERVER_UNAVAILABLE, ReasonCode.SERVER_UNAVAILABLE),
            (ReasonCode.BANNED, ReasonCode.NOT_AUTHORIZED),
            (ReasonCode.PROTOCOL_ERROR, None),
        ],
        ids=lambda reason: reason.name if reason else "silence",
    )
    def test_refused(self, reason: ReasonCode, in_mqtt_3: ReasonCode | None) -> None:
        world = World(authenticator=Refusing(Refused(reason, "detail for the log")))
        peer = world.opened()
        peer.connect(user="u", password=b"secret")
        assert peer.connack == ConnAck(False, reason)
        peer = world.opened(V311)
        peer.connect(user="u", password=b"secret")
        assert (peer.connack.reason_code if peer.connack else None) == in_mqtt_3
        assert peer.carrier.closed
        assert world.core.counters.connections_refused == 2
        assert world.core.registry.sessions == {}

    def test_the_log_line(self) -> None:
        world = World(authenticator=Refusing(Refused(detail="wrong password")))
        world.opened().connect(user="u", password=b"secret")
        assert world.log == [("warning", "authentication refused", {**WHO, "reason": "wrong password"})]

    def test_one_that_raises_lets_nobody_in(self) -> None:
        world = World(authenticator=Refusing(RuntimeError("no database")))
        peer = world.opened()
        peer.connect(user="u", password=b"secret")
        assert peer.connack == ConnAck(False, ReasonCode.UNSPECIFIED_ERROR)
        assert world.log == [("error", "authenticator failed", {**WHO, "error": "RuntimeError('no database')"})]

    def test_an_error_of_the_protocol_from_it_is_an_answer(self) -> None:
        world = World(authenticator=Refusing(MQTTError(ReasonCode.BANNED, "")))
        peer = world.opened()
        peer.connect()
        assert refused(peer) == ReasonCode.BANNED

    def test_a_verdict_that_cannot_be_followed(self) -> None:
        # MQTT 3 has no AUTH packet for the challenge.
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened(V311)
        peer.connect()
        patient.answer(Challenge(b"", lambda data, done: None))
        assert peer.carrier.closed
        assert len(world.logged("unexpected error")) == 1


class TestSlowAuthenticator:
    def test_what_is_sent_meanwhile_waits(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.feed(encode(Connect("client", V5), V5) + encode(Publish("t", qos=1, packet_id=1), V5) + b"\xc0")
        assert not peer.reads()
        peer.feed(b"\x00")
        peer.feed(encode(PingReq(), V5))
        assert peer.carrier.sent == []
        patient.answer(Accepted())
        world.flush()
        assert peer.reads()
        assert [type(each) for each in peer.take()] == [ConnAck, PubAck, PingResp, PingResp]

    @pytest.mark.parametrize("cut", [1, 5, 20], ids=str)
    def test_also_where_connect_came_in_pieces(self, cut: int) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        packet = encode(Connect("a client identifier of some length", V5), V5)
        peer.feed(packet[:cut])
        peer.feed(packet[cut:])
        peer.feed(encode(PingReq(), V5))
        patient.answer(Accepted())
        world.flush()
        assert [type(each) for each in peer.take()] == [ConnAck, PingResp]

    def test_nothing_of_it_is_handled_after_a_refusal(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        listener = world.opened()
        listener.connect("listener")
        patient.answer(Accepted())
        world.flush()
        listener.take()
        listener.subscribe("#")
        peer = world.opened()
        peer.feed(encode(Connect("client", V5), V5) + encode(Publish("t"), V5))
        patient.answer(Refused())
        world.flush()
        assert [type(each) for each in peer.take()] == [ConnAck]
        assert listener.take() == []

    def test_a_verdict_after_the_end_is_nothing(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.connect()
        peer.lose()
        patient.answer(Accepted())
        assert world.core.registry.sessions == {}

    def test_a_second_verdict_is_nothing(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.connect()
        question = patient.asked[0]
        question.answer(Accepted("first"))
        question.answer(Refused())
        assert peer.connection.state == State.CONNECTED
        assert peer.connection.identity.username == "first"

    def test_it_has_until_the_connect_timeout(self) -> None:
        patient = Patient()
        world = World(Limits(connect_timeout=10.0), authenticator=patient)
        peer = world.opened()
        peer.connect()
        world.advance(10)
        (answer,) = peer.take()
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == ReasonCode.UNSPECIFIED_ERROR

    def test_two_for_one_client_identifier(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peers = [world.opened() for _ in range(2)]
        for peer in peers:
            peer.connect()
        patient.answer(Accepted())
        patient.answer(Accepted())
        world.flush()
        first, second = (peer.take() for peer in peers)
        assert [type(each) for each in first] == [ConnAck, Disconnect]
        assert [type(each) for each in second] == [ConnAck]

    def test_a_full_socket_and_a_verdict(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.connect()
        peer.congest()
        patient.answer(Accepted())
        world.flush()
        assert not peer.reads()
        assert not peer.connection.outbox.open
        peer.relieve()
        assert peer.reads()
        assert peer.connection.outbox.open


class TestOwner:
    """Section 5.4.2: a session belongs to the user that made it."""

    @pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
    @pytest.mark.parametrize("clean", [True, False], ids=["clean start", "resume"])
    def test_another_user_can_neither_resume_nor_end_it(self, online: bool, clean: bool) -> None:
        world = World()
        owner = world.client("c", expiry=100, user="owner")
        if not online:
            owner.lose()
        thief = world.opened()
        thief.connect("c", clean=clean, user="thief")
        assert refused(thief) == ReasonCode.NOT_AUTHORIZED
        assert world.session("c").username == "owner"
        assert world.session("c").online is online
        assert world.core.counters.takeovers == 0

    def test_the_log_line(self) -> None:
        world = World()
        world.client("c", user="owner")
        world.opened().connect("c", user="thief")
        assert world.log[1:] == [
            (
                "warning",
                "client identifier belongs to somebody else",
                {"client": "c", "user": "thief", "address": "192.0.2.1:50002", "owner": "owner"},
            )
        ]

    def test_after_a_restart_too(self) -> None:
        store = MemoryStore()
        world = World(store=store)
        world.client("c", expiry=100, user="owner").lose()
        thief = world.restarted().opened()
        thief.connect("c", clean=False)
        assert refused(thief) == ReasonCode.NOT_AUTHORIZED


class TestTopicAliases:
    @pytest.mark.parametrize(
        ("asked", "granted", "used"),
        [(2, 5, 2), (5, 2, 2), (0, 5, 0)],
        ids=["as many as the client takes", "as many as the broker wants", "none"],
    )
    def test_no_more_than_the_client_takes_and_the_broker_wants(self, asked: int, granted: int, used: int) -> None:
        """[MQTT-3.1.2-26] [MQTT-3.1.2-27]"""
        world = World(Limits(topic_alias_maximum=granted))
        peer = world.client(properties=Properties(topic_alias_maximum=asked or None))
        peer.subscribe("#")
        talker = world.client("talker")
        for topic in "abc":
            talker.publish(topic)
        aliases = [packet.properties.topic_alias for packet in peer.published()]
        assert aliases == [1, 2, 3][:used] + [None] * (3 - used)
