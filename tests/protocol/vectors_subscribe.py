"""Vectors of SUBSCRIBE to UNSUBACK (sections 3.8 to 3.11), the rest (3.12 to 3.15), and fixed headers."""

from __future__ import annotations

from mqttbroker.protocol import (
    Auth,
    Disconnect,
    PingReq,
    PingResp,
    Properties,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
)
from tests.protocol.vector import MALFORMED, V5, V31, V311, VIOLATION, Vector, accept, everywhere, refuse

__all__ = ["FIXED_HEADERS", "SESSION_END", "SUBSCRIPTIONS"]

_OLD = (V31, V311)
_A = SubscriptionRequest("a")
_B = SubscriptionRequest("b/#", 2)
_QOS_0 = ReasonCode.GRANTED_QOS_0
_QOS_2 = ReasonCode.GRANTED_QOS_2
_FAILURE = ReasonCode.UNSPECIFIED_ERROR
_METHOD = Properties(authentication_method="m")

SUBSCRIPTIONS: list[Vector] = [
    *everywhere("subscribe", "82 .. 0001 <a> 00 <b/#> 02", Subscribe(1, (_A, _B)), _OLD),
    accept("subscribe", V5, "82 .. 0001 [] <a> 00 <b/#> 02", Subscribe(1, (_A, _B))),
    accept("subscribe repeated", V31, "8A .. 0001 <a> 00", Subscribe(1, (_A,)), canonical=False),
    *everywhere("subscribe repeated", "8A .. 0001 00 <a> 00", MALFORMED, (V311, V5)),
    accept(
        "subscribe all options",
        V5,
        "82 .. FFFF [] <a> 2D",
        Subscribe(65535, (SubscriptionRequest("a", 1, True, True, 2),)),
    ),
    accept(
        "subscribe retain handling 1",
        V5,
        "82 .. 0001 [] <a> 10",
        Subscribe(1, (SubscriptionRequest("a", retain_handling=1),)),
    ),
    accept(
        "subscribe identifier",
        V5,
        "82 .. 0001 [0B 8080808001 26 <k> <v>] <a> 00".replace("8080808001", "FFFFFF7F"),
        Subscribe(1, (_A,), Properties(subscription_identifiers=(268_435_455,), user_properties=(("k", "v"),))),
    ),
    accept("subscribe shared", V5, "82 .. 0001 [] <$share/g/a> 00", Subscribe(1, (SubscriptionRequest("$share/g/a"),))),
    accept(
        "subscribe empty filter is left to topics", V311, "82 .. 0001 <> 00", Subscribe(1, (SubscriptionRequest(""),))
    ),
    *everywhere("subscribe no filter", "82 02 0001", VIOLATION, _OLD),
    refuse("subscribe no filter", V5, "82 .. 0001 []", VIOLATION),
    *everywhere("subscribe packet id 0", "82 .. 0000 <a> 00", VIOLATION, _OLD),
    refuse("subscribe packet id 0", V5, "82 .. 0000 [] <a> 00", VIOLATION),
    *everywhere("subscribe empty", "82 00", MALFORMED),
    *everywhere("subscribe without flags", "80 .. 0001 00 <a> 00", MALFORMED),
    *everywhere("subscribe flags 3", "83 .. 0001 00 <a> 00", MALFORMED),
    *everywhere("subscribe without options", "82 .. 0001 <a>", MALFORMED, _OLD),
    refuse("subscribe without options", V5, "82 .. 0001 [] <a>", MALFORMED),
    refuse("subscribe without properties", V5, "82 02 0001", MALFORMED),
    *everywhere("subscribe filter cut short", "82 .. 0001 0009 'a' 00", MALFORMED, _OLD),
    refuse("subscribe filter not utf-8", V5, "82 .. 0001 [] 0001 FF 00", MALFORMED),
    *everywhere("subscribe qos 3", "82 .. 0001 <a> 03", MALFORMED, _OLD),
    refuse("subscribe qos 3", V5, "82 .. 0001 [] <a> 03", VIOLATION),
    *everywhere("subscribe reserved bit 2", "82 .. 0001 <a> 04", MALFORMED, _OLD),
    *everywhere("subscribe reserved bit 7", "82 .. 0001 <a> 80", MALFORMED, _OLD),
    refuse("subscribe reserved bit 6", V5, "82 .. 0001 [] <a> 40", MALFORMED),
    refuse("subscribe reserved bit 7", V5, "82 .. 0001 [] <a> 80", MALFORMED),
    refuse("subscribe retain handling 3", V5, "82 .. 0001 [] <a> 30", VIOLATION),
    refuse("subscribe no local on shared", V5, "82 .. 0001 [] <$share/g/a> 04", VIOLATION),
    refuse("subscribe identifier 0", V5, "82 .. 0001 [0B 00] <a> 00", VIOLATION),
    refuse("subscribe identifier twice", V5, "82 .. 0001 [0B 01 0B 01] <a> 00", VIOLATION),
    refuse("subscribe identifier of five bytes", V5, "82 .. 0001 [0B 8080808001] <a> 00", MALFORMED),
    refuse("subscribe topic alias", V5, "82 .. 0001 [23 0001] <a> 00", MALFORMED),
    refuse("subscribe reason string", V5, "82 .. 0001 [1F <a>] <a> 00", MALFORMED),
    *everywhere("suback", "90 .. 0001 00 02 80", SubAck(1, (_QOS_0, _QOS_2, _FAILURE)), _OLD),
    accept("suback", V5, "90 .. 0001 [] 00 02 80 A2", SubAck(1, (_QOS_0, _QOS_2, _FAILURE, ReasonCode(0xA2)))),
    accept(
        "suback properties",
        V5,
        "90 .. 0001 [1F <r> 26 <k> <v>] 01",
        SubAck(1, (ReasonCode.GRANTED_QOS_1,), Properties(reason_string="r", user_properties=(("k", "v"),))),
    ),
    *everywhere("suback no code", "90 02 0001", VIOLATION, _OLD),
    refuse("suback no code", V5, "90 .. 0001 []", VIOLATION),
    *everywhere("suback packet id 0", "90 .. 0000 00", VIOLATION, _OLD),
    *everywhere("suback code 3", "90 .. 0001 03", VIOLATION, _OLD),
    *everywhere("suback code of mqtt 5", "90 .. 0001 87", VIOLATION, _OLD),
    refuse("suback code 3", V5, "90 .. 0001 [] 03", VIOLATION),
    refuse("suback code of another packet", V5, "90 .. 0001 [] 11", VIOLATION),
    *everywhere("suback flags 2", "92 .. 0001 00 00", MALFORMED),
    *everywhere("suback empty", "9000", MALFORMED),
    *everywhere("unsubscribe", "A2 .. 0001 <a> <b/#>", Unsubscribe(1, ("a", "b/#")), _OLD),
    accept("unsubscribe", V5, "A2 .. 0001 [] <a> <b/#>", Unsubscribe(1, ("a", "b/#"))),
    accept("unsubscribe repeated", V31, "AA .. 0001 <a>", Unsubscribe(1, ("a",)), canonical=False),
    *everywhere("unsubscribe repeated", "AA .. 0001 00 <a>", MALFORMED, (V311, V5)),
    accept(
        "unsubscribe user property",
        V5,
        "A2 .. 0001 [26 <k> <v>] <a>",
        Unsubscribe(1, ("a",), Properties(user_properties=(("k", "v"),))),
    ),
    *everywhere("unsubscribe no filter", "A2 02 0001", VIOLATION, _OLD),
    refuse("unsubscribe no filter", V5, "A2 .. 0001 []", VIOLATION),
    *everywhere("unsubscribe packet id 0", "A2 .. 0000 <a>", VIOLATION, _OLD),
    *everywhere("unsubscribe empty", "A200", MALFORMED),
    *everywhere("unsubscribe flags 0", "A0 .. 0001 00 <a>", MALFORMED),
    *everywhere("unsubscribe trailing byte", "A2 .. 0001 <a> 00", MALFORMED, _OLD),
    refuse("unsubscribe filter with nul", V5, "A2 .. 0001 [] 0001 00", MALFORMED),
    refuse("unsubscribe subscription identifier", V5, "A2 .. 0001 [0B 01] <a>", MALFORMED),
    *everywhere("unsuback", "B002 0001", UnsubAck(1), _OLD),
    accept(
        "unsuback", V5, "B0 .. 0001 [] 00 11", UnsubAck(1, (ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED))
    ),
    accept(
        "unsuback properties",
        V5,
        "B0 .. 0001 [1F <r>] 80",
        UnsubAck(1, (_FAILURE,), Properties(reason_string="r")),
    ),
    *everywhere("unsuback with code", "B003 0001 00", MALFORMED, _OLD),
    refuse("unsuback no code", V5, "B0 .. 0001 []", VIOLATION),
    refuse("unsuback code of another packet", V5, "B0 .. 0001 [] 01", VIOLATION),
    refuse("unsuback code that does not exist", V5, "B0 .. 0001 [] FF", VIOLATION),
    *everywhere("unsuback packet id 0", "B002 0000", VIOLATION, _OLD),
    *everywhere("unsuback empty", "B000", MALFORMED),
    *everywhere("unsuback flags 2", "B2 .. 0001 00 00", MALFORMED),
]

