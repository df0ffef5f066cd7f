"""The example configuration says what the code does: every key, and the value that it has when it is not set."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from mqttbroker.config import Config, check_exposure, keys, load_config
from mqttbroker.security import AccessList

FOLDER = Path(__file__).parents[2] / "config"
EXAMPLE = FOLDER / "mqttbroker.toml"
KEY = re.compile(r"#(\w+) = (.+)")


def uncommented() -> str:
    """The example with the "#" taken away in front of each key."""
    return re.sub(KEY.pattern, r"\1 = \2", EXAMPLE.read_text(encoding="utf-8"))


def default(key: keys.Key) -> object:
    """The value of a key of a configuration where nothing is set."""
    value: object = Config()
    for name in key:
        value = value[name] if isinstance(value, tuple) and isinstance(name, int) else getattr(value, str(name))
    return value


def test_as_it_is_it_sets_nothing() -> None:
    assert load_config(EXAMPLE, {}) == Config()


def test_it_has_every_key_and_no_other() -> None:
    listed = set(flatten((), tomllib.loads(uncommented())))
    assert listed == set(keys.every_key())


def test_the_values_are_those_of_the_code() -> None:
    listed = flatten((), tomllib.loads(uncommented()))
    for key, value in listed.items():
        if default(key) is None:
            # An absent value cannot be written in TOML; the example shows one that could be there.
            continue
        assert msgspec.json.decode(msgspec.json.encode(default(key))) == value, keys.dotted(key)


def test_every_key_can_be_set_as_it_is_written() -> None:
    config = load_config(EXAMPLE, {})
    for key, value in flatten((), tomllib.loads(uncommented())).items():
        assert load_config(None, {}, {keys.dotted(key): value}).limits == config.limits


@pytest.mark.parametrize("key", list(keys.every_key()), ids=keys.dotted)
def test_each_key_is_explained_right_above(key: keys.Key) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if (match := KEY.fullmatch(line)) and match[1] == key[-1])
    assert lines[place - 1].startswith("# ")


def test_the_example_of_rules_is_correct() -> None:
    AccessList.load(FOLDER / "acl.toml")


def test_an_uncommented_example_with_its_users_may_run(tmp_path: Path) -> None:
    path = tmp_path / "mqttbroker.toml"
    path.write_text(uncommented(), encoding="utf-8")
    config = load_config(path, {})
    assert config.security.password_file == tmp_path / "users.txt"
    check_exposure(config)


def flatten(key: keys.Key, value: object) -> dict[keys.Key, object]:
    """The values of a TOML document, by key."""
    if isinstance(value, dict):
        return {k: v for name, child in value.items() for k, v in flatten((*key, name), child).items()}
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return {k: v for i, child in enumerate(value) for k, v in flatten((*key, i), child).items()}
    return {key: value}
