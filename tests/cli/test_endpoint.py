"""``mqttbroker pub`` and ``mqttbroker sub`` over TLS and Unix sockets, and what they say when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqttbroker.cli import client as client_module
from mqttbroker.cli import endpoint as endpoint_module
from mqttbroker.cli.client import open_client
from mqttbroker.cli.endpoint import TLS_PORT, ClientError, Endpoint, Tls
from mqttbroker.config import Config, ListenerConfig
from mqttbroker.protocol import Connect
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.cli.conftest import Command
from tests.support.pki import ClientName, Pki

PUBLISH = ("pub", "-t", "lamp/state", "-m", "on", "-q", 1, "-r")
SUBSCRIBE = ("sub", "-t", "lamp/state", "-C", 1)
CLOSED = (
    "the broker closed the connection",
    *(f"the connection was lost: {os.strerror(each)}" for each in (errno.ECONNRESET, errno.EPIPE)),
)
"""How the end of a connection can look that the other end has not explained, or not so that it could be heard."""
COMMANDS = pytest.mark.parametrize("talk", [PUBLISH, SUBSCRIBE], ids=["pub", "sub"])


def serve(mqtt_broker_factory: BrokerFactory, listener: ListenerConfig) -> RunningBroker:
    """A broker with one listener."""
    return mqtt_broker_factory(config=Config(listeners=(listener,)))


@pytest.fixture
def encrypted(mqtt_broker_factory: BrokerFactory, pki: Pki) -> RunningBroker:
    """A broker with TLS."""
    return serve(mqtt_broker_factory, ListenerConfig(port=0, tls=pki.tls_config()))


@pytest.fixture
def strict(mqtt_broker_factory: BrokerFactory, pki: Pki) -> RunningBroker:
    """A broker with TLS that wants client certificates."""
    tls = pki.tls_config(client_certificates="required", crl=pki.crl)
    return serve(mqtt_broker_factory, ListenerConfig(port=0, tls=tls))


def certificate(pki: Pki, name: ClientName) -> tuple[object, ...]:
    """The options for a client certificate."""
    return ("--cert", pki.certificate(name), "--key", pki.key(name))


def check_fails(command: Command, arguments: tuple[object, ...], *messages: str) -> None:
    """Run a command, which must fail with one of these messages, in one line."""
    result = command(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr in [f"mqttbroker: {message}\n" for message in messages]


class TestTls:
    """Encrypted, with the broker's certificate checked."""

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["name", "address"])
    def test_both_commands(self, encrypted: RunningBroker, command: Command, pki: Pki, host: str) -> None:
        where = ("--cafile", pki.ca, "-h", host, "-p", encrypted.port)
        result = command(*PUBLISH, *where)
        assert (result.exit_code, result.output) == (0, "")
        result = command(*SUBSCRIBE, *where)
        assert (result.exit_code, result.output) == (0, "on\n")

    def test_lines(self, encrypted: RunningBroker, command: Command, pki: Pki) -> None:
        where = ("--cafile", pki.ca, "-p", encrypted.port)
        lines = b"".join(b"%d\n" % number for number in range(200))
        assert command("pub", *where, "-t", "a", "-l", "-q", 2, "-r", input=lines).exit_code == 0
        assert command("sub", *where, "-t", "a", "-C", 1).stdout == "199\n"

    def test_the_authorities_of_the_system(
        self, encrypted: RunningBroker, command: Command, pki: Pki, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
        assert command(*PUBLISH, "--tls-use-os-certs", "-p", encrypted.port).exit_code == 0
        # They do not count for those who name others, unless both are asked for.
        other = ("--cafile", pki.certificate("foreign-ca"), "-p", encrypted.port)
        assert command(*PUBLISH, *other).exit_code == 1
        assert command(*SUBSCRIBE, *other, "--tls-use-os-certs").stdout == "on\n"

    def test_a_client_certificate(self, strict: RunningBroker, command: Command, pki: Pki) -> None:
        where = ("--cafile", pki.ca, "-p", strict.port, *certificate(pki, "alice"))
        assert command(*PUBLISH, *where).exit_code == 0
        assert command(*SUBSCRIBE, *where).stdout == "on\n"

    @COMMANDS
    def test_the_port_where_none_is_given(
        self, command: Command, pki: Pki, monkeypatch: pytest.MonkeyPatch, talk: tuple[object, ...]
    ) -> None:
        async def refuse(_host: str, port: int, **_options: object) -> object:
            raise ConnectionRefusedError(f"asked for {port}")

        monkeypatch.setattr(asyncio, "open_connection", refuse)
        refused = "connection refused (is a broker running there?)"
        check_fails(command, (*talk, "--cafile", pki.ca), f"cannot connect to localhost:{TLS_PORT}: {refused}")
        check_fails(command, talk, f"cannot connect to localhost:1883: {refused}")


@COMMANDS
class TestBrokersThatAreNotTrusted:
    """The broker's certificate says who it is, or else nothing is sent."""

    def test_another_authority(
        self, encrypted: RunningBroker, command: Command, pki: Pki, talk: tuple[object, ...]
    ) -> None:
        arguments = (*talk, "--cafile", pki.certificate("foreign-ca"), "-p", encrypted.port)
        problem = "the broker's certificate is not trusted: unable to get local issuer certificate"
        for insecure in ((), ("--insecure",)):
            check_fails(
                command,
                (*arguments, *insecure),
                f"cannot connect to localhost:{encrypted.port}: {problem} (does --cafile name the authority?)",
            )

    def test_another_name(
        self, mqtt_broker_factory: BrokerFactory, command: Command, pki: Pki, talk: tuple[object, ...]
    ) -> None:
        tls = pki.tls_config(certificate=pki.certificate("other"), key=pki.key("other"))
        broker = serve(mqtt_broker_factory, ListenerConfig(port=0, tls=tls))
        broker.publish("lamp/state", "on", retain=True)
        for host in ("localhost", "127.0.0.1"):
            arguments = (*talk, "--cafile", pki.ca, "-h", host, "-p", broker.port)
            check_fails(
                command,
                arguments,
                f"cannot connect to {host}:{broker.port}: the broker's certificate is not for {host} "
                "(use a name that it is for as --host, or --insecure)",
            )
            assert command(*arguments, "--insecure").exit_code == 0

    def test_a_certificate_that_has_expired(
        self, mqtt_broker_factory: BrokerFactory, command: Command, pki: Pki, talk: tuple[object, ...]
    ) -> None:
        tls = pki.tls_config(certificate=pki.certificate("expired-server"), key=pki.key("expired-server"))
        broker = serve(mqtt_broker_factory, ListenerConfig(port=0, tls=tls))
        check_fails(
            command,
            (*talk, "--cafile", pki.ca, "-p", broker.port),
            f"cannot connect to localhost:{broker.port}: "
            "the broker's certificate is not trusted: certificate has expired",
        )


@COMMANDS
class TestClientsThatAreRefused:
    """The broker tells late, after the client has taken the hand-shake for done; sometimes it cannot be heard."""

    def test_no_certificate(self, strict: RunningBroker, command: Command, pki: Pki, talk: tuple[object, ...]) -> None:
        check_fails(
            command,
            (*talk, "--cafile", pki.ca, "-p", strict.port),
            "the connection was lost: the broker refused TLS: certificate required "
            "(it may want a client certificate: --cert and --key)",
            *(f"{each} (does it want a client certificate? then use --cert and --key)" for each in CLOSED),
        )

    @pytest.mark.parametrize(
        ("name", "why"),
        [("expired", "certificate expired"), ("foreign", "unknown ca"), ("revoked", "certificate revoked")],
        ids=str,
    )
    def test_a_bad_certificate(
        self, strict: RunningBroker, command: Command, pki: Pki, talk: tuple[object, ...], name: ClientName, why: str
    ) -> None:
        check_fails(
            command,
            (*talk, "--cafile", pki.ca, "-p", strict.port, *certificate(pki, name)),
            f"the connection was lost: the broker refused {pki.certificate(name)}: {why}",
            *CLOSED,
        )


@COMMANDS
class TestPortsOfAnotherKind:
    def test_tls_where_there_is_none(
        self, mqtt_broker: RunningBroker, command: Command, pki: Pki, talk: tuple[object, ...]
    ) -> None:
        check_fails(
            command,
            (*talk, "--cafile", pki.ca, "-h", "localhost", "-p", mqtt_broker.port),
            f"cannot connect to localhost:{mqtt_broker.port}: "
            "the connection was closed during the TLS hand-shake (is this a port with TLS?)",
        )

    def test_no_tls_where_there_is(self, encrypted: RunningBroker, command: Command, talk: tuple[object, ...]) -> None:
        check_fails(
            command,
            (*talk, "-p", encrypted.port),
            *(f"{each} (is this a port with TLS? then use --cafile)" for each in CLOSED),
        )


@COMMANDS
class TestFiles:
    """Files that cannot be used are named, before anything is connected to."""

    @pytest.mark.parametrize("option", ["--cafile", "--cert", "--key"], ids=str)
    def test_not_there(self, command: Command, pki: Pki, tmp_path: Path, talk: tuple[object, ...], option: str) -> None:
        files = {"--cafile": pki.ca, "--cert": pki.certificate("alice"), "--key": pki.key("alice")}
        files[option] = missing = tmp_path / "none.pem"
        arguments = [each for pair in files.items() for each in pair]
        check_fails(command, (*talk, *arguments), f"{missing}: cannot be read: No such file or directory")

    def test_no_authority(self, command: Command, pki: Pki, talk: tuple[object, ...]) -> None:
        key = pki.key("alice")
        check_fails(command, (*talk, "--cafile", key), f"{key}: expected certificates, PEM")

    def test_no_certificate_and_key(self, command: Command, pki: Pki, tmp_path: Path, talk: tuple[object, ...]) -> None:
        alice, key = pki.certificate("alice"), pki.key("alice")
        wrong = tmp_path / "wrong.pem"
        wrong.write_text("no certificate", encoding="utf-8")
        for files in ((wrong, key), (alice, wrong)):
            check_fails(
                command,
                (*talk, "--cafile", pki.ca, "--cert", files[0], "--key", files[1]),
                f"{files[0]}, {files[1]}: expected a certificate and its key, PEM",
            )

    def test_the_key_of_another(self, command: Command, pki: Pki, talk: tuple[object, ...]) -> None:
        alice, key = pki.certificate("alice"), pki.key("revoked")
        check_fails(
            command,
            (*talk, "--cafile", pki.ca, "--cert", alice, "--key", key),
            f"{key}: is not the key of {alice}",
        )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")
class TestUnixSockets:
    def test_both_commands(self, mqtt_broker_factory: BrokerFactory, command: Command, tmp_path: Path) -> None:
        path = tmp_path / "broker.sock"
        serve(mqtt_broker_factory, ListenerConfig("unix", "unix", socket=path))
        result = command(*PUBLISH, "--unix", path)
        assert (result.exit_code, result.output) == (0, "")
        result = command(*SUBSCRIBE, "--unix", path)
        assert (result.exit_code, result.output) == (0, "on\n")

    @COMMANDS
    def test_nobody_listens(self, command: Command, tmp_path: Path, talk: tuple[object, ...]) -> None:
        path = tmp_path / "none.sock"
        check_fails(
            command,
            (*talk, "--unix", path),
            f"cannot connect to {path}: there is no such socket (is a broker running there?)",
        )
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        check_fails(
            command,
            (*talk, "--unix", path),
            f"cannot connect to {path}: connection refused (is a broker running there?)",
        )

    async def test_a_broker_that_says_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "broker.sock"
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
        async with asyncio.timeout(10), server:
            with pytest.raises(ClientError) as caught:
                async with open_client(Endpoint(path=path), Connect("client")):
                    pass
        # There is nothing to advise.
        assert str(caught.value) in CLOSED

    @COMMANDS
    def test_a_system_without(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, talk: tuple[object, ...]
    ) -> None:
        monkeypatch.setattr(endpoint_module, "sys", SimpleNamespace(platform="win32"))
        check_fails(command, (*talk, "--unix", "a"), "cannot connect to a: there are no Unix sockets here")


@COMMANDS
class TestMistakes:
    """What cannot be is said before anything is sent, with exit code 2."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--cert", "a", "--key", "b"), "Invalid value for --cert: needs TLS: --cafile or --tls-use-os-certs"),
            (("--key", "b"), "Invalid value for --key: needs TLS"),
            (("--insecure",), "Invalid value for --insecure: needs TLS"),
            (("--cafile", "a", "--cert", "b"), "a certificate and its key belong together"),
            (("--tls-use-os-certs", "--key", "b"), "a certificate and its key belong together"),
            (("--unix", "a", "-h", "localhost"), "Invalid value for --unix: cannot be together with"),
            (("--unix", "a", "-p", "1883"), "Invalid value for --unix: cannot be together with"),
            (("--unix", "a", "--cafile", "b"), "Invalid value for --unix: cannot be together with"),
            (("-h", ""), "Invalid value for --host: expected a name or an address"),
        ],
        ids=[
            *("certificate without TLS", "key without TLS", "insecure without TLS", "no key", "no certificate"),
            *("socket and host", "socket and port", "socket and TLS", "no host"),
        ],
    )
    def test_of_the_command_line(
        self, command: Command, talk: tuple[object, ...], options: tuple[str, ...], message: str
    ) -> None:
        result = command(*talk, *options)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
    def test_a_name_that_cannot_be(self, command: Command, pki: Pki, talk: tuple[object, ...], tls: bool) -> None:
        options = ("--cafile", pki.ca) if tls else ()
        check_fails(
            command,
            (*talk, "-h", "a..b", "-p", 1, *options),
            "cannot connect to a..b:1: that cannot be a host name",
        )


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """Something that waits for a word, gives this answer and leaves; the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def fails(endpoint: Endpoint) -> str:
    """Connect there, which fails; what is said of it."""
    with pytest.raises(ClientError) as caught:
        async with asyncio.timeout(10), open_client(endpoint, Connect("client")):
            pass
    return str(caught.value).removeprefix(f"cannot connect to {endpoint}: ")


class TestAnswersToTls:
    """What other servers, and older ones, do."""

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
                "what answers does not speak TLS (is this a port with TLS?)",
            ),
            (b"", "the connection was closed during the TLS hand-shake (is this a port with TLS?)"),
            (b"\x15\x03\x03\x00\x02\x02\x46", "the broker refused TLS: protocol version"),
            (
                b"\x15\x03\x03\x00\x02\x02\x28",
                "the broker refused TLS: handshake failure (it may want a client certificate: --cert and --key)",
            ),
        ],
        ids=["HTTP", "nothing", "another version", "hand-shake failure"],
    )
    async def test_without_a_client_certificate(self, pki: Pki, answer: bytes, why: str) -> None:
        async with answering(answer) as port:
            assert await fails(Endpoint("127.0.0.1", port, tls=Tls(pki.ca))) == why

    @pytest.mark.parametrize(
        ("alert", "why"),
        [
            (0x28, "the broker refused TLS: handshake failure"),
            (0x2A, "the broker refused {certificate}: bad certificate"),
            (0x30, "the broker refused {certificate}: unknown ca"),
        ],
        ids=["hand-shake failure", "bad certificate", "unknown authority"],
    )
    async def test_with_one(self, pki: Pki, alert: int, why: str) -> None:
        shown = pki.certificate("alice")
        async with answering(b"\x15\x03\x03\x00\x02\x02" + bytes((alert,))) as port:
            endpoint = Endpoint("127.0.0.1", port, tls=Tls(pki.ca, certificate=shown, key=pki.key("alice")))
            assert await fails(endpoint) == why.format(certificate=shown)

    async def test_what_is_no_alert(self, pki: Pki) -> None:
        # Encrypted data, which cannot be before there are keys.
        async with answering(b"\x17\x03\x03\x00\x01\x00") as port:
            assert (await fails(Endpoint("127.0.0.1", port, tls=Tls(pki.ca)))).startswith("TLS failed: ")

    @pytest.mark.parametrize("shown", [False, True], ids=["without a certificate", "with one"])
    async def test_closed_without_a_word(self, pki: Pki, shown: bool) -> None:
        tls = Tls(pki.ca, certificate=pki.certificate("alice"), key=pki.key("alice")) if shown else Tls(pki.ca)
        hint = "" if shown else " (does it want a client certificate? then use --cert and --key)"
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=pki.server_context())
        async with server:
            why = await fails(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], tls=tls))
        assert why in [each + hint for each in CLOSED]

    async def test_no_answer(self, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = Endpoint("127.0.0.1", silent.getsockname()[1], tls=Tls(pki.ca))
            assert await fails(endpoint) == "no answer in 0.2 s"

    async def test_a_broker_that_does_not_say_goodbye(self, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
        """Leaving does not take longer than it must where the end of the TLS connection is not answered."""
        monkeypatch.setattr(endpoint_module, "SHUTDOWN_TIMEOUT", 0.2)
        monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.2)
        listening = socket.create_server(("127.0.0.1", 0))

        def greet() -> None:
            with contextlib.suppress(OSError):
                accepted, _ = listening.accept()
                kept.append(pki.server_context().wrap_socket(accepted, server_side=True))

        kept: list[socket.socket] = []
        with listening:
            greeting = asyncio.create_task(asyncio.to_thread(greet))
            endpoint = Endpoint("127.0.0.1", listening.getsockname()[1], tls=Tls(pki.ca))
            assert await fails(endpoint) == "the broker did not answer CONNECT in 0.2 s"
            await greeting
        for each in kept:
            each.close()
