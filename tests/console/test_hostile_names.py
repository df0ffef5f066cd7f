"""Names and payloads that others choose: on every page they are text, and keep nothing else from being seen."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Connect
from tests.console.site import Console
from tests.console.test_shell import entries, visit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MARKUP = '<img src=x onerror="window.owned=1">'
SCRIPT = "</script><script>window.owned=1</script>"
BACKWARDS = "\u202egnp.exe\u2066\u200f"
LONG = "long-" + "x" * 1_000
NAMES = (MARKUP, SCRIPT, BACKWARDS, LONG, "{{7*7}}", "javascript:alert(1)", "__proto__", " ", "é\u0301\u0301\u0301")


def is_harmless(page: Page, where: str) -> None:
    """Nothing of it has run or become an element, and nothing is wider than the window."""
    assert page.evaluate("window.owned") is None, where
    assert page.locator("main img, main iframe, main script, main a[href^='javascript:']").count() == 0, where
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{where} at {width}"


@pytest.fixture
def bad_company(console: Console, connect: Connect) -> None:
    """Clients, sessions, subscriptions, retained messages, refusals and accounts with such names."""
    for name in NAMES:
        device = connect(name, session=3600)
        device.subscribe(f"{name}/#", 1)
        device.publish(f"{name}/{name}", f"{name} {name}", retain=True)
    device.publish("y" * 4_000, "z" * 65_536, retain=True)
    sleeper = connect(f"sleeper {MARKUP}", session=3600)
    sleeper.subscribe("owed/#", 1)
    sleeper.close()
    connect("sender").publish(f"owed/{MARKUP}", MARKUP)
    # One that is refused, with a name.
    with socket.create_connection(("127.0.0.1", console.tcp_port), 10) as refused:
        client_id = MARKUP.encode()
        rest = b"\x00\x04MQTT\x07\x02\x00\x00" + len(client_id).to_bytes(2, "big") + client_id
        refused.sendall(bytes([0x10, len(rest)]) + rest)
        refused.recv(10)
    console.add_account("%3Cimg src=x%3E", "viewer", "a long password")


@pytest.mark.usefixtures("bad_company")
class TestNames:
    def test_on_every_page(self, page: Page) -> None:
        for name in entries(page):
            page.set_viewport_size({"width": 1440, "height": 900})
            visit(page, name)
            is_harmless(page, name)

    def test_in_the_list_of_clients(self, page: Page) -> None:
        visit(page, "Clients")
        for name in (MARKUP, SCRIPT, "__proto__"):
            expect(page.get_by_role("table").get_by_text(name, exact=True)).to_be_visible()

    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    def test_on_the_page_of_a_client(self, console: Console, page: Page, name: str) -> None:
        [found] = [each for each in console.get("clients?limit=100")["items"] if each["client_id"] == name]
        page.goto(f"{console.url}#/clients/{quote(found['id'], safe='')}")
        expect(page.locator("main h1")).to_have_text(name, use_inner_text=False)
        expect(page.locator("main .spinner")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_count(0)
        is_harmless(page, name[:40])

    def test_in_a_search(self, console: Console, page: Page) -> None:
        page.goto(f"{console.url}#/clients?search={quote(MARKUP + 'x', safe='')}")
        expect(page.locator("main").get_by_text(MARKUP)).to_be_visible()
        is_harmless(page, "search")
