"""The page of examples/browser: a real broker, a real sensor, a real browser.

Screenshots are written to the directory that the environment variable ``MQTTBROKER_ARTIFACTS`` names, else to the
directory of the test under pytest's ``--basetemp``.
"""

from __future__ import annotations

import queue
import re
import signal
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, Locator, Page, expect

from mqttbroker.broker import Action, Credentials, Decision, Identity, Refused, VerdictCallback
from mqttbroker.protocol import ReasonCode
from tests.browser.conftest import SensorStarter, Site
from tests.support.browsing import WAIT, Watch, new_context

pytestmark = pytest.mark.slow

expect.set_options(timeout=WAIT)

both_schemes = pytest.mark.parametrize("scheme", ["ws", "wss"], indirect=True)

NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
MARKUP = '<img src="x" onerror="document.title = \'owned\'">'


def visit(page: Page, site: Site) -> None:
    """Open the page, and wait until it is connected."""
    page.goto(site.url)
    expect(connection(page)).to_have_text("Connected")


def connection(page: Page) -> Locator:
    return page.get_by_role("status", name="Connection")


def host(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def card(page: Page, name: str, title: str) -> Locator:
    heading = page.get_by_role("heading", name=title, exact=True)
    return host(page, name).get_by_role("article").filter(has=heading)


def points(of: Locator, at_least: int) -> None:
    """Wait until the chart has so many readings."""
    chart = of.get_by_role("img")
    chart.page.wait_for_function(
        "([chart, least]) => Number(chart.dataset.points) >= least", arg=[chart.element_handle(), at_least]
    )


@both_schemes
class TestReadings:
    def test_a_sensor_is_shown_live(
        self, site: Site, start_sensor: SensorStarter, page: Page, watch: Watch, hostname: str
    ) -> None:
        visit(page, site)
        expect(page.get_by_text("No readings yet")).to_be_visible()
        start_sensor("--interval", "0.1")
        for title in ("CPU", "Memory", "Disk"):
            expect(card(page, hostname, title).locator(".number")).to_have_text(NUMBER)
            expect(card(page, hostname, title).locator(".unit")).to_have_text("%")
            points(card(page, hostname, title), 4)
        expect(host(page, hostname).get_by_text("online", exact=True)).to_be_visible()
        expect(page.get_by_text("No readings yet")).to_be_hidden()
        expect(page.locator(".retained:visible")).to_have_count(0)

    def test_a_value_changes_when_it_is_published(self, site: Site, page: Page, watch: Watch) -> None:
        visit(page, site)
        for value in ("21.5", "22.25", "-3"):
            site.broker.publish("sensors/kitchen/temperature", value)
            expect(card(page, "kitchen", "Temperature").locator(".value")).to_have_text(f"{value} °C")
        chart = card(page, "kitchen", "Temperature").get_by_role("img", name="Temperature: 3 readings")
        expect(chart).to_have_accessible_name("Temperature: 3 readings between -3 and 22.25")

    def test_words_are_shown_as_they_are(self, site: Site, page: Page, watch: Watch) -> None:
        visit(page, site)
        site.broker.publish("sensors/door/lock/state", "open since 9:41")
        expect(card(page, "door", "lock/state").locator(".value")).to_contain_text("open since 9:41")

    def test_after_a_reload_the_retained_value_is_there_at_once(self, site: Site, page: Page, watch: Watch) -> None:
        site.broker.publish("sensors/kitchen/temperature", "21.5", retain=True)
        visit(page, site)
        page.reload()
        shown = card(page, "kitchen", "Temperature")
        expect(shown.locator(".value")).to_have_text("21.5 °C")
        expect(shown.get_by_text("retained")).to_be_visible()
        site.broker.publish("sensors/kitchen/temperature", "22.5", retain=True)
        expect(shown.locator(".value")).to_have_text("22.5 °C")
        expect(shown.get_by_text("retained")).to_be_hidden()

    def test_what_is_taken_away_disappears(self, site: Site, page: Page, watch: Watch) -> None:
        site.broker.publish("sensors/kitchen/temperature", "21.5", retain=True)
        visit(page, site)
        expect(host(page, "kitchen")).to_be_visible()
        site.broker.publish("sensors/kitchen/temperature", "", retain=True)
        expect(host(page, "kitchen")).to_be_hidden()
        expect(page.get_by_text("No readings yet")).to_be_visible()

    def test_a_sensor_that_is_killed_is_offline(
        self, site: Site, start_sensor: SensorStarter, page: Page, watch: Watch, hostname: str
    ) -> None:
        visit(page, site)
        sensor = start_sensor("--interval", "0.2")
        expect(host(page, hostname).get_by_text("online", exact=True)).to_be_visible()
        sensor.send_signal(signal.SIGKILL)
        expect(host(page, hostname).get_by_text("offline", exact=True)).to_be_visible()


@both_schemes
class TestPublishing:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_the_form_publishes(self, site: Site, page: Page, watch: Watch, qos: int) -> None:
        messages: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_message = lambda _client, _data, message: messages.put(message)
        client.on_connect = lambda *_: client.subscribe("lamp/#", qos=2) and None
        subscribed: queue.SimpleQueue[bool] = queue.SimpleQueue()
        client.on_subscribe = lambda *_: subscribed.put(True)
        client.connect("127.0.0.1", site.tcp_port)
        client.loop_start()
        try:
            subscribed.get(timeout=10)
            visit(page, site)
            page.get_by_label("Topic").fill("lamp/set")
            page.get_by_label("Payload").fill("grün ✓")
            page.get_by_role("radio", name=str(qos)).check(force=True)
            page.get_by_label("Retain").check()
            page.get_by_role("button", name="Publish").click()
            message = messages.get(timeout=10)
        finally:
            client.disconnect()
            client.loop_stop()
        assert (message.topic, message.payload.decode(), message.qos) == ("lamp/set", "grün ✓", qos)
        expect(page.locator("output")).to_have_text("Sent." if qos == 0 else "Published: the broker has it.")
        retained = site.broker.call(lambda inner: inner.core.retained.get("lamp/set", inner.core.now))
        assert retained is not None

    def test_wildcards_are_not_sent(self, site: Site, page: Page, watch: Watch) -> None:
        visit(page, site)
        page.get_by_label("Topic").fill("lamp/#")
        page.get_by_role("button", name="Publish").click()
        assert page.get_by_label("Topic").evaluate("input => input.validity.patternMismatch")
        expect(page.locator("output")).to_be_empty()

    def test_with_the_keyboard_alone(self, site: Site, page: Page, watch: Watch) -> None:
        visit(page, site)
        page.get_by_label("Topic").focus()
        page.keyboard.press("End")
        page.keyboard.type("/desk")
        page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type("19")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(card(page, "kitchen", "temperature/desk").locator(".value")).to_contain_text("19")
        expect(page.get_by_role("list", name="Messages").get_by_text("QoS 1")).to_be_visible()


class TestStrangers:
    def test_markup_is_text(self, site: Site, page: Page, watch: Watch) -> None:
        visit(page, site)
        site.broker.publish(f"sensors/{MARKUP}/{MARKUP}", MARKUP)
        site.broker.publish(f"sensors/{MARKUP}/status", MARKUP)
        shown = card(page, MARKUP, MARKUP)
        expect(shown.locator(".number")).to_have_text(MARKUP)
        expect(host(page, MARKUP).locator(".badge")).to_have_text(MARKUP)
        expect(page.get_by_role("list", name="Messages").get_by_role("listitem")).to_have_count(2)
        assert page.locator("img").count() == 0
        assert page.title() == "Sensors"

    @pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", " ", "é"])
    def test_odd_names_are_names(self, site: Site, page: Page, watch: Watch, name: str) -> None:
        visit(page, site)
        site.broker.publish(f"sensors/{name}/{name}", "1")
        expect(page.locator("article h3")).to_have_text(name, use_inner_text=False)
        expect(page.locator("article .number")).to_have_text("1")

    def test_very_many_topics_do_not_fill_the_page(self, site: Site, page: Page, watch: Watch) -> None:
        visit(page, site)
        for number in range(60):
            site.broker.publish(f"sensors/host-{number}/a", "1")
            site.broker.publish(f"sensors/host-0/{number}", "x" * 1_000)
        expect(page.locator("#count")).to_have_text("120")
        assert page.locator("section.host").count() == 50
        assert page.locator("section.host").first.get_by_role("article").count() == 24
        assert page.locator("#log li").count() == 50


@both_schemes
class TestConnection:
    def test_a_broker_that_comes_back_is_found_again(self, site: Site, page: Page, watch: Watch) -> None:
        site.broker.publish("sensors/kitchen/temperature", "21.5", retain=True)
        visit(page, site)
        watch.offline = True
        site.stop()
        expect(connection(page)).to_have_text("Reconnecting…")
        expect(page.get_by_role("button", name="Publish")).to_be_disabled()
        site.start()
        expect(connection(page)).to_have_text("Connected")
        expect(page.get_by_role("button", name="Publish")).to_be_enabled()
        shown = card(page, "kitchen", "Temperature")
        expect(shown.get_by_text("retained")).to_be_visible()
        expect(shown.get_by_role("img")).to_have_attribute("data-points", "1")
        site.broker.publish("sensors/kitchen/temperature", "23", qos=1)
        expect(shown.locator(".value")).to_have_text("23 °C")


class Nobody:
    """Lets nobody in."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        done(Refused(ReasonCode.NOT_AUTHORIZED))


class Readers:
    """Lets clients subscribe to some topics, and publish to none."""

    def __init__(self, topic_filter: str) -> None:
        self._topic_filter = topic_filter

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        return Decision(action == "receive" or (action == "subscribe" and topic == self._topic_filter))


class TestRefusal:
    """What the broker says no to is shown with its reason."""

    def test_a_connection(self, site: Site, page: Page, watch: Watch) -> None:
        site.stop()
        site.authenticator = Nobody()
        site.start()
        page.goto(site.url)
        expect(connection(page)).to_have_text("Connection refused: Not authorized")
        expect(page.get_by_role("button", name="Publish")).to_be_disabled()

    def test_a_subscription(self, site: Site, page: Page, watch: Watch) -> None:
        site.stop()
        site.authorizer = Readers("other/#")
        site.start()
        page.goto(site.url)
        expect(connection(page)).to_have_text("Subscribe error: Not authorized")

    def test_a_message(self, site: Site, page: Page, watch: Watch) -> None:
        site.stop()
        site.authorizer = Readers("sensors/#")
        site.start()
        visit(page, site)
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("output")).to_have_text("Publish error: Not authorized")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("wide", 1280), ("tablet", 820), ("phone", 390)])
def test_how_it_looks(
    site: Site,
    start_sensor: SensorStarter,
    browser: Browser,
    artifacts: Path,
    hostname: str,
    colours: str,
    device: str,
    width: int,
) -> None:
    """For people to look at. What a program can see: nothing is wider than the screen."""
    start_sensor("--interval", "0.1")
    for topic, payload in (("door/lock", "closed"), ("greenhouse/status", "offline"), ("greenhouse/humidity", "64")):
        site.broker.publish(f"sensors/{topic}", payload, retain=True)
    context = new_context(browser, width, colours, scale=2)
    page = context.new_page()
    visit(page, site)
    for value in (21.5, 21.6, 21.9, 22.4, 22.3, 22.8, 23.5, 23.1, 23.6):
        site.broker.publish("sensors/greenhouse/temperature", str(value))
    page.get_by_role("button", name="Publish").click()
    points(card(page, hostname, "CPU"), 30)
    expect(card(page, "kitchen", "Temperature")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=artifacts / f"sensors-{device}-{colours}.png", full_page=True)
    context.close()