SESSION_END: list[Vector] = [
    *everywhere("pingreq", "C000", PingReq()),
    *everywhere("pingreq with body", "C001 00", MALFORMED),
    *everywhere("pingreq flags 1", "C100", MALFORMED),
    *everywhere("pingresp", "D000", PingResp()),
    *everywhere("pingresp with body", "D002 0000", MALFORMED),
    *everywhere("pingresp flags 8", "D800", MALFORMED),
    *everywhere("disconnect", "E000", Disconnect()),
    *everywhere("disconnect flags 1", "E100", MALFORMED),
    *everywhere("disconnect with body", "E001 00", MALFORMED, _OLD),
    accept("disconnect normal spelt out", V5, "E001 00", Disconnect(), canonical=False),
    accept("disconnect with will", V5, "E001 04", Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE)),
    accept("disconnect taken over", V5, "E001 8E", Disconnect(ReasonCode.SESSION_TAKEN_OVER)),
    accept("disconnect no properties", V5, "E0 .. 8B []", Disconnect(ReasonCode.SERVER_SHUTTING_DOWN), canonical=False),
    accept(
        "disconnect properties",
        V5,
        "E0 .. 00 [11 00000000 1C <s> 1F <r> 26 <k> <v>]",
        Disconnect(
            properties=Properties(
                session_expiry_interval=0, server_reference="s", reason_string="r", user_properties=(("k", "v"),)
            )
        ),
    ),
    refuse("disconnect bad authentication method", V5, "E001 8C", VIOLATION),
    refuse("disconnect code of another packet", V5, "E001 91", VIOLATION),
    refuse("disconnect code that does not exist", V5, "E001 03", VIOLATION),
    refuse("disconnect trailing byte", V5, "E0 .. 00 [] 00", MALFORMED),
    refuse("disconnect two session expiries", V5, "E0 .. 00 [11 00000000 11 00000000]", VIOLATION),
    refuse("disconnect receive maximum", V5, "E0 .. 00 [21 0001]", MALFORMED),
    accept("auth bare", V5, "F000", Auth()),
    accept("auth success spelt out", V5, "F001 00", Auth(), canonical=False),
    accept("auth success no properties", V5, "F0 .. 00 []", Auth(), canonical=False),
    accept("auth continue", V5, "F0 .. 18 [15 <m>]", Auth(ReasonCode.CONTINUE_AUTHENTICATION, _METHOD)),
    accept(
        "auth again with everything",
        V5,
        "F0 .. 19 [15 <m> 16 0001FF 1F <r> 26 <k> <v>]",
        Auth(
            ReasonCode.RE_AUTHENTICATE,
            Properties(
                authentication_method="m", authentication_data=b"\xff", reason_string="r", user_properties=(("k", "v"),)
            ),
        ),
    ),
    refuse("auth without method", V5, "F001 18", VIOLATION),
    refuse("auth success without method", V5, "F0 .. 00 [1F <r>]", VIOLATION),
    refuse("auth data without method", V5, "F0 .. 18 [16 0000]", VIOLATION),
    refuse("auth code of another packet", V5, "F0 .. 80 [15 <m>]", VIOLATION),
    refuse("auth code that does not exist", V5, "F0 .. 1A [15 <m>]", VIOLATION),
    refuse("auth two methods", V5, "F0 .. 18 [15 <m> 15 <m>]", VIOLATION),
    refuse("auth flags 1", V5, "F100", MALFORMED),
    refuse("auth trailing byte", V5, "F0 .. 00 [] 00", MALFORMED),
    *everywhere("auth", "F000", MALFORMED, _OLD),
]

FIXED_HEADERS: list[Vector] = [
    *everywhere("packet type 0", "0000", MALFORMED),
    *everywhere("packet type 0 with body", "0F02 0001", MALFORMED),
    *everywhere("remaining length of five bytes", "30 80808080 01", MALFORMED),
    *everywhere("remaining length all ones", "C0 FFFFFFFF", MALFORMED),
    *everywhere("remaining length not shortest in two bytes", "C0 8000", MALFORMED),
    *everywhere("remaining length not shortest in three bytes", "E0 808000", MALFORMED),
    *everywhere("remaining length not shortest in four bytes", "30 FFFFFF00", MALFORMED),
]
