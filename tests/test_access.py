"""Users and rules of a running broker's listeners, and what happens to them on SIGHUP."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from mqttbroker.config import Config, ConfigError, ListenerConfig, SecurityConfig
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


class TestDataDirectory:
    """Files in the data directory hold where the configuration names none."""

    def config(self, directory: Path, *listeners: ListenerConfig, **security: object) -> Config:
        return Config(
            data_dir=directory,
            durability="none",
            listeners=listeners or (here(),),
            security=SecurityConfig(**security),  # type: ignore[arg-type]
        )

    async def test_as_soon_as_they_are_there(self, tmp_path: Path) -> None:
        async with Broker(self.config(tmp_path)) as broker:
            assert await reason(broker, "tcp", None) == ReasonCode.SUCCESS
            write_users(tmp_path / "passwords", alice="a")
            (tmp_path / "acl.toml").write_text(NOT_SECRET)
            assert broker.reload()
            assert await reason(broker, "tcp", None) == ReasonCode.NOT_AUTHORIZED
            assert await reason(broker, "tcp", "alice", "wrong") == ReasonCode.BAD_USER_NAME_OR_PASSWORD
            async with RawClient(broker.host, broker.port) as client:
                assert (await client.connect(username="alice", password=b"a")).reason_code == ReasonCode.SUCCESS
                assert (await client.subscribe("secret")).reason_codes == (ReasonCode.NOT_AUTHORIZED,)
                assert (await client.subscribe("open")).reason_codes == (ReasonCode.SUCCESS,)

    async def test_after_a_restart(self, tmp_path: Path) -> None:
        write_users(tmp_path / "passwords", alice="a")
        async with Broker(self.config(tmp_path)) as broker:
            assert await reason(broker, "tcp", None) == ReasonCode.NOT_AUTHORIZED
            assert await reason(broker, "tcp", "alice", "a") == ReasonCode.SUCCESS

    async def test_with_users_and_no_rules_nobody_may_do_anything(self, tmp_path: Path) -> None:
        write_users(tmp_path / "passwords", alice="a")
        logged: list[str] = []
        log = lambda level, event, /, **details: logged.append(event)  # noqa: E731
        async with Broker(self.config(tmp_path), log=log) as broker, RawClient(broker.host, broker.port) as client:
            await client.connect(username="alice", password=b"a")
            assert (await client.subscribe("a")).reason_codes == (ReasonCode.NOT_AUTHORIZED,)
        assert len([each for each in logged if each.startswith("no acl_file")]) == 1

    async def test_not_where_the_configuration_names_others(self, tmp_path: Path) -> None:
        write_users(tmp_path / "passwords", alice="a")
        (tmp_path / "acl.toml").write_text("")
        mine, rules = write_users(tmp_path / "mine", bob="b"), tmp_path / "rules"
        rules.write_text(EVERYTHING)
        listeners = (here(), here("mine", password_file=mine, acl_file=rules), here("open", allow_anonymous=True))
        async with Broker(self.config(tmp_path, *listeners)) as broker:
            assert await reason(broker, "mine", "bob", "b") == ReasonCode.SUCCESS
            assert await reason(broker, "mine", "alice", "a") == ReasonCode.BAD_USER_NAME_OR_PASSWORD
            assert await reason(broker, "tcp", "alice", "a") == ReasonCode.SUCCESS
            assert await reason(broker, "open", None) == ReasonCode.SUCCESS
            assert [(each.id, each.managed, each.listeners) for each in broker.access.user_sets] == [
                ("default", True, ("tcp", "open")),
                ("listener:mine", False, ("mine",)),
            ]

    async def test_rules_of_the_data_directory_count_for_a_listener_with_users_of_its_own(self, tmp_path: Path) -> None:
        mine = write_users(tmp_path / "mine", bob="b")
        (tmp_path / "acl.toml").write_text(EVERYTHING)
        async with (
            Broker(self.config(tmp_path, here("mine", password_file=mine))) as broker,
            RawClient(broker.host, broker.port) as client,
        ):
            await client.connect(username="bob", password=b"b")
            assert (await client.subscribe("a")).reason_codes == (ReasonCode.SUCCESS,)

    async def test_they_go_again(self, tmp_path: Path) -> None:
        users = write_users(tmp_path / "passwords", alice="a")
        async with Broker(self.config(tmp_path)) as broker:
            users.unlink()
            assert broker.reload()
            assert await reason(broker, "tcp", None) == ReasonCode.SUCCESS

    async def test_strangers_do_not_come_in_when_the_users_have_gone(self, tmp_path: Path) -> None:
        users = write_users(tmp_path / "passwords", alice="a")
        outside = ListenerConfig(host="0.0.0.0", port=0)
        async with Broker(self.config(tmp_path, outside)) as broker:
            users.unlink()
            assert not broker.reload()
            assert await reason(broker, "tcp", None) == ReasonCode.NOT_AUTHORIZED
        with pytest.raises(ConfigError, match="anybody who reaches this machine"):
            await Broker(self.config(tmp_path, outside)).start()

    async def test_a_link_to_nothing_is_no_open_door(self, tmp_path: Path) -> None:
        (tmp_path / "passwords").symlink_to(tmp_path / "gone")
        with pytest.raises(SecurityError, match="cannot be read"):
            await Broker(self.config(tmp_path)).start()

    async def test_one_file_in_force_and_the_others_as_they_were(self, tmp_path: Path) -> None:
        rules = tmp_path / "acl.toml"
        rules.write_text(EVERYTHING)
        async with Broker(self.config(tmp_path)) as broker:
            rules.write_text("nonsense")
            users = PasswordFile(tmp_path / "passwords", CHEAP)
            users.set("alice", b"a")
            broker.access.put_users(tmp_path / "passwords", users)
            assert await reason(broker, "tcp", "alice", "a") == ReasonCode.SUCCESS
            assert await reason(broker, "tcp", None) == ReasonCode.NOT_AUTHORIZED
            broker.access.put_users(tmp_path / "passwords", None)
            assert await reason(broker, "tcp", None) == ReasonCode.SUCCESS
