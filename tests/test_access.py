"""Users and rules of a running broker's listeners, and what happens to them on SIGHUP."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from mqttbroker.config import Config, ListenerConfig, SecurityConfig
from mqttbroker.protocol import Properties, PubAck, ReasonCode
from mqttbroker.security import PasswordFile, SecurityError
from mqttbroker.server import Broker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.raw import RawClient

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
EVERYTHING = '[[rules]]\nwho = "*"\naction = "both"\ntopics = ["#"]\neffect = "allow"\n'
NOT_SECRET = '[[rules]]\nwho = "*"\naction = "both"\ntopics = ["secret"]\neffect = "deny"\n' + EVERYTHING


def write_users(path: Path, **passwords: str) -> Path:
    """A password file with these users."""
    users = PasswordFile(path, CHEAP)
    for name, password in passwords.items():
        users.set(name, password.encode())
    users.save()
    return path


async def reason(broker: Broker, listener: str, user: str | None, password: str | None = None) -> ReasonCode:
    """What a user is told who connects."""
    async with RawClient(*broker.addresses[listener][0]) as client:
        connack = await client.connect(username=user, password=None if password is None else password.encode())
        return connack.reason_code


def here(name: str = "tcp", **security: object) -> ListenerConfig:
    """A listener on a free port."""
    return ListenerConfig(name, port=0, security=SecurityConfig(**security))  # type: ignore[arg-type]


class TestListeners:
    async def test_each_has_its_users_or_those_of_all(self, tmp_path: Path) -> None:
        general = SecurityConfig(password_file=write_users(tmp_path / "general", alice="a"))
        mine = write_users(tmp_path / "mine", bob="b")
        listeners = (here("open", allow_anonymous=True), here("general"), here("mine", password_file=mine))
        async with Broker(Config(listeners=listeners, security=general)) as broker:
            found = {
                (listener, user): await reason(broker, listener, user, password)
                for listener in ("open", "general", "mine")
                for user, password in ((None, None), ("alice", "a"), ("bob", "b"))
            }
        assert [key for key, value in found.items() if value == ReasonCode.SUCCESS] == [
            ("open", None),
            ("open", "alice"),
            ("general", "alice"),
            ("mine", "bob"),
        ]
        assert found["general", None] == ReasonCode.NOT_AUTHORIZED
        assert found["general", "bob"] == ReasonCode.BAD_USER_NAME_OR_PASSWORD

    async def test_each_has_its_rules_or_those_of_all(self, tmp_path: Path) -> None:
        rules, strict = tmp_path / "rules", tmp_path / "strict"
        rules.write_text(EVERYTHING)
        strict.write_text(NOT_SECRET)
        listeners = (here("general"), here("strict", acl_file=strict))
        async with (
            Broker(Config(listeners=listeners, security=SecurityConfig(acl_file=rules))) as broker,
            RawClient(*broker.addresses["general"][0]) as one,
            RawClient(*broker.addresses["strict"][0]) as two,
        ):
            for each in (one, two):
                await each.connect()
            assert (await one.subscribe("secret")).reason_codes == (ReasonCode.SUCCESS,)
            assert (await two.subscribe("secret")).reason_codes == (ReasonCode.NOT_AUTHORIZED,)


class TestReload:
    async def test_users(self, tmp_path: Path) -> None:
        path = write_users(tmp_path / "users", alice="a")
        rules = tmp_path / "rules"
        rules.write_text(EVERYTHING)
        async with Broker(Config(listeners=(here(),), security=SecurityConfig(None, path, rules))) as broker:
            assert await reason(broker, "tcp", "alice", "a") == ReasonCode.SUCCESS
            write_users(path, bob="b")
            assert broker.reload()
            assert await reason(broker, "tcp", "alice", "a") == ReasonCode.BAD_USER_NAME_OR_PASSWORD
            assert await reason(broker, "tcp", "bob", "b") == ReasonCode.SUCCESS

    async def test_rules_hold_for_those_who_are_there(self, tmp_path: Path) -> None:
        rules = tmp_path / "rules"
        rules.write_text(EVERYTHING)
        async with (
            Broker(Config(listeners=(here(),), security=SecurityConfig(acl_file=rules))) as broker,
            RawClient(broker.host, broker.port) as client,
        ):
            await client.connect()
            await client.subscribe("secret", qos=1)
            answer = await client.publish("secret", b"1", qos=1)
            assert isinstance(answer, PubAck)
            assert (await client.expect_publish()).payload == b"1"
            rules.write_text(NOT_SECRET)
            assert broker.reload()
            answer = await client.publish("secret", b"2", qos=1)
            assert isinstance(answer, PubAck)
            assert answer.reason_code == ReasonCode.NOT_AUTHORIZED
            await broker.publish("secret", b"3")
            assert await client.drain() == []
            rules.write_text(EVERYTHING)
            assert broker.reload()
            await broker.publish("secret", b"4", properties=Properties(content_type="text/plain"))
            assert (await client.expect_publish()).payload == b"4"

    @pytest.mark.parametrize("broken", ["users", "rules"])
    async def test_what_is_wrong_changes_nothing(self, tmp_path: Path, broken: str) -> None:
        path = write_users(tmp_path / "users", alice="a")
        rules = tmp_path / "rules"
        rules.write_text(EVERYTHING)
        logged: list[tuple[str, str]] = []

        def log(level: str, event: str, /, **details: object) -> None:
            logged.append((level, event))

        config = Config(listeners=(here(),), security=SecurityConfig(None, path, rules))
        async with Broker(config, log=log) as broker, RawClient(broker.host, broker.port) as client:
            await client.connect(username="alice", password=b"a")
            await client.subscribe("secret")
            rules.write_text(NOT_SECRET)
            write_users(path, bob="b")
            (tmp_path / broken).write_text("")
            if broken == "rules":
                rules.write_text("nonsense")
            assert not broker.reload()
            assert ("error", "users and rules not replaced") in logged
            assert await reason(broker, "tcp", "alice", "a") == ReasonCode.SUCCESS
            await client.publish("secret", b"still")
            assert (await client.expect_publish()).payload == b"still"

    async def test_what_a_program_has_given_stays(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = mqtt_broker_factory()
        assert broker.call(Broker.reload)

    def test_wrong_files_stop_the_start(self, tmp_path: Path, mqtt_broker_factory: BrokerFactory) -> None:
        with pytest.raises(SecurityError, match="cannot be read"):
            mqtt_broker_factory(config=Config(listeners=(here(password_file=tmp_path / "nothing"),)))
