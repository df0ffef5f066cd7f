"""A broker that serves the page, a sensor that publishes to it, and Chromium to look at it.

All tests here are synchronous, as ``tests/support/browsing.py`` says.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from mqttbroker.broker import Authenticator, Authorizer
from mqttbroker.config import Config, ListenerConfig, TlsConfig
from mqttbroker.testing import RunningBroker
from tests.support import npm
from tests.support.browsing import Watch, browser, new_context
from tests.support.pki import Pki
from tests.support.tools import require_tool

__all__ = ["browser"]

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCES = ("index.html", "style.css", "app.js", "package.json")
BUILD_TIMEOUT = 30.0

SensorStarter = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="session")
def bundle(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as ``make browser-example`` builds it, from what is in the tree now."""
    installed = npm.node_modules(pytestconfig, EXAMPLES / "browser")
    folder = tmp_path_factory.mktemp("browser")
    for name in SOURCES:
        shutil.copy(EXAMPLES / "browser" / name, folder)
    (folder / "node_modules").symlink_to(installed)
    command = [require_tool("npm"), "run", "build"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert built.returncode == 0, built.stderr
    return folder / "dist"


class Site:
    """A broker with a TCP listener for sensors and a WebSocket listener that serves the page. It can be restarted."""

    def __init__(self, pages: Path, data_dir: Path, tls: TlsConfig | None) -> None:
        self._pages: Path = pages
        self._data_dir: Path = data_dir
        self._tls: TlsConfig | None = tls
        self.authenticator: Authenticator | None = None
        self.authorizer: Authorizer | None = None
        """Both from the next start on."""
        self.tcp_port: int = 0
        self.web_port: int = 0
        self.broker: RunningBroker = self.start()

    def start(self) -> RunningBroker:
        """Start; a second time on the ports of the first."""
        listeners = (
            ListenerConfig("tcp", port=self.tcp_port),
            ListenerConfig("web", "websocket", port=self.web_port, pages=self._pages, tls=self._tls),
        )
        config = Config(listeners=listeners, data_dir=self._data_dir)
        self.broker = RunningBroker(config=config, authenticator=self.authenticator, authorizer=self.authorizer)
        self.broker.start()
        addresses = self.broker.call(lambda inner: inner.addresses)
        self.tcp_port = addresses["tcp"][0][1]
        self.web_port = addresses["web"][0][1]
        return self.broker

    def stop(self) -> None:
        """Stop, and forget nothing of what is retained."""
        self.broker.stop()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.web_port}/"


@pytest.fixture
def scheme(request: pytest.FixtureRequest) -> str:
    """``ws``, or the indirect parameter of the test: ``wss``."""
    return str(getattr(request, "param", "ws"))


@pytest.fixture
def site(bundle: Path, tmp_path: Path, scheme: str, pki: Pki) -> Iterator[Site]:
    """A running broker that serves the page."""
    site = Site(bundle, tmp_path / "data", pki.tls_config() if scheme == "wss" else None)
    yield site
    site.stop()
    assert not [line for line in site.broker.logged if line[0] == "error"]


@pytest.fixture
def start_sensor(site: Site) -> Iterator[SensorStarter]:
    """Starts examples/host_sensor.py for the broker, with further arguments."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(EXAMPLES / "host_sensor.py"), "--port", str(site.tcp_port), *arguments]
        running.append(subprocess.Popen(command))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait(10)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has been nowhere yet. It does not know the authority of the tests."""
    context = new_context(browser)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    return context.new_page()


@pytest.fixture
def watch(page: Page, site: Site) -> Iterator[Watch]:
    """Holds the page, at the end of the test, to having stayed at home without an error."""
    watch = Watch(site.url)
    watch.follow(page)
    yield watch
    watch.check()


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Where screenshots are kept: the directory that ``MQTTBROKER_ARTIFACTS`` names, or the test's own."""
    folder = Path(os.environ.get("MQTTBROKER_ARTIFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def hostname() -> str:
    """What the sensor calls this machine."""
    return socket.gethostname()
