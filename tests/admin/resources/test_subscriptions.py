"""Subscriptions over HTTP, and who would receive a message."""

from __future__ import annotations

from mqttbroker.protocol import Properties
from tests.admin.console import Console, console
from tests.support.raw import RawClient

KEPT = Properties(session_expiry_interval=3_600)


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


async def test_subscriptions() -> None:
    async with console() as somebody, client(somebody) as one, client(somebody) as two:
        await one.connect("one")
        await one.subscribe("a/#", qos=1, no_local=True, properties=Properties(subscription_identifiers=(7,)))
        await one.subscribe("b")
        await two.connect("two")
        await two.subscribe("$share/group/a/+", qos=2)
        await one.subscribe("$share/group/a/+")
        await one.unsubscribe("$share/group/a/+")
        page = await somebody.get("/api/v1/subscriptions")
        assert page["total"] == 3
        assert [(each["id"], each["topic_filter"], each["qos"]) for each in page["items"]] == [
            ("one", "a/#", 1),
            ("one", "b", 0),
            ("two", "$share/group/a/+", 2),
        ]
        assert [each["share"] for each in page["items"]] == [None, None, "group"]
        assert [each["identifier"] for each in page["items"]] == [7, None, None]
        first = await somebody.get("/api/v1/subscriptions", params={"limit": 2})
        rest = await somebody.get("/api/v1/subscriptions", params={"limit": 2, "after": first["next"]})
        assert (first["items"] + rest["items"], rest["next"]) == (page["items"], None)
        for query, filters in (({"search": "a/"}, ["a/#", "$share/group/a/+"]), ({"client": "one"}, ["a/#", "b"])):
            found = await somebody.get("/api/v1/subscriptions", params=query)
            assert [each["topic_filter"] for each in found["items"]] == filters


async def test_who_would_receive() -> None:
    async with console() as somebody, client(somebody) as here, client(somebody) as away:
        await here.connect("here")
        await here.subscribe("a/#", "a/b", qos=1)
        await away.connect("away", properties=KEPT)
        await away.subscribe("$share/group/a/b", qos=1)
        await away.disconnect()
        found = await somebody.get("/api/v1/receivers", params={"topic": "a/b"})
        away_, here_ = found["items"]
        assert (here_["client_id"], sorted(here_["filters"]), here_["outcome"], here_["share"]) == (
            "here",
            ["a/#", "a/b"],
            "sent",
            None,
        )
        assert (away_["client_id"], away_["outcome"], away_["share"]) == ("away", "queued", "group")
        assert here_["rule"] == "everything is allowed"
        found = await somebody.get("/api/v1/receivers", params={"topic": "a/b", "qos": 0, "limit": 1})
        assert (found["items"][0]["outcome"], found["total"]) == ("lost", 2)
        found = await somebody.get("/api/v1/receivers", params={"topic": "nowhere"})
        assert found == {"topic": "nowhere", "items": [], "next": None, "total": 0, "local": 0}


async def test_what_is_wrong() -> None:
    async with console() as somebody:
        wrong: list[tuple[dict[str, str | int], str]] = [
            ({"topic": "a/#"}, "$.topic"),
            ({"topic": "a", "after": "x"}, "$.after"),
            ({"topic": "a", "qos": 3}, "$.qos"),
        ]
        for query, field in wrong:
            response = await somebody.http.get("/api/v1/receivers", params=query)
            assert (response.status_code, response.json()["field"]) == (400, field)
        assert (await somebody.http.get("/api/v1/receivers")).status_code == 400
