"""A configuration is read from three sources, and each mistake is told by the name that the person used."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.broker.limits import Limits
from mqttbroker.config import (
    CertificateConfig,
    Config,
    ConfigError,
    ListenerConfig,
    LogConfig,
    SecurityConfig,
    TlsConfig,
    load_config,
)


def load(tmp_path: Path, toml: str, environ: dict[str, str] | None = None) -> Config:
    """Load a file with this text."""
    path = tmp_path / "broker.toml"
    path.write_text(toml, encoding="utf-8")
    return load_config(path, environ or {})


class TestSources:
    """File, environment and options, each overriding the one before."""

    def test_nothing_said_gives_the_defaults(self) -> None:
        assert load_config(None, {}) == Config()

    def test_an_empty_file_gives_the_defaults(self, tmp_path: Path) -> None:
        assert load(tmp_path, "") == Config()

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        config = load(
            tmp_path,
            """
            [[listeners]]
            port = 1884
            [[listeners]]
            name = "second"
            host = "::1"
            port = 0
            [limits]
            max_qos = 1
            connect_timeout = 3
            retain_available = false
            [log]
            level = "debug"
            format = "json"
            """,
        )
        assert config == Config(
            listeners=(ListenerConfig(port=1884), ListenerConfig("second", host="::1", port=0)),
            limits=Limits(max_qos=1, connect_timeout=3.0, retain_available=False),
            log=LogConfig("debug", "json"),
        )

    def test_paths_in_a_file_are_relative_to_it(self, tmp_path: Path) -> None:
        config = load(tmp_path, 'data_dir = "store"\nsecurity = {password_file = "/etc/users", acl_file = "acl.toml"}')
        assert config.data_dir == tmp_path / "store"
        assert config.security == SecurityConfig(password_file=Path("/etc/users"), acl_file=tmp_path / "acl.toml")

    def test_the_environment_overrides_the_file(self, tmp_path: Path) -> None:
        config = load(
            tmp_path,
            "[[listeners]]\nport = 1884\n[limits]\nmax_qos = 1",
            {
                "MQTTBROKER_LISTENERS__0__HOST": "::1",
                "MQTTBROKER_LISTENERS__1__NAME": "second",
                "MQTTBROKER_LIMITS__MAX_QOS": "0",
                "MQTTBROKER_LIMITS__STALLED_TIMEOUT": "2.5",
                "MQTTBROKER_LIMITS__SHARED_SUBSCRIPTIONS": "false",
                "MQTTBROKER_LIMITS__RESPONSE_INFORMATION": "7",
                "MQTTBROKER_SECURITY__ALLOW_ANONYMOUS": "true",
                "MQTTBROKER_DATA_DIR": "store",
                "MQTTBROKER_ARTIFACTS": "screenshots",
                "MQTTBROKER_REQUIRE_TOOLS": "1",
                "HOME": "/root",
            },
        )
        assert config == Config(
            data_dir=Path("store"),
            listeners=(ListenerConfig(host="::1", port=1884), ListenerConfig("second")),
            limits=Limits(max_qos=0, stalled_timeout=2.5, shared_subscriptions=False, response_information="7"),
            security=SecurityConfig(allow_anonymous=True),
        )

    def test_an_empty_variable_unsets_what_may_be_absent(self, tmp_path: Path) -> None:
        toml = '[security]\npassword_file = "users"\nallow_anonymous = false'
        environ = {"MQTTBROKER_SECURITY__PASSWORD_FILE": "", "MQTTBROKER_SECURITY__ALLOW_ANONYMOUS": ""}
        assert load(tmp_path, toml, environ) == Config()

    def test_tables_of_listeners_are_read(self, tmp_path: Path) -> None:
        config = load(
            tmp_path,
            """
            [[listeners]]
            trusted_proxies = ["10.0.0.0/8", "fd00::1"]
            [listeners.limits]
            max_packet_size = 1024
            [listeners.security]
            acl_file = "acl.toml"
            [[listeners]]
            name = "tls"
            username_from = "alternative_name"
            [listeners.tls]
            certificate = "certs/server.pem"
            client_certificates = "optional"
            client_ca = "/etc/ca.pem"
            [[listeners.tls.certificates]]
            certificate = "other.pem"
            [[listeners]]
            name = "local"
            type = "unix"
            socket = "mqtt.sock"
            """,
        )
        plain, tls, local = config.listeners
        assert plain == ListenerConfig(
            trusted_proxies=("10.0.0.0/8", "fd00::1"),
            limits=ListenerLimits(max_packet_size=1024),
            security=SecurityConfig(acl_file=tmp_path / "acl.toml"),
        )
        assert tls.tls == TlsConfig(
            tmp_path / "certs/server.pem",
            certificates=(CertificateConfig(tmp_path / "other.pem"),),
            client_certificates="optional",
            client_ca=Path("/etc/ca.pem"),
        )
        assert local == ListenerConfig("local", "unix", socket=tmp_path / "mqtt.sock")

    def test_the_environment_reaches_tables_that_may_be_absent(self) -> None:
        config = load_config(
            None,
            {
                "MQTTBROKER_LISTENERS__0__TLS__CERTIFICATE": "a.pem",
                "MQTTBROKER_LISTENERS__0__TLS__CERTIFICATES__0__CERTIFICATE": "b.pem",
                "MQTTBROKER_LISTENERS__0__TRUSTED_PROXIES": "127.0.0.1, ::1",
                "MQTTBROKER_LISTENERS__0__LIMITS__MAX_QOS": "1",
            },
        )
        assert config.listeners == (
            ListenerConfig(
                tls=TlsConfig(Path("a.pem"), certificates=(CertificateConfig(Path("b.pem")),)),
                trusted_proxies=("127.0.0.1", "::1"),
                limits=ListenerLimits(max_qos=1),
            ),
        )

    def test_options_override_the_environment(self) -> None:
        config = load_config(
            None,
            {"MQTTBROKER_LOG__LEVEL": "debug", "MQTTBROKER_LISTENERS__0__PORT": "1"},
            {"log.level": "error", "listeners.0.port": 2, "data_dir": None},
        )
        assert config == Config(listeners=(ListenerConfig(port=2),), log=LogConfig("error"))

    def test_the_file_may_be_named_by_the_environment(self, tmp_path: Path) -> None:
        path = tmp_path / "broker.toml"
        path.write_text('log = {level = "error"}', encoding="utf-8")
        assert load_config(None, {"MQTTBROKER_CONFIG": str(path)}).log.level == "error"

    def test_the_process_environment_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MQTTBROKER_LOG__FORMAT", "json")
        assert load_config().log.format == "json"


LEVEL = 'log.level: expected one of "debug", "info", "warning", "error"'

MISTAKES = {
    "an unknown key": ("[limits]\nmax_quos = 1", "limits.max_quos: unknown key; did you mean limits.max_qos?"),
    "a key of another table": ("max_qos = 1", "max_qos: unknown key; did you mean limits.max_qos?"),
    "a key of a table below": (
        "[[listeners]]\n[[listeners]]\nname = 'b'\nmax_qos = 1",
        "listeners.1.max_qos: unknown key; did you mean listeners.1.limits.max_qos?",
    ),
    "a key of a table deep below": (
        "crl = 'crl.pem'",
        "crl: unknown key; did you mean listeners.0.tls.crl?",
    ),
    "a table of another table": ("[tls]\nkey = 'a'", "tls: unknown key; did you mean listeners.0.tls?"),
    "a limit that a listener does not have": (
        "[listeners.limits]\nmax_retained_messages = 1",
        "listeners: expected a list of tables ([[listeners]]), got a table",
    ),
    "a limit of the whole broker": (
        "[[listeners]]\n[listeners.limits]\nmax_retained_messages = 1",
        "listeners.0.limits.max_retained_messages: unknown key; did you mean limits.max_retained_messages?",
    ),
    "an unknown table": ("[limit]\nmax_qos = 1", "limit: unknown key; did you mean limits?"),
    "nothing alike": ("zzz = 1", "zzz: unknown key"),
    "an unknown key of a listener": (
        "[[listeners]]\nprot = 1",
        "listeners.0.prot: unknown key; did you mean listeners.0.port?",
    ),
    "text for a number": ('[limits]\nmax_qos = "1"', 'limits.max_qos: expected an integer, got "1"'),
    "a truth value for a number": ("[[listeners]]\nport = true", "listeners.0.port: expected an integer, got true"),
    "a fraction for an integer": ("[limits]\nmax_qos = 1.5", "limits.max_qos: expected an integer, got 1.5"),
    "a date for a number": (
        "[limits]\nconnect_timeout = 2026-01-01",
        "limits.connect_timeout: expected a number, got 2026-01-01",
    ),
    "a number for a truth value": (
        "[limits]\nretain_available = 1",
        "limits.retain_available: expected true or false, got 1",
    ),
    "a number for text": (
        "[limits]\nresponse_information = 1",
        "limits.response_information: expected a string, got 1",
    ),
    "a number for a path": ("data_dir = 1", "data_dir: expected a path in quotes, got 1"),
    "an empty path": ('data_dir = ""', 'data_dir: expected a path in quotes, got ""'),
    "not one of a choice": ('[log]\nlevel = "loud"', f'{LEVEL}, got "loud"'),
    "a value for a table": ("limits = 1", "limits: expected a table, got 1"),
    "a value for a list": ("listeners = 1", "listeners: expected a list of tables ([[listeners]]), got 1"),
    "a table for a list": (
        "[listeners]\nport = 1",
        "listeners: expected a list of tables ([[listeners]]), got a table",
    ),
    "a list for a table": ("log = [1]", "log: expected a table, got a list"),
    "a value for a table in a list": ("listeners = [1]", "listeners.0: expected a table, got 1"),
    "a port too great": ("[[listeners]]\nport = 65536", "listeners.0.port: expected 0 to 65535, got 65536"),
    "a negative port": ("[[listeners]]\nport = -1", "listeners.0.port: expected 0 to 65535, got -1"),
    "no host": (
        '[[listeners]]\nhost = ""',
        'listeners.0.host: expected an address or a name ("0.0.0.0" and "::" are all addresses)',
    ),
    "no name": ('[[listeners]]\nname = ""', "listeners.0.name: expected at least one character"),
    "no listeners": ("listeners = []", "listeners: expected at least one"),
    "two listeners of one name": (
        "[[listeners]]\n[[listeners]]\nport = 1",
        "listeners: expected a different name for each, got 'tcp' twice",
    ),
    "a limit out of bounds": ("[limits]\nmax_qos = 3", "limits.max_qos: expected 0 to 2, got 3"),
    "a limit that is no number": (
        "[limits]\nconnect_timeout = nan",
        "limits.connect_timeout: expected 1.0 to 3600.0, got nan",
    ),
    "limits that contradict": (
        "[limits]\nmax_connect_size = 8388609",
        "limits.max_connect_size: expected at most max_packet_size",
    ),
    "a listener's limit out of bounds": (
        "[[listeners]]\n[listeners.limits]\nmax_qos = 3",
        "listeners.0.limits.max_qos: expected 0 to 2, got 3",
    ),
    "a listener's limit of the wrong type": (
        "[[listeners]]\n[listeners.limits]\nmax_qos = '1'",
        'listeners.0.limits.max_qos: expected an integer, got "1"',
    ),
    "a listener's rules of the wrong type": (
        "[[listeners]]\n[listeners.security]\nallow_anonymous = 'yes'",
        'listeners.0.security.allow_anonymous: expected true or false, got "yes"',
    ),
    "TLS that is no table": ("[[listeners]]\ntls = true", "listeners.0.tls: expected a table, got true"),
    "a certificate that is missing": (
        "[[listeners]]\n[listeners.tls]\nkey = 'key.pem'",
        "listeners.0.tls.certificate: expected a path in quotes",
    ),
    "certificates that are no tables": (
        "[[listeners]]\n[listeners.tls]\ncertificate = 'a.pem'\ncertificates = ['b.pem']",
        'listeners.0.tls.certificates.0: expected a table, got "b.pem"',
    ),
    "certificates that are no list": (
        "[[listeners]]\n[listeners.tls]\ncertificate = 'a.pem'\ncertificates = 'b.pem'",
        'listeners.0.tls.certificates: expected a list of tables ([[listeners.tls.certificates]]), got "b.pem"',
    ),
    "a further certificate that is missing": (
        "[[listeners]]\n[listeners.tls]\ncertificate = 'a.pem'\n[[listeners.tls.certificates]]\nkey = 'b.pem'",
        "listeners.0.tls.certificates.0.certificate: expected a path in quotes",
    ),
    "no version of TLS": (
        "[[listeners]]\n[listeners.tls]\ncertificate = 'a.pem'\nminimum_version = '1.1'",
        'listeners.0.tls.minimum_version: expected one of "1.2", "1.3", got "1.1"',
    ),
    "client certificates that nobody has signed": (
        "[[listeners]]\n[listeners.tls]\ncertificate = 'a.pem'\nclient_certificates = 'required'",
        'listeners.0.tls.client_ca: expected a path in quotes, since client_certificates is "required"',
    ),
    "a user name from nowhere": (
        "[[listeners]]\nusername_from = 'common_name'",
        'listeners.0.username_from: "common_name" needs tls.client_certificates, or a proxy that passes it on',
    ),
    "proxies that are no list": (
        "[[listeners]]\ntrusted_proxies = '127.0.0.1'",
        'listeners.0.trusted_proxies: expected a list of strings, got "127.0.0.1"',
    ),
    "proxies that are no addresses": (
        "[[listeners]]\ntrusted_proxies = ['proxy.example']",
        "listeners.0.trusted_proxies: expected addresses and networks like 10.0.0.0/8: "
        "'proxy.example' does not appear to be an IPv4 or IPv6 network",
    ),
    "a mount point without its end": (
        "[[listeners]]\nmount_point = 'site'",
        'listeners.0.mount_point: expected to end with "/" and not to begin with "$", got \'site\'',
    ),
    "a long text": (f'[log]\nlevel = "{"x" * 200}"', f'{LEVEL}, got "{"x" * 78}…'),
    "control characters": (
        '[log]\nlevel = "\\u001b[2J"',
        'log.level: expected one of "debug", "info", "warning", "error", got "\\x1b[2J"',
    ),
}


class TestMistakes:
    """What is wrong is said in one line: where, what was expected, and what to write instead."""

    @pytest.mark.parametrize(("toml", "message"), MISTAKES.values(), ids=MISTAKES)
    def test_in_a_file(self, tmp_path: Path, toml: str, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, toml)
        assert str(caught.value) == f"{tmp_path / 'broker.toml'}: {message}"

    def test_not_toml(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"broker\.toml: is not valid TOML: .*line 1"):
            load(tmp_path, "[log\n")

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "broker.toml"
        path.write_bytes(b"\xff")
        with pytest.raises(ConfigError, match=r"broker\.toml: is not valid TOML"):
            load_config(path, {})

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
            load_config(tmp_path / "none.toml", {})

    def test_what_is_missing_is_missing_in_the_file(self, tmp_path: Path) -> None:
        variable = {"MQTTBROKER_LISTENERS__0__TLS__KEY": "key.pem"}
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, "", variable)
        assert str(caught.value).startswith(f"{tmp_path / 'broker.toml'}: listeners.0.tls.certificate: expected")
        with pytest.raises(ConfigError) as caught:
            load_config(None, variable)
        assert str(caught.value).startswith("listeners.0.tls.certificate: expected")

    @pytest.mark.parametrize(
        ("variable", "value", "message"),
        [
            ("MQTTBROKER_LOG_LEVEL", "info", "unknown; did you mean MQTTBROKER_LOG__LEVEL?"),
            ("MQTTBROKER_LOG", "info", "unknown"),
            ("MQTTBROKER_LISTENERS", "[]", "unknown"),
            ("MQTTBROKER_", "", "unknown"),
            ("MQTTBROKER_LISTENERS__1__PORT", "1", "expected a position up to 0: they begin at 0, without gaps"),
            ("MQTTBROKER_LIMITS__MAX_QOS", "many", 'expected an integer, got "many"'),
            ("MQTTBROKER_LIMITS__MAX_QOS", "", 'expected an integer, got ""'),
            ("MQTTBROKER_LIMITS__MAX_QOS", "3", "expected 0 to 2, got 3"),
            ("MQTTBROKER_LOG__FORMAT", "xml", 'expected one of "text", "json", got "xml"'),
        ],
        ids=["one underscore", "a table", "a list", "no name", "a gap", "text", "empty", "out of bounds", "no choice"],
    )
    def test_in_the_environment(self, variable: str, value: str, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_config(None, {variable: value})
        assert str(caught.value).startswith(f"environment variable {variable}: {message}")

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("log.levle", "info", "option log.levle: unknown key; did you mean log.level?"),
            ("listeners.0.port", 70_000, "option listeners.0.port: expected 0 to 65535, got 70000"),
            ("log.level", "loud", 'option log.level: expected one of "debug", "info", "warning", "error", got "loud"'),
        ],
        ids=["unknown", "out of bounds", "no choice"],
    )
    def test_in_an_option(self, key: str, value: object, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_config(None, {}, {key: value})
        assert str(caught.value) == message

    def test_where_a_value_stands_for_a_table_below_a_variable(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="log: expected a table, got 1"):
            load(tmp_path, "log = 1", {"MQTTBROKER_LOG__LEVEL": "info"})
