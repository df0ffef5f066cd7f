"""The live client: a page that subscribes and publishes over a WebSocket, beside clients of another kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from playwright.sync_api import Locator, Page, Request, expect

from mqttbroker.config import Config, SecurityConfig
from tests.console.conftest import Connect, Looks
from tests.console.site import WAIT, Console, wait_until
from tests.support.browsing import Watch
from tests.test_access import write_users

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def messages(page: Page) -> Locator:
    """The rows of the messages that have come; the first is the header."""
    return page.get_by_role("table", name="Messages").get_by_role("row")


def open_message(page: Page, number: int = 1) -> Locator:
    """What is shown of one of the messages. Rows that are out of sight are not in the document."""
    card(page, "Messages").get_by_role("button", name="Pause").scroll_into_view_if_needed()
    messages(page).nth(number).click()
    return page.get_by_role("dialog")


def go_live(page: Page) -> None:
    page.get_by_role("link", name="Live client").click()
    expect(page.get_by_role("heading", name="Live client", level=1)).to_be_visible()


def connect_page(page: Page, name: str = "browser", version: str = "5.0", user: str = "", password: str = "") -> None:
    """Connect the page, as a person does."""
    go_live(page)
    form = card(page, "Connection")
    form.get_by_label("Client identifier").fill(name)
    form.get_by_label("MQTT", exact=True).select_option(version)
    form.get_by_label("User name").fill(user)
    form.get_by_label("Password").fill(password)
    form.get_by_role("button", name="Connect").click()


def connected(page: Page) -> None:
    expect(card(page, "Connection").get_by_role("status")).to_have_text("connected")


def subscribe(page: Page, topic_filter: str, qos: str = "0") -> Locator:
    """Subscribe; the line about it."""
    form = card(page, "Subscriptions")
    form.get_by_label("Topic filter").fill(topic_filter)
    form.get_by_label("Highest QoS").select_option(qos)
    form.get_by_role("button", name="Subscribe", exact=True).click()
    return form.get_by_role("listitem").filter(has_text=topic_filter)


def publish(page: Page, topic: str, payload: str, qos: str = "0") -> None:
    form = card(page, "Publish")
    form.get_by_label("Topic", exact=True).fill(topic)
    form.get_by_label("Payload").fill(payload)
    form.get_by_label("QoS").select_option(qos)
    form.get_by_role("button", name="Publish").click()


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
def test_messages_both_ways(console: Console, page: Page, connect: Connect, version: str) -> None:
    device = connect("device")
    device.subscribe("to/device", 2)
    connect_page(page, version=version)
    connected(page)
    client = console.get("clients/browser")["connection"]
    assert (client["listener"], client["version"]) == ("web", version)
    expect(subscribe(page, "from/#", "1")).to_contain_text("QoS 1")
    device.publish("from/device", '{"t":21.5}', 2)
    row = messages(page).nth(1)
    expect(row).to_contain_text("from/device")
    expect(row).to_contain_text('{"t":21.5}')
    for qos in ("0", "1", "2"):
        publish(page, "to/device", f"hello {qos}", qos)
        message = device.messages.get(timeout=WAIT)
        assert (message.payload, message.qos) == (f"hello {qos}".encode(), int(qos))
    expect(card(page, "Publish")).to_contain_text("Published.")


def test_how_it_looks(page: Page, connect: Connect, looks: Looks) -> None:
    go_live(page)
    expect(card(page, "Connection").get_by_label("Listener")).to_be_visible()
    looks("live-idle")
    connect_page(page)
    connected(page)
    subscribe(page, "hall/#", "1")
    expect(subscribe(page, "$SYS/#", "0")).to_contain_text("QoS 0")
    device = connect("device")
    device.publish("hall/door", b"\xff\x00\x01", retain=True)
    for number in range(12):
        device.publish("hall/lamp", json.dumps({"on": True, "level": number / 4}))
    expect(messages(page)).to_have_count(14)
    looks("live")
    expect(open_message(page)).to_contain_text('"level": 2.75')
    looks("live-message")


def test_properties(page: Page, connect: Connect) -> None:
    device = connect("device")
    device.subscribe("a", 1)
    connect_page(page)
    connected(page)
    expect(subscribe(page, "b", "1")).to_contain_text("QoS 1")
    form = card(page, "Publish")
    form.get_by_text("Properties of MQTT 5.0").click()
    form.get_by_label("Content type").fill("application/json")
    form.get_by_label("Response topic").fill("b")
    form.get_by_label("Expires after seconds").fill("soon")
    form.get_by_label("User properties").fill("room=hall\nroom=attic")
    form.get_by_label("Written as").select_option("JSON")
    publish(page, "a", "{", "1")
    expect(form).to_contain_text("This is no JSON")
    expect(form).to_contain_text("Expected seconds.")
    assert device.messages.empty()
    form.get_by_label("Expires after seconds").fill("60")
    form.get_by_label("Retain").check()
    publish(page, "a", "{}", "1")
    message = device.messages.get(timeout=WAIT)
    assert message.properties is not None
    found = message.properties.json()  # type: ignore[no-untyped-call]
    assert (found["ContentType"], found["ResponseTopic"]) == ("application/json", "b")
    assert found["UserProperty"] == [("room", "hall"), ("room", "attic")]
    assert 0 < found["MessageExpiryInterval"] <= 60

    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = "text/plain"
    properties.CorrelationData = b"\x01\x02"
    properties.UserProperty = [("room", "hall")]
    device.client.publish("b", "answer", 1, properties=properties).wait_for_publish(WAIT)
    dialog = open_message(page)
    for text in ("text/plain", "01 02", "User property room", "hall"):
        expect(dialog).to_contain_text(text)


def test_pause_clear_and_unsubscribe(page: Page, connect: Connect, console: Console) -> None:
    device = connect("device")
    connect_page(page)
    connected(page)
    line = subscribe(page, "a")
    expect(line).to_contain_text("QoS 0")
    device.publish("a", "first")
    expect(messages(page)).to_have_count(2)
    card(page, "Messages").get_by_role("button", name="Pause").click()
    device.publish("a", "second")
    expect(card(page, "Messages").locator("header")).to_contain_text("2")
    expect(messages(page)).to_have_count(2)
    card(page, "Messages").get_by_role("button", name="Go on").click()
    expect(messages(page).nth(1)).to_contain_text("second")
    card(page, "Messages").get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Messages are shown here as soon as they come.")).to_be_visible()
    line.get_by_role("button", name="Unsubscribe a").click()
    expect(line).to_have_count(0)
    wait_until(lambda: console.get("subscriptions")["items"] == [])
    device.publish("a", "third")
    expect(page.get_by_text("Subscribe to a topic: # is all that you may read.")).to_be_visible()


def test_no_more_than_a_thousand_are_kept(page: Page, connect: Connect) -> None:
    device = connect("device")
    connect_page(page)
    connected(page)
    expect(subscribe(page, "a", "1")).to_contain_text("QoS 1")
    for number in range(1_100):
        device.client.publish("a", f"{number}", 1)
    device.publish("a", "last")
    expect(messages(page).nth(1)).to_contain_text("last")
    expect(page.get_by_text("The last 1,000 are kept.")).to_be_visible()
    expect(page.get_by_role("table", name="Messages")).to_have_attribute("aria-rowcount", "1001")
    assert messages(page).count() < 100, "only what is in sight is in the document"


def test_it_leaves_with_the_page(page: Page, console: Console, connect: Connect) -> None:
    connect_page(page)
    connected(page)
    page.get_by_role("link", name="Clients").click()
    expect(page.get_by_text("Nobody is connected")).to_be_visible()
    history = console.get("clients/browser/history")["items"]
    assert [each["kind"] for each in history] == ["disconnected", "connected"]


def test_it_comes_again_by_itself(page: Page, console: Console, connect: Connect, looks: Looks) -> None:
    connect_page(page)
    connected(page)
    expect(subscribe(page, "a", "1")).to_contain_text("QoS 1")
    with console.api() as api:
        api.post("/api/v1/clients/browser/disconnect", json={"reason": "too loud"}).raise_for_status()
    expect(card(page, "Connection")).to_contain_text("somebody who looks after the broker has ended the connection")
    expect(card(page, "Connection")).to_contain_text("too loud")
    looks("live-waiting")
    connected(page)
    expect(card(page, "Subscriptions").get_by_role("listitem")).to_contain_text("QoS 1")
    connect("device").publish("a", "again")
    expect(messages(page).nth(1)).to_contain_text("again")


def test_two_with_one_name_do_not_fight(page: Page, connect: Connect) -> None:
    connect_page(page, "twin")
    connected(page)
    twin = connect("twin")
    expect(card(page, "Connection").get_by_role("alert")).to_contain_text("another client has connected")
    twin.publish("a", "still here")


def test_only_to_listeners_of_this_broker(page: Page) -> None:
    go_live(page)
    form = card(page, "Connection")
    form.get_by_label("Listener").select_option("Another address")
    form.get_by_label("Address").fill("ws://broker.example:8083/mqtt")
    form.get_by_role("button", name="Connect").click()
    expect(form).to_contain_text("This page may connect to listeners of this broker only")


def test_hand_written_address(page: Page, console: Console) -> None:
    go_live(page)
    form = card(page, "Connection")
    form.get_by_label("Listener").select_option("Another address")
    form.get_by_label("Address").fill(f"ws://127.0.0.1:{console.web_port}/")
    form.get_by_role("button", name="Connect").click()
    connected(page)


def test_what_means_harm(page: Page, connect: Connect, looks: Looks) -> None:
    connect_page(page, HOSTILE)
    connected(page)
    expect(subscribe(page, "#")).to_contain_text("QoS 0")
    device = connect("device")
    device.publish("long/" * 20 + "x" * 3_000, "x" * 300_000)
    device.publish(HOSTILE, HOSTILE)
    expect(messages(page)).to_have_count(3)
    looks("live-hostile")
    expect(open_message(page, 2)).to_contain_text("The first 16.0 KiB of 293 KiB")


def test_other_pages_do_not_load_the_library(page: Page) -> None:
    scripts: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "script":
            scripts.append(request.url)

    page.on("request", note)
    page.reload()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    before = list(scripts)
    connect_page(page)
    connected(page)
    assert len(before) >= 1
    assert len(scripts) > len(before)


class TestRights:
    """With users and rules: the page may do what the user may, whose name was given, and no more."""

    @pytest.fixture
    def console_config(self, console_config: Config, tmp_path: Path) -> Iterator[Config]:
        users, rules = write_users(tmp_path / "users", ann="the password of ann"), tmp_path / "rules.toml"
        rules.write_text('[[rules]]\nwho = "ann"\naction = "both"\ntopics = ["own/#"]\neffect = "allow"\n')
        yield replace(console_config, security=SecurityConfig(password_file=users, acl_file=rules))

    def test_a_wrong_password(self, page: Page, looks: Looks) -> None:
        connect_page(page, user="ann", password="guessed")
        alert = card(page, "Connection").get_by_role("alert")
        expect(alert).to_contain_text("The broker has refused the connection")
        looks("live-refused")

    @pytest.mark.parametrize("version", ["5.0", "3.1.1"])
    def test_what_the_rules_forbid(self, page: Page, looks: Looks, version: str) -> None:
        connect_page(page, version=version, user="ann", password="the password of ann")
        connected(page)
        expect(subscribe(page, "own/#", "1")).to_contain_text("QoS 1")
        line = subscribe(page, "other/#", "1")
        expect(line).to_contain_text("refused")
        if version == "3.1.1":
            return
        expect(line).to_contain_text("the rules do not allow it (0x87)")
        publish(page, "other/x", "1", "1")
        expect(card(page, "Publish")).to_contain_text("Not published: the rules do not allow it (0x87)")
        looks("live-forbidden")
        publish(page, "own/x", "mine", "1")
        expect(card(page, "Publish")).to_contain_text("Published.")
        expect(messages(page).nth(1)).to_contain_text("mine")

    def test_the_password_is_not_kept(self, page: Page) -> None:
        connect_page(page, user="ann", password="the password of ann")
        connected(page)
        kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, location.href, document.cookie])")
        assert "password of ann" not in kept
        page.get_by_role("link", name="Overview").click()
        go_live(page)
        expect(card(page, "Connection").get_by_label("Password")).to_have_value("")


class TestWithoutAListener:
    @pytest.fixture
    def console_config(self, console_config: Config) -> Config:
        return replace(console_config, listeners=console_config.listeners[:1])

    @pytest.fixture
    def watch(self, console: Console) -> Iterator[Watch]:
        watch = Watch(console.url)
        yield watch
        watch.check()

    def test_the_page_says_what_to_do(self, page: Page, looks: Looks) -> None:
        go_live(page)
        expect(card(page, "Connection")).to_contain_text("The broker has no WebSocket listener")
        looks("live-no-listener")
