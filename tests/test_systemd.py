"""What systemd passes to the broker and hears from it: with real descriptors, datagrams and unit files."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mqttbroker import systemd
from mqttbroker.config import Config
from mqttbroker.systemd import SystemdError, inherited_sockets, notify, reloading, watchdog_interval
from tests.support.tools import require_tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no supervisor of this kind on Windows")

UNITS = Path(__file__).parents[1] / "config" / "systemd"
TIMEOUT = 30
PID = str(os.getpid())

# Does what systemd does before it starts a service: the descriptors in the arguments become 3 and so on, and LISTEN_PID
# names the process. It is a process of its own, since in this one 3 is something else.
LAUNCHER = """
import fcntl, os, sys
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in sys.argv[2].split()]
for at, each in enumerate(high, 3):
    os.dup2(each, at)
    os.close(each)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""

# Takes the sockets over, tells about them, and greets one client at each.
SERVICE = """
import json, os, sys
from mqttbroker.systemd import SystemdError, inherited_sockets
try:
    found = inherited_sockets()
except SystemdError as error:
    print(json.dumps(str(error)))
    sys.exit()
print(json.dumps({
    "sockets": [[name, each.fileno(), each.getblocking(), each.get_inheritable()] for name, each in found],
    "again": len(inherited_sockets()),
    "variables": sorted(name for name in os.environ if name.startswith("LISTEN_")),
}), flush=True)
for name, each in found:
    each.settimeout(20)
    client, _ = each.accept()
    client.sendall(name.encode())
    client.close()
    each.close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose name is short enough for Unix sockets in it."""
    with tempfile.TemporaryDirectory(prefix="mqtt") as name:
        yield Path(name)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def start_service(descriptors: list[int], **variables: str) -> subprocess.Popen[str]:
    """Start a service as systemd does."""
    numbers = " ".join(map(str, descriptors))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
    environ |= {"LISTEN_FDS": str(len(descriptors)), **variables}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, SERVICE, numbers],
        env=environ,
        pass_fds=descriptors,
        stdout=subprocess.PIPE,
        text=True,
    )


def service_says(descriptors: list[int], **variables: str) -> Any:
    """What a service finds that is given these descriptors."""
    service = start_service(descriptors, **variables)
    output, _ = service.communicate(timeout=TIMEOUT)
    assert service.returncode == 0
    return json.loads(output)


def greeting(server: socket.socket) -> bytes:
    """What a client is told that connects."""
    with socket.socket(server.family, socket.SOCK_STREAM) as client:
        client.settimeout(TIMEOUT)
        client.connect(server.getsockname())
        return client.recv(100)


