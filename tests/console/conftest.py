"""A broker with the built console, Chromium that has logged in, and what holds a page to how it should look.

All tests here are synchronous, as ``tests/support/browsing.py`` says. Screenshots are written to
``build/screenshots``, or to the directory that the environment variable ``MQTTBROKER_ARTIFACTS`` names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from mqttbroker.config import AdminConfig, Config, ListenerConfig, SysConfig
from tests.admin.conftest import cheap_hashes
from tests.console import pages
from tests.console.site import VIEWER, Console, Device
from tests.support.browsing import WAIT, Watch, browser, new_context

__all__ = ["browser", "cheap_hashes"]

expect.set_options(timeout=WAIT)

WIDTHS = (360, 768, 1440)
SCHEMES = ("light", "dark")

SETTLED = "Promise.allSettled(document.getAnimations().map((each) => each.finished))"
"""Waits for the end of transitions, such as that of colours."""

Connect = Callable[..., Device]


class Looks(Protocol):
    """Looks at a page as it is now, in each width and both colour schemes: nothing keeps people from using it, and
    nothing is wider than the window. Screenshots are for people to look at. ``page`` is the fixture's, if not given.
    """

    def __call__(self, name: str, page: Page | None = None) -> None: ...


@pytest.fixture(scope="session")
def build(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console, built from what is in the tree now."""
    return pages.built(pytestconfig, tmp_path_factory.mktemp("console") / "web")


@pytest.fixture
def console_config(tmp_path: Path) -> Config:
    """What the broker is started with. A module or a class of tests may have its own, made from this one."""
    return Config(
        listeners=(ListenerConfig("tcp", port=0), ListenerConfig("web", "websocket", port=0)),
        data_dir=tmp_path / "data",
        admin=AdminConfig(enabled=True, port=0),
        sys=SysConfig(interval=0),
    )


@pytest.fixture
def console(build: Path, console_config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A running broker with the built pages."""
    monkeypatch.setattr("mqttbroker.admin.pages.BUILT", build)
    console = Console(console_config)
    yield console
    console.stop()
    assert not [line for line in console.broker.logged if line[0] == "error"]


@pytest.fixture
def connect(console: Console) -> Iterator[Connect]:
    """Connects devices: ``connect("sensor-1")``."""
    devices: list[Device] = []

    def connect(client_id: str, **options: Any) -> Device:
        devices.append(Device(console.tcp_port, client_id, **options))
        return devices[-1]

    yield connect
    for device in devices:
        device.close()


@pytest.fixture
def watch(console: Console) -> Iterator[Watch]:
    """Holds the pages, at the end of the test, to having stayed at home without an error. A test that brings an error
    about says so: ``watch.refused.add(409)``, ``watch.offline = True``.
    """
    watch = Watch(console.url, f"ws://127.0.0.1:{console.web_port}/")
    yield watch
    watch.check()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has been nowhere yet."""
    context = new_context(browser)
    yield context
    context.close()


@pytest.fixture
def stranger(console: Console, context: BrowserContext, watch: Watch) -> Page:
    """An empty tab; nobody is logged in."""
    return watch.follow(context.new_page())


@pytest.fixture
def page(console: Console, context: BrowserContext, watch: Watch) -> Page:
    """The overview, as the admin sees it."""
    return enter(console, watch, context, "admin", console.password)


@pytest.fixture
def viewer_page(console: Console, browser: Browser, watch: Watch) -> Iterator[Page]:
    """The overview, as somebody sees it who may change nothing."""
    console.add_account(VIEWER[0], "viewer", VIEWER[1])
    with new_context(browser) as context:
        yield enter(console, watch, context, *VIEWER)


def enter(console: Console, watch: Watch, context: BrowserContext, name: str, password: str) -> Page:
    """A tab of a browser that has logged in, when the overview is there."""
    answer = context.request.post(f"{console.url}api/v1/login", data={"name": name, "password": password})
    assert answer.ok, answer.text()
    page = watch.follow(context.new_page())
    page.goto(console.url)
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    return page


@pytest.fixture(scope="session")
def artifacts(pytestconfig: pytest.Config) -> Path:
    """Where screenshots are kept."""
    folder = Path(os.environ.get("MQTTBROKER_ARTIFACTS") or pytestconfig.rootpath / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def looks(request: pytest.FixtureRequest, pytestconfig: pytest.Config, artifacts: Path) -> Looks:
    """See :class:`Looks`."""
    script = pages.axe(pytestconfig)

    def looks(name: str, page: Page | None = None) -> None:
        page = page or request.getfixturevalue("page")
        before = page.viewport_size
        page.evaluate(script)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                page.evaluate(SETTLED)
                page.screenshot(path=artifacts / f"{name}-{width}-{scheme}.png", full_page=True)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width}"
                assert violations(page) == [], f"{name} at {width}, {scheme}"
        page.emulate_media(color_scheme=None)
        if before is not None:
            page.set_viewport_size(before)

    return looks


def violations(page: Page) -> list[str]:
    """What axe finds, one line for each element."""
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['target']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]
