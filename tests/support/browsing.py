"""A real browser for tests, and what it must not do.

Playwright drives the Chromium of the system; it brings none of its own. Its synchronous interface runs an event loop
in the main thread for as long as it is started, so that no asynchronous test may run meanwhile: it is started anew for
each module of tests, and these are all synchronous.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from tests.support.tools import require_tool

__all__ = ["WAIT", "Watch", "browser", "launch", "new_context"]

WAIT = 15_000.0
"""Milliseconds after which whatever is waited for in the browser is overdue."""

_STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d+) ")
_AWAY = ("WebSocket connection to", "Failed to load resource: net::", "net::ERR_")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


def launch(playwright: Playwright) -> Browser:
    """Start Chromium: where it is installed the one that has no windows, which takes half as long for everything."""
    path = require_tool("chromium-headless-shell", "chromium")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def new_context(browser: Browser, width: int = 1280, scheme: str = "light", scale: float = 1) -> BrowserContext:
    """A browser that has been nowhere yet, with a window so many points wide. It takes any certificate."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=scale,
        reduced_motion="reduce",
        ignore_https_errors=True,
    )
    context.set_default_timeout(WAIT)
    return context


class Watch:
    """What pages have done that they should not: errors on their consoles, and requests to any other place."""

    def __init__(self, *urls: str) -> None:
        self._places: set[str] = {urlsplit(url).netloc for url in urls}
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.offline: bool = False
        """Whether the broker is meant to be away, which browsers write down as errors of the network."""
        self.refused: set[int] = set()
        """Statuses of answers that the test brings about, which browsers write down too."""

    def follow(self, page: Page) -> Page:
        """Watch a page from now on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda websocket: self._asked(websocket.url))
        return page

    def check(self) -> None:
        """Fail where there was something."""
        assert self.errors == []
        assert self.elsewhere == []

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self._is_expected(message.text):
            self.errors.append(message.text)

    def _is_expected(self, text: str) -> bool:
        status = _STATUS.match(text)
        if status is not None:
            return int(status[1]) in self.refused
        return self.offline and any(each in text for each in _AWAY)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc not in self._places:
            self.elsewhere.append(url)
