"""Ten thousand clients: the list has all of them, and the page as many as are in sight."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from mqttbroker.server import allow_connections
from tests.console.site import Console
from tests.support.tools import missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = 10_000
MOST_ROWS = 100
"""Rows of a table that a page of 900 points may have, with those above and below it."""
A_ROW_IN_THE_MIDDLE = """new Promise((done) => {
    const look = () => {
        const there = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
        if (there !== null && there.closest("tr[data-index]") !== null) done();
        else requestAnimationFrame(look);
    };
    look();
})"""
"""Waits for it."""

# In a process of its own, since each of two processes has half of the sockets then.
CROWD = """
import socket, sys
from mqttbroker.server import allow_connections

port, count = int(sys.argv[1]), int(sys.argv[2])
allow_connections(count)
crowd = []
for number in range(count):
    name = f"client-{number:05}".encode()
    one = socket.create_connection(("127.0.0.1", port), 30)
    rest = b"\\x00\\x04MQTT\\x04\\x02\\x00\\x00\\x00" + bytes([len(name)]) + name
    one.sendall(b"\\x10" + bytes([len(rest)]) + rest)
    crowd.append(one)
    if number % 100 == 99:
        for each in crowd[-100:]:
            assert each.recv(4) == b"\\x20\\x02\\x00\\x00"
print("connected", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def crowd(console: Console) -> Iterator[None]:
    """Clients that are connected, and do nothing."""
    try:
        import resource
    except ImportError:
        missing("this system does not say how many files a process may open")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < CLIENTS + 1_000:
        missing(f"a process may open {before[1]} files only")
    allow_connections(CLIENTS + 1_000)
    command = [sys.executable, "-c", CROWD, str(console.tcp_port), str(CLIENTS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "connected\n"
            yield
        finally:
            process.kill()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def rows_of(page: Page) -> int:
    """How many there are in the page, in sight or not."""
    return page.locator("main table tr").count()


def test_a_list_to_scroll_through(console: Console, crowd: None, page: Page) -> None:
    page.get_by_role("link", name="Clients", exact=True).click()
    expect(page.get_by_text("10,000 connected")).to_be_visible()
    table = page.get_by_role("table", name="Clients")
    expect(table.get_by_text("client-00000", exact=True)).to_be_visible()
    # More is fetched at the end, until there is no more.
    while (shown := int(table.get_attribute("aria-rowcount") or 0)) <= CLIENTS:
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        expect(table).not_to_have_attribute("aria-rowcount", str(shown))
        assert rows_of(page) <= MOST_ROWS
    expect(table).to_have_attribute("aria-rowcount", str(CLIENTS + 1))
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(table.get_by_text("client-09999", exact=True)).to_be_visible()
    assert rows_of(page) <= MOST_ROWS
    # Every place between can be gone to, and has its rows at once.
    for place in range(1, 40):
        page.evaluate("part => window.scrollTo(0, part * document.body.scrollHeight)", place / 40)
        page.evaluate(A_ROW_IN_THE_MIDDLE)
        assert rows_of(page) <= MOST_ROWS


def test_one_of_them_is_found(console: Console, crowd: None, page: Page) -> None:
    page.get_by_role("link", name="Clients", exact=True).click()
    page.get_by_role("searchbox").fill("client-07777")
    expect(page.get_by_role("table", name="Clients").get_by_role("row")).to_have_count(2)
    page.get_by_text("client-07777", exact=True).click()
    expect(page.get_by_role("heading", name="client-07777", level=1)).to_be_visible()
