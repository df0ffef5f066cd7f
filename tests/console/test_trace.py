"""Traces in the console: of a client, of a topic, and of an address, on live packets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Locator, Page, expect

from mqttbroker.config import Config, SecurityConfig
from mqttbroker.security import PasswordFile
from tests.console.conftest import Connect, Looks
from tests.console.site import Console
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow

SECRET = "correct horse battery"


def start(page: Page, kind: str, value: str) -> None:
    """Begin a trace on its page."""
    page.get_by_role("link", name="Trace").click()
    page.get_by_label("Trace", exact=True).select_option(kind)
    page.get_by_label(kind, exact=True).fill(value)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("tracing", exact=True)).to_be_visible()


def rows(page: Page) -> Locator:
    """The packets that are in sight."""
    return page.get_by_role("region", name="List of packets").get_by_role("listitem")


def row(page: Page, kind: str) -> Locator:
    """The rows of a type."""
    return rows(page).filter(has=page.get_by_text(kind, exact=True))


def detail(page: Page, kind: str) -> Locator:
    """What is shown of the packet that was chosen."""
    return page.get_by_role("region", name=kind, exact=True)


def traces_of(console: Console) -> int:
    return len(console.get("traces")["traces"])


class TestPage:
    def test_a_client(self, console: Console, page: Page, connect: Connect, looks: Looks) -> None:
        start(page, "Client", "sensor-1")
        expect(page.get_by_text("Waiting for packets")).to_be_visible()
        sensor = connect("sensor-1", username="joe", password=SECRET)
        sensor.subscribe("plant/#", 1)
        sensor.publish("plant/7/state", '{"on": true, "level": 3}')
        for kind in ("CONNECT", "CONNACK", "SUBSCRIBE", "SUBACK"):
            expect(row(page, kind)).to_have_count(1)
        expect(row(page, "PUBLISH")).to_have_count(2)
        expect(row(page, "PUBACK")).to_have_count(2)
        row(page, "CONNECT").get_by_role("button").click()
        connect_shown = detail(page, "CONNECT")
        expect(connect_shown).to_contain_text("joe")
        expect(connect_shown).to_contain_text("hidden")
        row(page, "PUBLISH").first.get_by_role("button").click()
        shown = detail(page, "PUBLISH")
        expect(shown.get_by_label("Payload")).to_contain_text('"level": 3')
        looks("trace")
        shown.get_by_text("Hex", exact=True).click()
        expect(shown.get_by_label("Payload")).to_contain_text("7b 22")
        assert SECRET not in page.content()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("You have stopped it.")).to_be_visible()
        expect(rows(page)).to_have_count(8)

    def test_types_and_keys(self, page: Page, connect: Connect) -> None:
        start(page, "Client", "sensor-1")
        connect("sensor-1").publish("a", "1")
        expect(rows(page)).to_have_count(4)
        page.get_by_role("button", name=re.compile("^PUBACK")).click()
        expect(rows(page)).to_have_count(1)
        expect(page.get_by_text("1 of 4 packets")).to_be_visible()
        page.get_by_role("button", name=re.compile("^PUBLISH")).click()
        expect(rows(page)).to_have_count(2)
        page.get_by_role("region", name="List of packets").focus()
        page.keyboard.press("ArrowDown")
        expect(detail(page, "PUBLISH")).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(detail(page, "PUBACK")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(detail(page, "PUBACK")).to_have_count(0)

    def test_a_topic(self, page: Page, connect: Connect) -> None:
        start(page, "Topic filter", "plant/+/state")
        sensor = connect("sensor-1")
        sensor.publish("other", "no")
        sensor.publish("plant/7/state", "on")
        expect(rows(page)).to_have_count(2)
        expect(row(page, "PUBLISH")).to_contain_text("sensor-1")
        expect(row(page, "PUBACK")).to_contain_text("plant/7/state")

    def test_download(self, page: Page, connect: Connect, tmp_path: Path) -> None:
        start(page, "Client", "sensor-1")
        connect("sensor-1")
        expect(rows(page)).to_have_count(2)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert re.fullmatch(r"trace-\d{8}-\d{6}\.jsonl", download.value.suggested_filename)
        download.value.save_as(tmp_path / "trace.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
        assert [line["packet"] for line in lines] == ["CONNECT", "CONNACK"]
        page.get_by_role("button", name="Clear").click()
        expect(rows(page)).to_have_count(0)

    def test_many_packets(self, page: Page, connect: Connect, looks: Looks) -> None:
        """The list holds those in sight only; it follows, until somebody looks at what was before."""
        start(page, "Client", "sensor-1")
        sensor = connect("sensor-1")
        for number in range(300):
            sensor.client.publish("a", f"number {number}", 0)
        sensor.publish("a", "the last")
        expect(page.get_by_text("304 packets")).to_be_visible()
        assert rows(page).count() < 80
        expect(rows(page).last).to_contain_text("#")
        page.get_by_role("region", name="List of packets").evaluate("each => each.scrollTo(0, 0)")
        expect(row(page, "CONNECT")).to_have_count(1)
        sensor.publish("a", "one more")
        expect(page.get_by_text("306 packets")).to_be_visible()
        expect(row(page, "CONNECT")).to_have_count(1)
        page.get_by_role("button", name="Follow").click()
        expect(row(page, "CONNECT")).to_have_count(0)

    def test_hostile_names(self, page: Page, connect: Connect, looks: Looks) -> None:
        start(page, "Address", "127.0.0.1")
        name = "<img src=x onerror=alert(1)>\u202e" + "x" * 800
        sensor = connect(name)
        sensor.publish("<b>" * 300, "<script>alert(1)</script>" * 50)
        expect(row(page, "PUBACK")).to_have_count(1)
        row(page, "PUBLISH").get_by_role("button").click()
        expect(detail(page, "PUBLISH")).to_be_visible()
        looks("trace-hostile")

    @pytest.mark.parametrize(
        ("kind", "value", "said"),
        [("Address", "home", "Expected an IP address"), ("Topic filter", "a/#/b", "'#' is not the last level")],
    )
    def test_what_is_wrong_is_said_at_the_field(
        self, page: Page, watch: Watch, kind: str, value: str, said: str
    ) -> None:
        watch.refused.add(400)
        page.get_by_role("link", name="Trace").click()
        page.get_by_label("Trace", exact=True).select_option(kind)
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("Say what to trace.")).to_be_visible()
        page.get_by_label(kind, exact=True).fill(value)
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("alert")).to_contain_text(said)

    def test_it_ends_when_the_page_is_left(self, console: Console, page: Page) -> None:
        start(page, "Topic filter", "#")
        assert traces_of(console) == 1
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        for _ in range(1_000):
            if not traces_of(console):
                break
        assert traces_of(console) == 0

    def test_viewers_trace_nothing(self, viewer_page: Page) -> None:
        viewer_page.get_by_role("link", name="Trace").click()
        expect(viewer_page.get_by_text("Only admins may trace")).to_be_visible()
        expect(viewer_page.get_by_role("button", name="Start")).to_have_count(0)

    def test_nothing_yet(self, page: Page, looks: Looks) -> None:
        page.get_by_role("link", name="Trace").click()
        expect(page.get_by_text("Nothing is traced yet")).to_be_visible()
        looks("trace-empty")


class TestRefused:
    @pytest.fixture
    def console_config(self, console_config: Config, tmp_path: Path) -> Config:
        users = PasswordFile(tmp_path / "users")
        users.set("joe", b"another password")
        users.save()
        return replace(console_config, security=SecurityConfig(password_file=tmp_path / "users"))

    def test_a_connect_that_is_refused(self, console: Console, page: Page, looks: Looks) -> None:
        start(page, "Address", "127.0.0.0/8")
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "intruder", protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        client.username_pw_set("joe", SECRET)
        client.connect("127.0.0.1", console.tcp_port)
        client.loop_start()
        expect(row(page, "CONNACK")).to_contain_text("Bad User Name or Password")
        expect(row(page, "CONNECT")).to_contain_text("user joe")
        expect(row(page, "closed")).to_have_count(1)
        client.loop_stop()
        row(page, "CONNECT").get_by_role("button").click()
        expect(detail(page, "CONNECT")).to_contain_text("hidden")
        assert SECRET not in page.content()
        looks("trace-refused")


def test_the_tab_of_a_client(page: Page, connect: Connect, looks: Looks) -> None:
    sensor = connect("sensor-1")
    page.get_by_role("link", name="Clients").click()
    page.get_by_role("table", name="Clients").get_by_role("row").filter(has_text="sensor-1").click()
    page.get_by_role("tab", name="Trace").click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("tracing", exact=True)).to_be_visible()
    sensor.publish("a/b", "hello")
    expect(row(page, "PUBLISH")).to_contain_text("a/b")
    expect(row(page, "PUBACK")).to_have_count(1)
    looks("trace-client")
