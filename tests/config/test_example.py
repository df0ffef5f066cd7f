"""The example configuration says what the code does: every key, and the value that it has when it is not set."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Final

import msgspec
import pytest

from mqttbroker.broker.limits import Limits
from mqttbroker.config import AdminTlsConfig, CertificateConfig, Config, TlsConfig, check_exposure, keys, load_config
from mqttbroker.security import AccessList

FOLDER = Path(__file__).parents[2] / "config"
EXAMPLE = FOLDER / "mqttbroker.toml"
KEY = re.compile(r"#(\w+) = (.+)")
HEADER = re.compile(r"#?(\[\[?)([\w.]+)\]\]?")

LISTS: Final = ("listeners", "certificates")
LISTENER: Final[keys.Key] = ("listeners", 0)
TLS: Final[keys.Key] = (*LISTENER, "tls")

# Absent until somebody writes them, so that a configuration without anything has none of their values.
OPTIONAL_TABLES: Final[dict[keys.Key, type]] = {
    TLS: TlsConfig,
    (*TLS, "certificates", 0): CertificateConfig,
    ("admin", "tls"): AdminTlsConfig,
}

# Whose keys are explained in the table of the same name, once for all.
EXPLAINED_ELSEWHERE: Final[dict[keys.Key, str]] = {
    (*LISTENER, "limits"): "limits",
    (*LISTENER, "security"): "security",
}

# What some keys cannot be without.
ASKED: Final = {"listeners.0.tls.certificate": "server.pem", "listeners.0.tls.client_ca": "ca.pem"}
COMPANIONS: Final[dict[keys.Key, dict[str, object]]] = {
    (*LISTENER, "socket"): {"listeners.0.type": "unix"},
    (*LISTENER, "pages"): {"listeners.0.type": "websocket"},
    (*LISTENER, "username_from"): {**ASKED, "listeners.0.tls.client_certificates": "optional"},
    (*TLS, "client_ca"): {**ASKED, "listeners.0.tls.client_certificates": "required"},
    (*TLS, "crl"): {**ASKED, "listeners.0.tls.client_certificates": "required"},
    ("admin", "tls", "key"): {"admin.tls.certificate": "server.pem"},
    (*TLS, "certificates", 0, "key"): {
        "listeners.0.tls.certificate": "server.pem",
        "listeners.0.tls.certificates.0.certificate": "other.pem",
    },
}


def lines() -> list[str]:
    return EXAMPLE.read_text(encoding="utf-8").splitlines()


def uncommented() -> str:
    """The example with the "#" taken away in front of each key and each table."""
    return "\n".join(
        line.removeprefix("#") if KEY.fullmatch(line) or HEADER.fullmatch(line) else line for line in lines()
    )


def written() -> dict[keys.Key, object]:
    """The values in the example, by key."""
    return flatten((), tomllib.loads(uncommented()))


def places() -> dict[keys.Key, int]:
    """The line of each key, and of each table's header."""
    table: keys.Key = ()
    found: dict[keys.Key, int] = {}
    for number, line in enumerate(lines()):
        if (header := HEADER.fullmatch(line)) is not None:
            # Tables below [[listeners]] are those of the first, and so on.
            table = tuple(part for name in header[2].split(".") for part in ((name, 0) if name in LISTS else (name,)))
            found[table] = number
        elif (key := KEY.fullmatch(line)) is not None:
            found[(*table, key[1])] = number
    return found


def default(key: keys.Key) -> object:
    """The value of a key where nothing is set, as far as there is one."""
    *above, name = key
    table = OPTIONAL_TABLES.get(tuple(above))
    if table is not None:
        return next(each.default for each in fields(table) if each.name == name)
    if above == [*LISTENER, "limits"]:
        # Not set, it is as [limits] has it.
        return getattr(Limits(), str(name))
    value: object = Config()
    for part in key:
        value = value[part] if isinstance(value, tuple) and isinstance(part, int) else getattr(value, str(part))
    return value


def test_as_it_is_it_sets_nothing() -> None:
    assert load_config(EXAMPLE, {}) == Config()


def test_it_has_every_key_and_no_other() -> None:
    assert set(written()) == set(keys.every_key())


def test_the_values_are_those_of_the_code() -> None:
    for key, value in written().items():
        if default(key) is None:
            # An absent value cannot be written in TOML; the example shows one that could be there.
            continue
        assert msgspec.json.decode(msgspec.json.encode(default(key))) == value, keys.dotted(key)


@pytest.mark.parametrize("key", list(keys.every_key()), ids=keys.dotted)
def test_each_key_can_be_set_as_it_is_written(key: keys.Key) -> None:
    companions = COMPANIONS.get(key, {})
    if not companions and key[: len(TLS)] == TLS:
        companions = {"listeners.0.tls.certificate": "server.pem"}
    value = written()[key]
    config = load_config(None, {}, {**companions, keys.dotted(key): value})
    reached: object = config
    for part in key:
        reached = reached[part] if isinstance(reached, tuple) and isinstance(part, int) else getattr(reached, str(part))
    assert reached == (tuple(value) if isinstance(value, list) else Path(str(value)) if keys.is_path(key) else value)


@pytest.mark.parametrize("key", list(keys.every_key()), ids=keys.dotted)
def test_each_key_is_explained_right_above(key: keys.Key) -> None:
    table = key[:-1]
    if table in EXPLAINED_ELSEWHERE:
        # One sentence above the table says where.
        above = lines()[places()[table] - 2 : places()[table]]
        assert f"[{EXPLAINED_ELSEWHERE[table]}]" in " ".join(above)
        key = (EXPLAINED_ELSEWHERE[table], key[-1])
    assert lines()[places()[key] - 1].startswith("# ")


def test_the_example_of_rules_is_correct() -> None:
    AccessList.load(FOLDER / "acl.toml")


def test_users_that_it_names_are_enough_for_other_machines(tmp_path: Path) -> None:
    path = tmp_path / "mqttbroker.toml"
    security = re.sub(
        KEY, r"\1 = \2", EXAMPLE.read_text(encoding="utf-8").partition("\n[security]\n")[2].partition("\n[")[0]
    )
    path.write_text(f'listeners = [{{host = "0.0.0.0"}}]\n[security]\n{security}', encoding="utf-8")
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
