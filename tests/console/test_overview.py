"""The overview: what a fresh broker says, figures and their history, alarms, and what happens."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mqttbroker.admin.history import History
from mqttbroker.broker import Limits
from mqttbroker.config import Config
from mqttbroker.server import Broker
from tests.console.conftest import Connect, Looks
from tests.console.site import Console

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)> \u202e" + "long" * 200


def monitor_looks(broker: Broker) -> None:
    """The broker looks at itself now, and not in a second."""
    assert broker.monitor is not None
    broker.monitor.look(broker.now())


def filled(broker: Broker) -> None:
    """A day of figures, of which the last quarter of an hour is there by seconds."""
    assert broker.monitor is not None
    history = broker.monitor.history = History()
    now = broker.now()
    for ago in (*range(86_400, 900, -20), *range(900, 0, -1)):
        wave = abs(ago % 120 - 60) if ago <= 900 else abs(ago // 20 % 360 - 180)
        figures = {"connections": 40 + wave % 7, "received": 100.0 + wave, "sent": 300.0 + 2 * wave, "dropped": 0.0}
        history.add(now - ago, figures)


def test_a_fresh_broker_says_how_to_connect(page: Page, console: Console, connect: Connect, looks: Looks) -> None:
    card = page.get_by_role("region", name="Connect a first client")
    expect(card).to_contain_text(f"mosquitto_pub -h 127.0.0.1 -p {console.tcp_port} -t hello/world")
    expect(card).to_contain_text(f"python examples/host_sensor.py --host 127.0.0.1 --port {console.tcp_port}")
    expect(card.get_by_role("listitem").filter(has_text="ws://")).to_contain_text(f"ws://127.0.0.1:{console.web_port}")
    looks("overview-fresh")
    connect("sensor-1").publish("t", "x")
    expect(card).to_have_count(0)


def test_figures(page: Page, connect: Connect) -> None:
    reader, writer = connect("reader"), connect("writer", session=60)
    reader.subscribe("t", 1)
    for _ in range(25):
        writer.publish("t", "x")
    since = page.get_by_role("region", name="Since the start")
    expect(since.get_by_text("Messages received").locator("..")).to_contain_text("25")
    expect(since.get_by_text("Messages sent").locator("..")).to_contain_text("25")
    machine = page.get_by_role("region", name="Memory and disk")
    expect(machine.get_by_role("meter", name="Memory")).to_have_attribute("aria-valuetext", re.compile(r"iB of .*iB"))
    expect(machine.get_by_role("meter", name="Disk")).to_have_attribute("aria-valuetext", re.compile("free of"))
    expect(machine.get_by_text("Last commit").locator("..")).to_contain_text(re.compile("now|ago"))
    expect(machine.get_by_text("The last one took").locator("..")).to_contain_text(re.compile(r"\d m?s"))


def test_history(page: Page, console: Console, connect: Connect, looks: Looks, artifacts: Path) -> None:
    devices = [connect(f"sensor-{number}") for number in range(3)]
    devices[0].subscribe("#", 1)
    devices[1].publish("t", "x")
    console.broker.call(filled)
    page.reload()
    plot = page.get_by_role("figure", name=re.compile("Messages received per second"))
    expect(plot).to_be_attached()
    expect(page.get_by_role("figure", name=re.compile("Open connections: .* in the last 15 minutes"))).to_be_attached()
    page.get_by_role("button", name="Show as a table").click()
    table = page.get_by_role("table", name="Averages in the last 15 minutes")
    expect(table.get_by_role("row")).to_have_count(16)
    looks("overview-table")
    page.get_by_role("button", name="Hide the table").click()
    expect(table).to_have_count(0)
    looks("overview")
    canvas = plot.locator(".u-over")
    canvas.hover(position={"x": 300, "y": 60})
    expect(plot.locator(".when")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    page.screenshot(path=artifacts / "overview-crosshair.png")
    page.get_by_text("24 h", exact=True).click()
    expect(page).to_have_url(re.compile("range=day"))
    expect(page.get_by_role("figure", name=re.compile("in the last 24 hours")).first).to_be_attached()
    looks("overview-day")
    page.get_by_text("15 min", exact=True).click()
    expect(page.get_by_role("figure", name=re.compile("in the last 15 minutes")).first).to_be_attached()


CHANGES = """async (before) => {
  for (let frame = 0; frame < 300; frame += 1) {
    if (document.querySelector(".plot canvas").toDataURL() !== before) return true;
    await new Promise(requestAnimationFrame);
  }
  return false;
}"""


def test_plots_follow_the_window_and_the_theme(page: Page, connect: Connect) -> None:
    connect("sensor-1")
    canvas = page.locator(".plot canvas").first
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        room = page.locator(".plot .canvas").first.evaluate("(element) => element.clientWidth")
        expect(canvas).to_have_css("width", f"{room}px")
        assert (room > 500) == (width > 500)
    before = canvas.evaluate("(element) => element.toDataURL()")
    page.get_by_role("button", name="Menu").click()
    page.get_by_text("Dark", exact=True).click()
    assert page.evaluate(CHANGES, before)


class TestAlarms:
    @pytest.fixture
    def console_config(self, console_config: Config) -> Config:
        return replace(console_config, limits=Limits(max_queued_messages=10, max_retained_messages=1))

    def test_they_come_and_go(self, page: Page, console: Console, connect: Connect, looks: Looks) -> None:
        expect(page.get_by_text("No alarms")).to_be_visible()
        away = connect("away", session=60)
        away.subscribe("t", 1)
        away.close()
        writer = connect("writer")
        for _ in range(9):
            writer.publish("t", "x")
        for _ in range(6):
            connect(HOSTILE)
        writer.publish("kept", "x", retain=True)
        console.broker.call(monitor_looks)
        alarms = page.get_by_role("list", name="Alarms").get_by_role("listitem")
        expect(alarms).to_have_count(3)
        expect(alarms.filter(has_text="Retained messages have reached 100 % of their limit.")).to_be_visible()
        expect(alarms.filter(has_text="The queue of away is 90 % full.")).to_be_visible()
        expect(alarms.filter(has_text="was taken over 5 times, from 127.0.0.1.")).to_contain_text("<img")
        expect(page.get_by_text("3 alarms")).to_be_visible()
        expect(page.get_by_role("region", name="lately").get_by_text("alarm", exact=True).first).to_be_visible()
        looks("overview-alarms")
        with console.api() as api:
            assert api.post("/api/v1/sessions/away/purge").status_code == 200
        writer.publish("kept", "", retain=True)
        console.broker.call(monitor_looks)
        expect(alarms).to_have_count(1)
        console.broker.advance(300.0)
        console.broker.call(monitor_looks)
        expect(page.get_by_text("No alarms")).to_be_visible()
        expect(alarms).to_have_count(0)

    def test_they_lead_to_their_client(self, page: Page, console: Console, connect: Connect) -> None:
        for _ in range(6):
            connect("a/b")
        console.broker.call(monitor_looks)
        page.get_by_role("list", name="Alarms").get_by_role("link", name="Show the client").click()
        expect(page.get_by_role("heading", name="a/b", level=1)).to_be_visible()

    def test_a_viewer_sees_them_too(self, viewer_page: Page, console: Console, connect: Connect) -> None:
        for _ in range(6):
            connect("sensor")
        console.broker.call(monitor_looks)
        expect(viewer_page.get_by_role("list", name="Alarms").get_by_role("listitem")).to_have_count(1)
