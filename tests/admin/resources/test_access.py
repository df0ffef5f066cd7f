"""Users and rules of MQTT over HTTP, from a broker that has neither to one that refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from mqttbroker.admin import effects
from mqttbroker.broker import Accepted, Action, Credentials, Decision, Identity
from mqttbroker.broker.authority import VerdictCallback
from mqttbroker.config import Config, ListenerConfig, SecurityConfig
from mqttbroker.protocol import Disconnect, PubAck, ReasonCode
from mqttbroker.security import PasswordFile
from mqttbroker.server import Broker
from tests.admin.console import ADMIN, Console, console
from tests.support.raw import RawClient

EVERYTHING = '# Everybody.\n[[rules]]\nwho = "*"\naction = "both"\ntopics = ["#"]\neffect = "allow"\n'
NOT_SECRET = '[[rules]]\nwho = "*"\naction = "both"\ntopics = ["secret/#"]\neffect = "deny"\n\n' + EVERYTHING


@asynccontextmanager
async def begun(directory: Path, **changes: Any) -> AsyncIterator[Console]:
    """A broker with a data directory, as `make run` has it, and its admin."""
    config = Config(data_dir=directory / "data", durability="none", listeners=(ListenerConfig(port=0),), admin=ADMIN)
    async with console(replace(config, **changes)) as somebody:
        yield somebody


def client(somebody: Console, listener: str = "tcp") -> RawClient:
    return RawClient(*somebody.broker.addresses[listener][0])


async def code(somebody: Console, user: str | None, password: str = "") -> ReasonCode:
    async with client(somebody) as one:
        return (await one.connect(username=user, password=password.encode() or None)).reason_code


async def put(somebody: Console, text: str, of: str = "default") -> Any:
    """Put rules into force, whatever was there."""
    version = (await somebody.get("/api/v1/rules", params={"set": of}))["version"]
    answer = await somebody.http.put("/api/v1/rules", params={"set": of}, json={"text": text, "version": version})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add(somebody: Console, name: str, password: str = "pw") -> Any:
    answer = await somebody.http.post("/api/v1/users", json={"name": name, "password": password})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def audited(somebody: Console) -> Any:
    return (await somebody.get("/api/v1/audit"))["entries"][0]


class TestUsers:
    async def test_the_first_one_closes_the_door(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody, client(somebody) as anonymous:
            await anonymous.connect()
            (before,) = (await somebody.get("/api/v1/access"))["users"]
            assert (before["in_force"], before["anonymous"], before["without_name"]) == (False, ["tcp"], 1)
            assert (await somebody.get("/api/v1/users"))["items"] == []
            answer = await add(somebody, "alice")
            assert [each.split(":")[0] for each in answer["warnings"]] == [
                "this is the first user",
                "there are no rules",
            ]
            assert await code(somebody, None) == ReasonCode.NOT_AUTHORIZED
            assert await code(somebody, "alice", "pw") == ReasonCode.SUCCESS
            (after,) = (await somebody.get("/api/v1/access"))["users"]
            assert (after["in_force"], after["anonymous"], after["users"], after["managed"]) == (True, [], 1, True)
            await anonymous.ping()
            assert (await add(somebody, "bob"))["warnings"] == []
        async with Broker(
            Config(data_dir=tmp_path / "data", durability="none", listeners=(ListenerConfig(port=0),))
        ) as it:
            assert list(it.access.users(tmp_path / "data" / "passwords") or ()) == ["alice", "bob"]

    async def test_nothing_of_a_password_is_shown_or_audited(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            await add(somebody, "alice", "a secret of hers")
            shown = await somebody.http.get("/api/v1/users")
            assert shown.json()["items"] == [{"id": "alice", "name": "alice", "connected": 0}]
            one = await somebody.http.get("/api/v1/users/alice")
            entry = await audited(somebody)
            assert (entry["action"], entry["after"]) == ("add_user", {"user": "alice", "set": "default"})
            for text in (shown.text, one.text, json.dumps(entry), repr(somebody.logged)):
                assert "argon2" not in text and "a secret of hers" not in text

    async def test_pages(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody, client(somebody) as one:
            for name in ("c/3", "a1", "B2", "..", "d4"):
                await add(somebody, name)
            await one.connect("dev", username="d4", password=b"pw")
            names: list[str] = []
            query: dict[str, Any] = {"limit": 2}
            while query.get("after", "") is not None:
                page = await somebody.get("/api/v1/users", params=query)
                names += [each["name"] for each in page["items"]]
                query["after"] = page["next"]
            assert names == ["..", "B2", "a1", "c/3", "d4"]
            found = (await somebody.get("/api/v1/users", params={"search": "b"}))["items"]
            assert [each["name"] for each in found] == ["B2"]
            for each in (await somebody.get("/api/v1/users"))["items"]:
                segment = each["id"].replace("/", "%2F")
                assert (await somebody.get(f"/api/v1/users/{segment}")) == each
                assert each["connected"] == (each["name"] == "d4")

    @pytest.mark.parametrize(
        ("name", "status"),
        [("alice", 409), ("anonymous", 400), ("a:b", 400), ("#a", 400), ("", 400), ("x" * 1025, 400)],
    )
    async def test_names_that_cannot_be(self, tmp_path: Path, name: str, status: int) -> None:
        async with begun(tmp_path) as somebody:
            await add(somebody, "alice")
            answer = await somebody.http.post("/api/v1/users", json={"name": name, "password": "pw"})
            assert answer.status_code == status
            if status == 400:
                assert answer.json()["field"] == "$.name"
            assert (await somebody.get("/api/v1/users"))["total"] == 1

    @pytest.mark.parametrize("stays", [False, True])
    async def test_another_password(self, tmp_path: Path, stays: bool) -> None:
        async with begun(tmp_path) as somebody, client(somebody) as one, client(somebody) as other:
            await add(somebody, "alice")
            await add(somebody, "bob")
            await one.connect("one", username="alice", password=b"pw")
            await other.connect("other", username="bob", password=b"pw")
            body = {"password": "new"} | ({"disconnect": False} if stays else {})
            answer = await somebody.http.put("/api/v1/users/alice", json=body)
            assert answer.json() == {"disconnected": 0 if stays else 1, "warnings": []}
            if stays:
                await one.ping()
            else:
                assert (await one.expect(Disconnect)).reason_code == ReasonCode.ADMINISTRATIVE_ACTION
            await other.ping()
            assert await code(somebody, "alice", "pw") == ReasonCode.BAD_USER_NAME_OR_PASSWORD
            assert await code(somebody, "alice", "new") == ReasonCode.SUCCESS
            assert (await somebody.http.put("/api/v1/users/carol", json=body)).status_code == 404

    async def test_a_user_is_removed(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody, client(somebody) as one:
            await add(somebody, "alice")
            await add(somebody, "bob")
            await one.connect("one", username="alice", password=b"pw")
            answer = await somebody.http.delete("/api/v1/users/alice")
            assert answer.json()["disconnected"] == 1
            assert (await one.expect(Disconnect)).reason_code == ReasonCode.NOT_AUTHORIZED
            assert await code(somebody, "alice", "pw") == ReasonCode.BAD_USER_NAME_OR_PASSWORD
            assert (await somebody.http.delete("/api/v1/users/alice")).status_code == 404
            entry = await audited(somebody)
            assert (entry["action"], entry["status"]) == ("delete_user", 404)

    async def test_the_last_one_goes_only_when_that_is_meant(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            await add(somebody, "alice")
            assert (await somebody.http.delete("/api/v1/users/alice")).status_code == 409
            assert await code(somebody, None) == ReasonCode.NOT_AUTHORIZED
            answer = await somebody.http.delete("/api/v1/users/alice", params={"open": "true"})
            assert answer.json()["warnings"]
            assert await code(somebody, None) == ReasonCode.SUCCESS

    async def test_the_last_one_stays_where_strangers_could_come_in(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        users = PasswordFile(tmp_path / "data" / "passwords")
        users.set("alice", b"pw")
        users.save()
        outside = ListenerConfig(host="0.0.0.0", port=0)
        async with begun(tmp_path, listeners=(outside,)) as somebody:
            answer = await somebody.http.delete("/api/v1/users/alice", params={"open": "true"})
            assert answer.status_code == 409
            assert "anybody who reaches this machine" in answer.json()["detail"]

    async def test_a_file_that_is_named_keeps_its_comments_and_its_last_user(self, tmp_path: Path) -> None:
        path = tmp_path / "users"
        users = PasswordFile(path)
        users.set("alice", b"pw")
        users.save()
        path.write_text(f"# Ours.\n{path.read_text()}")
        async with begun(tmp_path, security=SecurityConfig(None, path)) as somebody:
            await add(somebody, "bob")
            assert path.read_text().startswith("# Ours.\nalice:")
            assert (await somebody.http.delete("/api/v1/users/alice")).status_code == 200
            answer = await somebody.http.delete("/api/v1/users/bob", params={"open": "true"})
            assert answer.status_code == 409
            assert not (tmp_path / "data" / "passwords").exists()

    async def test_without_a_place_for_a_file(self) -> None:
        async with console() as somebody:
            (of,) = (await somebody.get("/api/v1/access"))["users"]
            assert not of["editable"] and "no place" in of["reason"]
            answer = await somebody.http.post("/api/v1/users", json={"name": "a", "password": "b"})
            assert (answer.status_code, of["reason"] in answer.json()["detail"]) == (409, True)
            answer = await somebody.http.put("/api/v1/rules", json={"text": "", "version": "none"})
            assert answer.status_code == 409

    async def test_a_set_that_is_not_there(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            for path in ("users", "rules", "rules/versions"):
                answer = await somebody.http.get(f"/api/v1/{path}", params={"set": "listener:no"})
                assert answer.status_code == 404


class TestRules:
    async def test_from_none_to_some_and_back(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody, client(somebody) as one:
            await one.connect("one")
            await one.subscribe("secret/#", qos=1)
            before = await somebody.get("/api/v1/rules")
            assert (before["text"], before["version"], before["in_force"]) == (None, "none", True)
            applied = await put(somebody, NOT_SECRET)
            assert applied["warnings"] == ["these are the first rules: what none of them allows is refused from now on"]
            assert (tmp_path / "data" / "acl.toml").read_text() == NOT_SECRET
            answer = await one.publish("secret/a", b"1", qos=1)
            assert isinstance(answer, PubAck) and answer.reason_code == ReasonCode.NOT_AUTHORIZED
            await somebody.broker.publish("secret/a", b"2")
            assert await one.drain() == []
            (refusal,) = (await somebody.get("/api/v1/events/recent", params={"kind": "refused"}))["items"]
            assert "rule 1 (deny publish secret/#)" in refusal["details"]["rule"]

            (kept,) = (await somebody.get("/api/v1/rules/versions"))["items"]
            assert (kept["version"], kept["exists"]) == ("none", False)
            body = {"id": kept["id"], "version": applied["version"]}
            rolled = await somebody.http.post("/api/v1/rules/rollback", json=body)
            assert rolled.json()["version"] == "none"
            assert not (tmp_path / "data" / "acl.toml").exists()
            await somebody.broker.publish("secret/a", b"3")
            assert (await one.expect_publish()).payload == b"3"

    async def test_versions(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            first = await put(somebody, EVERYTHING)
            second = await put(somebody, NOT_SECRET)
            latest, _ = (await somebody.get("/api/v1/rules/versions"))["items"]
            assert latest["version"] == first["version"]
            assert (await somebody.get(f"/api/v1/rules/versions/{latest['id']}"))["text"] == EVERYTHING
            assert (await somebody.http.get("/api/v1/rules/versions/..%2Facl.toml")).status_code == 404
            body = {"id": latest["id"], "version": first["version"]}
            assert (await somebody.http.post("/api/v1/rules/rollback", json=body)).status_code == 409
            body["version"] = second["version"]
            answer = await somebody.http.post("/api/v1/rules/rollback", json=body)
            assert answer.json()["version"] == first["version"]
            entry = await audited(somebody)
            assert entry["before"]["version"] == second["version"]
            assert '-topics = ["secret/#"]' in entry["after"]["diff"]

    async def test_somebody_else_was_faster(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            version = (await put(somebody, EVERYTHING))["version"]
            (tmp_path / "data" / "acl.toml").write_text(NOT_SECRET)
            shown = await somebody.get("/api/v1/rules")
            assert (shown["text"], shown["in_force"]) == (NOT_SECRET, False)
            answer = await somebody.http.put("/api/v1/rules", json={"text": EVERYTHING, "version": version})
            assert answer.status_code == 409
            assert (tmp_path / "data" / "acl.toml").read_text() == NOT_SECRET

    async def test_a_mistake_is_told_and_nothing_changes(self, tmp_path: Path) -> None:
        wrong = EVERYTHING.replace("both", "all") + EVERYTHING.replace('#"]', 'a#"]')
        async with begun(tmp_path) as somebody:
            await put(somebody, EVERYTHING)
            checked = (await somebody.http.post("/api/v1/rules/validate", json={"text": wrong})).json()
            assert [(each["line"], each["rule"], each["key"]) for each in checked["problems"]] == [
                (4, 1, "action"),
                (11, 2, "topics"),
            ]
            assert "expected a topic filter" in checked["problems"][1]["message"]
            compared = (await somebody.http.post("/api/v1/rules/diff", json={"text": wrong})).json()
            assert compared["effects"] is None and len(compared["problems"]) == 2
            answer = await somebody.http.put("/api/v1/rules", json={"text": wrong, "version": compared["version"]})
            assert (answer.status_code, answer.json()["field"]) == (400, "$.text")
            assert answer.json()["detail"].startswith("line 4: rule 1, action: ")
            assert (await somebody.get("/api/v1/rules"))["text"] == EVERYTHING

    async def test_what_was_understood(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            text = NOT_SECRET.replace('who = "*"', 'who = ["bob", "anonymous", "alice"]\nclients = ["c"]', 1)
            checked = (await somebody.http.post("/api/v1/rules/validate", json={"text": text})).json()
            assert checked["problems"] == []
            assert checked["rules"][0] == {
                "number": 1,
                "line": 1,
                "last_line": 6,
                "who": ["anonymous", "alice", "bob"],
                "clients": ["c"],
                "action": "both",
                "topics": ["secret/#"],
                "effect": "deny",
            }

    async def test_effects_are_told_before(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody, client(somebody) as one, client(somebody) as two:
            await one.connect("one")
            await one.subscribe("secret/a")
            await one.subscribe("#")
            await two.connect("two")
            await two.publish("secret/b", b"1")
            await two.publish("b", b"1")
            answer = await somebody.http.post("/api/v1/rules/diff", json={"text": NOT_SECRET})
            compared = answer.json()
            assert compared["diff"].startswith("--- in force\n+++ draft\n")
            found = compared["effects"]
            assert (found["clients"], found["complete"], found["lose"], found["gain"]) == (2, True, 2, 0)
            assert sorted(
                (each["client_id"], each["kind"], each["topic"], each["line"]) for each in found["examples"]
            ) == [
                ("one", "part", "secret/#", 1),
                ("one", "subscription", "secret/a", 1),
                ("two", "publish", "secret/b", 1),
            ]
            assert (await two.publish("secret/b", b"1", qos=1)).reason_code < 0x80  # type: ignore[union-attr]
            await put(somebody, NOT_SECRET)
            compared = (await somebody.http.post("/api/v1/rules/diff", json={"text": EVERYTHING})).json()
            assert (compared["effects"]["lose"], compared["effects"]["gain"]) == (0, 2)
            assert (await somebody.http.post("/api/v1/rules/diff", json={"text": NOT_SECRET})).json()["diff"] == ""

    async def test_effects_on_very_many_are_those_on_some(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(effects, "TURN", 0.0)
        monkeypatch.setattr(effects, "LONGEST", 0.0)
        async with begun(tmp_path) as somebody, client(somebody) as one, client(somebody) as two:
            await one.connect("one")
            await two.connect("two")
            found = (await somebody.http.post("/api/v1/rules/diff", json={"text": ""})).json()
            assert (found["effects"]["clients"], found["effects"]["complete"]) == (1, False)
            assert found["warnings"] == ["there is no rule in it: nobody may publish or subscribe"]

    async def test_names_count_for_nothing_where_nobody_is_asked(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            text = EVERYTHING.replace('"*"', '"alice"')
            found = (await somebody.http.post("/api/v1/rules/diff", json={"text": text})).json()
            assert "nobody is asked for a password at tcp" in found["warnings"][1]
            await add(somebody, "alice")
            found = (await somebody.http.post("/api/v1/rules/diff", json={"text": text})).json()
            assert len(found["warnings"]) == 1

    async def test_a_file_of_a_listener_and_its_ends_of_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "strict.toml"
        path.write_bytes(EVERYTHING.replace("\n", "\r\n").encode())
        path.chmod(0o640)
        listeners = (ListenerConfig(port=0), ListenerConfig("in", port=0, security=SecurityConfig(acl_file=path)))
        async with begun(tmp_path, listeners=listeners) as somebody, client(somebody, "in") as one:
            sets = (await somebody.get("/api/v1/access"))["rules"]
            assert [(each["id"], each["managed"], each["listeners"], each["open"]) for each in sets] == [
                ("default", True, ["tcp"], ["tcp"]),
                ("listener:in", False, ["in"], []),
            ]
            await put(somebody, NOT_SECRET, "listener:in")
            assert path.read_bytes() == NOT_SECRET.replace("\n", "\r\n").encode()
            assert path.stat().st_mode & 0o777 == 0o640
            assert len(list((tmp_path / "strict.toml.versions").iterdir())) == 1
            await one.connect()
            assert (await one.subscribe("secret/a")).reason_codes == (ReasonCode.NOT_AUTHORIZED,)
            async with client(somebody) as other:
                await other.connect()
                assert (await other.subscribe("secret/a")).reason_codes == (ReasonCode.SUCCESS,)

    async def test_a_file_that_is_broken_by_hand_is_shown_and_mended(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            await put(somebody, EVERYTHING)
            (tmp_path / "data" / "acl.toml").write_text("[[rules")
            shown = await somebody.get("/api/v1/rules")
            assert (shown["text"], shown["in_force"], len(shown["problems"])) == ("[[rules", False, 1)
            await put(somebody, NOT_SECRET)
            assert (await somebody.get("/api/v1/rules"))["in_force"]


class TestWhatIf:
    async def ask(self, somebody: Console, **body: Any) -> Any:
        answer = await somebody.http.post("/api/v1/access/what-if", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def test_the_rule_that_decides(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            await add(somebody, "alice")
            await put(somebody, NOT_SECRET.replace('who = "*"', 'who = "alice"', 1).replace('["#"]', '["+", "s/#"]'))
            refused = await self.ask(somebody, user="alice", action="publish", topic="secret/a")
            assert (refused["allowed"], refused["because"]) == (False, "rule")
            assert (refused["rule"]["number"], refused["rule"]["line"], refused["rule"]["last_line"]) == (1, 1, 5)
            allowed = await self.ask(somebody, user="alice", action="publish", topic="s/a")
            assert (allowed["allowed"], allowed["rule"]["line"], allowed["notes"]) == (True, 8, [])
            default = await self.ask(somebody, user="bob", action="publish", topic="b/a")
            assert (default["allowed"], default["because"], default["rule"]) == (False, "default", None)
            assert default["notes"] == ["there is no user 'bob', who could log in at the listener tcp"]
            nobody = await self.ask(somebody, action="publish", topic="b")
            assert nobody["notes"] == ["the listener tcp lets in nobody without a user name"]

    async def test_a_draft(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            now = await self.ask(somebody, action="publish", topic="secret/a")
            assert (now["allowed"], now["because"]) == (True, "no_rules")
            draft = await self.ask(somebody, action="publish", topic="secret/a", text=NOT_SECRET)
            assert (draft["allowed"], draft["rule"]["effect"]) == (False, "deny")
            answer = await somebody.http.post(
                "/api/v1/access/what-if", json={"action": "publish", "topic": "a", "text": "[["}
            )
            assert (answer.status_code, answer.json()["field"]) == (400, "$.text")
            assert (await somebody.get("/api/v1/rules"))["version"] == "none"

    async def test_a_subscription_and_what_it_is_not_sent(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            await put(somebody, NOT_SECRET)
            for topic in ("#", "$share/g/#", "+/x"):
                answer = await self.ask(somebody, action="subscribe", topic=topic)
                assert (answer["allowed"], [each["filter"] for each in answer["withheld"]]) == (True, ["secret/#"])
            assert (await self.ask(somebody, action="subscribe", topic="a/#"))["withheld"] == []
            assert not (await self.ask(somebody, action="subscribe", topic="secret/+"))["allowed"]

    async def test_below_a_mount_point_and_in_the_brokers_own_topics(self, tmp_path: Path) -> None:
        listeners = (ListenerConfig(port=0), ListenerConfig("in", port=0, mount_point="house/"))
        async with begun(tmp_path, listeners=listeners) as somebody:
            await put(somebody, NOT_SECRET.replace("secret/#", "house/secret"))
            assert not (await self.ask(somebody, action="publish", topic="secret", listener="in"))["allowed"]
            assert (await self.ask(somebody, action="publish", topic="secret"))["allowed"]
            own = await self.ask(somebody, action="publish", topic="$SYS/x")
            assert (own["allowed"], own["because"]) == (False, "broker")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"action": "publish", "topic": "a/#"}, "$.topic"),
            ({"action": "subscribe", "topic": "a#"}, "$.topic"),
            ({"action": "publish", "topic": "a", "listener": "no"}, "$.listener"),
            ({"action": "publish", "topic": ""}, "$.topic"),
        ],
    )
    async def test_what_cannot_be_asked(self, tmp_path: Path, body: dict[str, str], field: str) -> None:
        async with begun(tmp_path) as somebody:
            answer = await somebody.http.post("/api/v1/access/what-if", json=body)
            assert (answer.status_code, answer.json()["field"]) == (400, field)

    async def test_where_nobody_is_asked_for_a_name(self, tmp_path: Path) -> None:
        async with begun(tmp_path) as somebody:
            (note,) = (await self.ask(somebody, user="alice", action="publish", topic="a"))["notes"]
            assert "user names count for nothing" in note


class Programs:
    """A program's own idea of who may do what."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        done(Accepted(credentials.username))

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        return Decision(topic != "no", "as the program says")


async def test_what_a_program_decides_is_shown_and_not_edited(tmp_path: Path) -> None:
    mine = Programs()
    config = Config(data_dir=tmp_path, durability="none", listeners=(ListenerConfig(port=0),), admin=ADMIN)
    async with (
        Broker(config, authenticator=mine, authorizer=mine) as broker,
        httpx.AsyncClient(base_url=broker.admin.url if broker.admin else "", timeout=10, trust_env=False) as http,
    ):
        somebody = Console(broker, http, [])
        await somebody.log_in()
        shown = await somebody.get("/api/v1/access")
        assert "program" in shown["users"][0]["reason"] and "program" in shown["rules"][0]["reason"]
        answer = await somebody.http.post("/api/v1/users", json={"name": "a", "password": "b"})
        assert answer.status_code == 409
        answer = await somebody.http.post("/api/v1/access/what-if", json={"action": "publish", "topic": "no"})
        assert (answer.json()["allowed"], answer.json()["decision"]) == (False, "as the program says")
