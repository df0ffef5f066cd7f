"""Topics: what is published now, what is retained, and how that is changed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Connect, Looks
from tests.console.site import Console
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\u202eright to left",
    "x" * 3_000,
    " spaces ",
    "café/\U0001f6a8",
    "//",
    "a%2Fb?c=d&e",
)


def topics(page: Page, query: str = "") -> Page:
    """The page, when its watch is open."""
    page.evaluate("where => { location.hash = where }", f"#/topics{query}")
    expect(page.get_by_role("heading", name="Topics", level=1)).to_be_visible()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    return page


def item(page: Page, name: str) -> Locator:
    """A row of the tree, by its level."""
    return page.get_by_role("treeitem").filter(has=page.locator(".level", has_text=re.compile(f"^{re.escape(name)}$")))


def choose(page: Page, *levels: str) -> None:
    """Go down the tree."""
    for level in levels:
        item(page, level).first.click()


def test_live_values(page: Page, connect: Connect, looks: Looks) -> None:
    sensor = connect("hall-sensor", username="hall")
    topics(page)
    expect(page.get_by_text("No topics yet")).to_be_visible()
    for value in ("20.5", "21", "22.25"):
        sensor.publish("home/hall/temperature", value)
        expect(item(page, "home")).to_be_visible()
    choose(page, "home", "hall")
    expect(item(page, "temperature")).to_contain_text("22.25")
    choose(page, "temperature")
    detail = page.get_by_role("region", name="The chosen topic")
    expect(detail.get_by_role("heading", name="home/hall/temperature")).to_be_visible()
    expect(detail).to_contain_text("hall-sensor")
    expect(detail).to_contain_text("Nothing is retained")
    sensor.publish("home/hall/temperature", "23.5")
    expect(detail.locator(".figure")).to_contain_text("23.5")
    expect(detail).to_contain_text("values seen")
    sensor.publish("home/hall/temperature", '{"value": 1, "unit": "°C", "long": "' + "x" * 400 + '"}')
    expect(detail.get_by_role("radio", name="JSON")).to_be_checked()
    expect(detail.locator("pre")).to_contain_text('"unit": "°C",\n')
    detail.get_by_text("Hex", exact=True).click()
    expect(detail.locator("pre")).to_contain_text("000000  7b 22")
    looks("topics-live")


def test_set_edit_and_delete(console: Console, page: Page, connect: Connect, looks: Looks) -> None:
    listener = connect("listener")
    listener.subscribe("garden/#", 1)
    topics(page)
    page.get_by_role("button", name="Set a message").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Topic").fill("garden/pump")
    dialog.get_by_text("JSON", exact=True).click()
    dialog.get_by_label("Message").fill('{"on": tru')
    dialog.get_by_role("button", name="Set").click()
    expect(dialog).to_contain_text("This is no JSON")
    dialog.get_by_label("Message").fill('{"on": true}')
    dialog.get_by_text("1", exact=True).click()
    looks("topics-set")
    dialog.get_by_role("button", name="Set").click()
    expect(dialog).not_to_be_visible()
    message = listener.messages.get(timeout=10)
    assert (message.topic, message.payload, message.qos) == ("garden/pump", b'{"on": true}', 1)

    detail = page.get_by_role("region", name="The chosen topic")
    expect(detail.locator("pre").last).to_contain_text('"on": true')
    detail.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("Message")).to_have_value('{\n  "on": true\n}')
    dialog.get_by_text("Hex", exact=True).click()
    dialog.get_by_label("Message").fill("00 FF")
    dialog.get_by_label("Expires").fill("3600")
    dialog.get_by_role("button", name="Set").click()
    assert listener.messages.get(timeout=10).payload == b"\x00\xff"
    expect(dialog).not_to_be_visible()
    expect(detail.locator("pre").last).to_contain_text("00 ff")
    kept = console.get("retained?topic=garden%2Fpump")
    assert (kept["payload"]["data"], kept["qos"]) == ("AP8=", 1)
    assert 3_500 < kept["properties"]["message_expiry_interval"] <= 3_600

    detail.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(detail).to_contain_text("Nothing is retained")
    assert console.get("retained/levels")["total"] == 0


def test_delete_by_filter(console: Console, page: Page, connect: Connect, looks: Looks) -> None:
    device = connect("device")
    for number in range(12):
        device.publish(f"old/{number}", "x", retain=True)
    device.publish("new/1", "x", retain=True)
    topics(page)
    expect(item(page, "old")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Topic filter").fill("old/#")
    expect(dialog).to_contain_text("12 messages match.")
    looks("topics-delete")
    assert console.get("retained/levels")["total"] == 2
    dialog.get_by_role("button", name="Delete 12").click()
    expect(dialog).not_to_be_visible()
    assert [each["level"] for each in console.get("retained/levels")["items"]] == ["new"]
    expect(item(page, "old")).not_to_be_visible()


def test_links_and_search(page: Page, connect: Connect) -> None:
    device = connect("device")
    for topic in ("home/hall/light", "home/attic/light", "home/attic/heat", "shed/door"):
        device.publish(topic, "on", retain=True)
    topics(page, "?topic=home%2Fattic%2Flight")
    expect(item(page, "light")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("heading", name="home/attic/light")).to_be_visible()
    search = page.get_by_role("searchbox")
    search.fill("LIGHT")
    expect(page.get_by_role("treeitem")).to_have_count(5)
    expect(item(page, "heat")).not_to_be_visible()
    search.fill("home/+/heat")
    expect(item(page, "heat")).to_be_visible()
    expect(page.get_by_role("treeitem")).to_have_count(3)
    search.fill("nothing like it")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Show all topics").click()
    expect(item(page, "shed")).to_be_visible()


def test_a_filter_that_is_none(page: Page, watch: Watch) -> None:
    watch.refused.add(400)
    topics(page)
    page.get_by_role("searchbox").fill("a#")
    expect(page.get_by_role("alert")).to_be_visible()


def test_keyboard(page: Page, connect: Connect) -> None:
    device = connect("device")
    for topic in ("a/b/c", "a/d", "e"):
        device.publish(topic, "1", retain=True)
    topics(page)
    expect(item(page, "e")).to_be_visible()
    tree = page.get_by_role("tree")
    tree.focus()
    page.keyboard.press("ArrowRight")
    expect(item(page, "d")).to_be_visible()
    expect(item(page, "a")).to_have_attribute("aria-expanded", "true")
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="a/d")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(item(page, "d")).not_to_be_visible()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="e", exact=True)).to_be_visible()


def test_many_topics(console: Console, page: Page) -> None:
    with console.api() as api:
        for begin in range(0, 10_000, 1_000):
            messages = [
                {"topic": f"many/{number:05}", "payload": str(number), "retain": True}
                for number in range(begin, begin + 1_000)
            ]
            api.post("/api/v1/publish/batch", json={"messages": messages}).raise_for_status()
    topics(page)
    choose(page, "many")
    expect(item(page, "00000")).to_be_visible()
    assert page.get_by_role("treeitem").count() < 100
    tree = page.get_by_role("tree")
    tree.focus()
    # The next page comes as the end of the one before is in sight.
    page.wait_for_function(
        """() => {
            const tree = document.querySelector(".tree");
            tree.scrollTop = tree.scrollHeight;
            const last = [...tree.querySelectorAll("[aria-setsize]")].at(-1);
            return last.getAttribute("aria-setsize") === "10000";
        }"""
    )
    page.keyboard.press("End")
    expect(item(page, "09999")).to_be_visible()
    choose(page, "09999")
    expect(page.locator(".detail .figure")).to_contain_text("9999")
    assert page.get_by_role("treeitem").count() < 100
    page.get_by_role("searchbox").fill("many/0012")
    expect(page.get_by_role("treeitem")).to_have_count(11)


def test_hostile_topics(page: Page, connect: Connect, looks: Looks) -> None:
    device = connect("<b>device</b>")
    for topic in HOSTILE:
        device.publish(f"h/{topic}", f"{topic} {topic}", retain=True)
    device.publish("h/binary", bytes(range(256)), retain=True)
    topics(page)
    choose(page, "h")
    choose(page, HOSTILE[0])
    expect(page.get_by_role("heading", name=HOSTILE[0])).to_be_visible()
    assert page.locator("main img").count() == 0
    choose(page, HOSTILE[2])
    expect(page.locator(".detail pre").first).to_contain_text("xxx")
    looks("topics-hostile")
    choose(page, "binary")
    expect(page.locator(".detail pre").first).to_contain_text("fe ff")


def test_large_payloads(page: Page, connect: Connect) -> None:
    device = connect("device")
    device.publish("large", "y" * 300_000, retain=True)
    topics(page, "?topic=large")
    detail = page.get_by_role("region", name="The chosen topic")
    expect(detail).to_contain_text("The first 256 KiB of 293 KiB.")
    expect(detail).to_contain_text("too long to edit here")
    detail.get_by_role("button", name="Show all 262,144 characters").click()
    expect(detail.get_by_role("button", name="Show all")).not_to_be_visible()


def test_viewers_change_nothing(viewer_page: Page, connect: Connect) -> None:
    connect("device").publish("a", "1", retain=True)
    topics(viewer_page)
    choose(viewer_page, "a")
    expect(viewer_page.locator(".detail .figure").first).to_contain_text("1")
    for name in ("Set", "Edit", "Delete"):
        expect(viewer_page.get_by_role("button", name=name)).to_have_count(0)


def test_the_brokers_own_topics(console: Console, page: Page, connect: Connect) -> None:
    console.broker.call(lambda inner: inner.core.show("$SYS/broker/uptime", b"17 seconds", inner.now()))
    topics(page, "?filter=%24SYS")
    expect(item(page, "uptime")).to_contain_text("17 seconds")
    choose(page, "uptime")
    expect(page.locator(".detail pre")).to_contain_text("17 seconds")
    expect(page.locator(".detail")).not_to_contain_text("Retained")