class TestInheritedSockets:
    """sd_listen_fds(3)."""

    def test_are_taken_over(self, folder: Path, listening: socket.socket) -> None:
        unix = socket.socket(socket.AF_UNIX)
        with closing(unix), socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
            unix.bind(str(folder / "mqtt.sock"))
            unix.listen()
            servers = [listening, other, unix]
            service = start_service([each.fileno() for each in servers], LISTEN_FDNAMES="tcp:tcp:local")
            assert service.stdout is not None
            found = json.loads(service.stdout.readline())
            greetings = [greeting(each) for each in servers]
            service.communicate(timeout=TIMEOUT)
        assert found == {
            "sockets": [["tcp", 3, False, False], ["tcp", 4, False, False], ["local", 5, False, False]],
            "again": 0,
            "variables": [],
        }
        assert greetings == [b"tcp", b"tcp", b"local"]

    def test_have_no_names_from_an_old_supervisor(self, listening: socket.socket) -> None:
        service = start_service([listening.fileno()])
        assert greeting(listening) == b"unknown"
        service.communicate(timeout=TIMEOUT)

    def test_one_that_does_not_listen(self) -> None:
        with socket.socket() as idle:
            said = service_says([idle.fileno()], LISTEN_FDNAMES="tcp")
        assert said == (
            "inherited file descriptor 3 ('tcp') does not listen; use ListenStream= and Accept=no in the socket unit"
        )

    def test_a_connection(self, listening: socket.socket) -> None:
        with socket.create_connection(listening.getsockname(), TIMEOUT) as client:
            assert "does not listen" in service_says([client.fileno()])

    def test_datagrams(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            assert "is not a stream socket" in service_says([udp.fileno()])

    @pytest.mark.skipif(sys.platform != "linux", reason="a family of Linux")
    def test_of_another_family(self) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as netlink:
            assert "expected IPv4, IPv6 or Unix" in service_says([netlink.fileno()])

    def test_a_file(self, tmp_path: Path, listening: socket.socket) -> None:
        with (tmp_path / "file").open("w") as file:
            said = service_says([listening.fileno(), file.fileno()], LISTEN_FDNAMES="tcp:file")
        assert said.startswith("inherited file descriptor 4 ('file') is not an open socket:")

    def test_fewer_than_were_announced(self, listening: socket.socket) -> None:
        said = service_says([listening.fileno()], LISTEN_FDS="2")
        assert said.startswith("inherited file descriptor 4 ('unknown') is not an open socket:")

    @pytest.mark.parametrize(
        "environ",
        [
            {},
            {"LISTEN_PID": "", "LISTEN_FDS": ""},
            {"LISTEN_PID": PID},
            {"LISTEN_FDS": "1"},
            {"LISTEN_PID": PID, "LISTEN_FDS": "0"},
            {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "tcp"},
        ],
        ids=["nothing", "empty", "no number", "no process", "none", "another process"],
    )
    def test_there_are_none(self, environ: dict[str, str]) -> None:
        assert inherited_sockets(environ) == []
        assert environ == {}

    @pytest.mark.parametrize(
        ("environ", "text"),
        [
            ({"LISTEN_PID": "me", "LISTEN_FDS": "1"}, "LISTEN_PID: expected a number, got 'me'"),
            ({"LISTEN_PID": PID, "LISTEN_FDS": "-1"}, "LISTEN_FDS: expected a number, got '-1'"),
            ({"LISTEN_PID": PID, "LISTEN_FDS": "9" * 20}, "LISTEN_FDS: expected a number, got '9999"),
            ({"LISTEN_PID": PID, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "tcp"}, "expected 2 names, .* got 1"),
            ({"LISTEN_PID": PID, "LISTEN_FDS": "0", "LISTEN_FDNAMES": "a:b"}, "expected 0 names, .* got 2"),
        ],
        ids=["process", "number", "large number", "too few names", "too many names"],
    )
    def test_mistakes(self, environ: dict[str, str], text: str) -> None:
        with pytest.raises(SystemdError, match=text):
            inherited_sockets(environ)
        assert environ == {}


Supervisor = tuple[socket.socket, str]


@pytest.fixture(params=["path", "abstract"])
def supervisor(request: pytest.FixtureRequest, folder: Path) -> Iterator[Supervisor]:
    """A socket that hears what services say, and its name for NOTIFY_SOCKET."""
    name = str(folder / "notify")
    if request.param == "abstract":
        if sys.platform != "linux":
            pytest.skip("names outside of the file system are a thing of Linux")
        name = "@" + name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(name.replace("@", "\0"))
        ears.settimeout(TIMEOUT)
        yield ears, name


class TestNotify:
    """sd_notify(3)."""

    def test_is_heard(self, supervisor: Supervisor) -> None:
        ears, name = supervisor
        assert notify("READY=1", "STATUS=Listening on 2 ports", environ={"NOTIFY_SOCKET": name})
        assert ears.recv(1_000) == b"READY=1\nSTATUS=Listening on 2 ports"

    def test_the_environment_is_that_of_the_process(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ears, name = supervisor
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert notify("STOPPING=1")
        assert ears.recv(1_000) == b"STOPPING=1"

    def test_a_line_stays_one_line(self, supervisor: Supervisor) -> None:
        ears, name = supervisor
        assert notify("STATUS=a\nMAINPID=1 \udcff", environ={"NOTIFY_SOCKET": name})
        assert ears.recv(1_000) == b"STATUS=a MAINPID=1 ?"

    def test_a_reload(self, supervisor: Supervisor) -> None:
        ears, name = supervisor
        assert notify(*reloading(), environ={"NOTIFY_SOCKET": name})
        first, second = ears.recv(1_000).decode().split("\n")
        assert first == "RELOADING=1"
        variable, _, microseconds = second.partition("=")
        assert variable == "MONOTONIC_USEC"
        assert int(microseconds) > 0

    def test_a_supervisor_that_does_not_listen_is_not_waited_for(self, supervisor: Supervisor) -> None:
        _, name = supervisor
        sent = 0
        while notify("WATCHDOG=1", environ={"NOTIFY_SOCKET": name}):
            sent += 1
            assert sent < 100_000
        assert sent

    @pytest.mark.parametrize(
        "name",
        ["", "notify", "vsock:2:1234", "/nowhere/notify", "/" + "x" * 200, "@nobody-listens-here", "/"],
        ids=["none", "relative", "another family", "missing", "too long", "missing and abstract", "a directory"],
    )
    def test_nobody_hears_it(self, name: str) -> None:
        assert not notify("READY=1", environ={"NOTIFY_SOCKET": name})

    def test_nobody_is_asked(self) -> None:
        assert not notify("READY=1", environ={})

    def test_the_supervisor_is_gone(self, supervisor: Supervisor) -> None:
        ears, name = supervisor
        ears.close()
        assert not notify("READY=1", environ={"NOTIFY_SOCKET": name})


class TestWatchdog:
    """sd_watchdog_enabled(3)."""

    @pytest.mark.parametrize(
        ("environ", "interval"),
        [
            ({"WATCHDOG_USEC": "30000000"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": PID}, 15.0),
            ({"WATCHDOG_USEC": "500000"}, 0.25),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "-5"}, None),
            ({"WATCHDOG_USEC": "30s"}, None),
            ({"WATCHDOG_PID": PID}, None),
            ({}, None),
        ],
        ids=["any", "ours", "short", "another", "no process", "zero", "negative", "no number", "no time", "nothing"],
    )
    def test_interval(self, environ: dict[str, str], interval: float | None) -> None:
        assert watchdog_interval(environ) == interval


class TestElsewhere:
    """On Windows there is nothing, whatever the environment says."""

    @pytest.fixture(autouse=True)
    def windows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(systemd, "_HAS_SUPERVISORS", False)

    def test_nothing(self, supervisor: Supervisor) -> None:
        assert inherited_sockets({"LISTEN_PID": PID, "LISTEN_FDS": "1"}) == []
        assert not notify("READY=1", environ={"NOTIFY_SOCKET": supervisor[1]})
        assert watchdog_interval({"WATCHDOG_USEC": "30000000"}) is None


def unit(name: str) -> ConfigParser:
    """A unit file; of a key that is there more than once, the last value."""
    parser = ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # mypy knows no way to say this
    parser.read(UNITS / name, encoding="utf-8")
    return parser


class TestUnits:
    """The unit files that come with the broker."""

    def test_systemd_finds_no_mistake(self, tmp_path: Path) -> None:
        verify = require_tool("systemd-analyze")
        for path in UNITS.iterdir():
            text = path.read_text(encoding="utf-8")
            # It looks whether programs are there.
            (tmp_path / path.name).write_text(text.replace("/opt/mqttbroker/bin/mqttbroker", sys.executable), "utf-8")
        said = subprocess.run(
            [verify, "verify", "--man=no", *(str(tmp_path / path.name) for path in UNITS.iterdir())],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert said.stdout + said.stderr == ""
        assert said.returncode == 0

    def test_the_socket_is_for_a_listener_that_there_is(self) -> None:
        assert unit("mqttbroker.socket")["Socket"]["FileDescriptorName"] == Config().listeners[0].name

    def test_a_broker_that_is_told_nothing_else_is_not_open_to_all(self) -> None:
        text = (UNITS / "mqttbroker.socket").read_text(encoding="utf-8")
        addresses = [line.partition("=")[2] for line in text.splitlines() if line.startswith("ListenStream=")]
        assert addresses == ["127.0.0.1:1883", "[::1]:1883"]

    def test_there_are_descriptors_for_all_connections(self) -> None:
        assert int(unit("mqttbroker.service")["Service"]["LimitNOFILE"]) > Config().limits.max_connections

    def test_the_programs_have_such_commands(self) -> None:
        text = (UNITS / "mqttbroker.service").read_text(encoding="utf-8")
        program = shutil.which("mqttbroker", path=str(Path(sys.executable).parent)) or require_tool("mqttbroker")
        commands = re.findall(r"^Exec\w+=/opt/mqttbroker/bin/mqttbroker (\S+)", text, re.MULTILINE)
        assert commands == ["serve", "check-config"]
        known = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=TIMEOUT).stdout
        assert all(command in known for command in commands)
