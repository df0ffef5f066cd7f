"""What may be set is derived from the dataclasses, and only from them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.broker.limits import Limits
from mqttbroker.config import keys


def test_every_key_has_every_limit() -> None:
    known = set(keys.every_key())
    assert {("limits", field.name) for field in fields(Limits)} <= known
    assert {("listeners", 0, "limits", field.name) for field in fields(ListenerLimits)} <= known
    assert {("data_dir",), ("listeners", 0, "port"), ("security", "acl_file"), ("log", "level")} <= known


def test_every_key_can_be_described_and_written_and_read() -> None:
    for key in keys.every_key():
        assert keys.describe(key)
        assert keys.parse(keys.dotted(key)) == key
        assert keys.exists(key)
        assert not keys.is_table(key)
        assert not keys.is_list(key)


@pytest.mark.parametrize(
    "key",
    [("nothing",), ("log", "level", "more"), ("log", 0), ("listeners", "0"), ("listeners", 0, "none"), (0,)],
    ids=str,
)
def test_what_is_no_key(key: keys.Key) -> None:
    assert not keys.exists(key)
    assert keys.children(key) == []


def test_tables_and_lists_are_described() -> None:
    assert keys.describe(("log",)) == "a table"
    assert keys.describe(("listeners",)) == "a list of tables ([[listeners]])"
    assert keys.describe(("listeners", 0)) == "a table"
    assert keys.parse("") == ()
    assert keys.is_table(())


def test_tables_that_may_be_absent_have_keys() -> None:
    tls = ("listeners", 0, "tls")
    assert keys.is_table(tls)
    assert keys.describe(tls) == "a table"
    assert keys.children(tls)[:2] == ["certificate", "key"]
    assert keys.is_path((*tls, "client_ca"))
    assert keys.describe((*tls, "client_certificates")) == 'one of "none", "optional", "required"'
    certificates = (*tls, "certificates")
    assert keys.is_list(certificates)
    assert not keys.is_table(certificates)
    assert keys.describe(certificates) == "a list of tables ([[listeners.tls.certificates]])"
    assert keys.children((*certificates, 3)) == ["certificate", "key"]
    assert {(*certificates, 0, "certificate"), (*tls, "crl")} <= set(keys.every_key())


def test_values_that_may_be_absent_are_described_and_unset() -> None:
    for name, expected in (
        ("username_from", 'one of "common_name", "alternative_name", "unix_user"'),
        ("socket", "a path in quotes"),
        ("socket_group", "a string"),
        ("trusted_proxies", "a list of strings"),
    ):
        assert keys.describe(("listeners", 0, name)) == expected
    assert keys.describe(("listeners", 0, "limits", "connect_timeout")) == "a number"
    assert keys.from_text(("listeners", 0, "limits", "connect_timeout"), "2.5") == 2.5
    assert keys.from_text(("listeners", 0, "limits", "connect_timeout"), "") is None
    assert keys.from_text(("listeners", 0, "username_from"), "") is None
    assert keys.from_text(("listeners", 0, "trusted_proxies"), "10.0.0.0/8, ::1") == ("10.0.0.0/8", "::1")


def test_only_strings_become_paths() -> None:
    assert keys.from_text(("data_dir",), "store") == Path("store")
    with pytest.raises(msgspec.ValidationError):
        keys.from_text(("limits", "retain_available"), "perhaps")
