"""Subscriptions: who has subscribed to what, and who would receive a message."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Connect, Looks
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow


def subscriptions(page: Page, query: str = "") -> Page:
    page.evaluate("where => { location.hash = where }", f"#/subscriptions{query}")
    expect(page.get_by_role("heading", name="Subscriptions", level=1)).to_be_visible()
    return page


def rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Subscriptions").get_by_role("row")


def test_the_list(page: Page, connect: Connect, looks: Looks) -> None:
    subscriptions(page)
    expect(page.get_by_text("Nobody has subscribed to anything")).to_be_visible()
    for name in ("lamp", "heater"):
        device = connect(name)
        device.subscribe(f"home/{name}/set", 1)
        device.subscribe("$share/workers/jobs/#", 2)
    kept = connect("kept", session=3_600)
    kept.subscribe("home/#", 1)
    kept.close()
    expect(rows(page)).to_have_count(6)
    expect(rows(page).filter(has_text="home/#")).to_contain_text("away")
    expect(rows(page).filter(has_text="jobs/#").first).to_contain_text("shared in workers")
    looks("subscriptions")
    page.get_by_role("searchbox").fill("home/")
    expect(rows(page)).to_have_count(4)
    subscriptions(page, "?client=lamp")
    expect(rows(page)).to_have_count(3)
    page.get_by_role("button", name="Show all, not only those of lamp").click()
    expect(rows(page)).to_have_count(6)
    rows(page).filter(has_text="home/heater/set").get_by_role("link").click()
    expect(page.get_by_role("heading", name="heater", level=1)).to_be_visible()


def test_who_would_receive(page: Page, connect: Connect, looks: Looks) -> None:
    connect("here", username="hall").subscribe("home/+", 0)
    for name in ("worker-1", "worker-2"):
        connect(name).subscribe("$share/workers/home/#", 1)
    for name, qos in (("waits", 1), ("loses", 0)):
        device = connect(name, session=3_600)
        device.subscribe("home/hall", qos)
        device.close()
    subscriptions(page)
    page.get_by_role("tab", name="Who would receive").click()
    expect(page.get_by_text("Which message?")).to_be_visible()
    page.get_by_role("button", name="Who would receive it?").click()
    expect(page.get_by_role("alert")).to_contain_text("Give the topic")
    page.get_by_label("Topic of the message").fill("home/hall")
    page.get_by_label("Topic of the message").press("Enter")
    found = page.get_by_role("list", name="Receivers").get_by_role("listitem")
    expect(found).to_have_count(5)
    here = found.filter(has_text="here")
    expect(here).to_contain_text("sent")
    expect(here).to_contain_text("It was granted no more than QoS 0")
    expect(here).to_contain_text("rule: everything is allowed")
    expect(found.filter(has_text="waits")).to_contain_text("keeps the message until it is back")
    expect(found.filter(has_text="loses")).to_contain_text("lost")
    expect(found.filter(has_text="worker-1")).to_contain_text("one of the 2 members of workers")
    summary = page.get_by_role("status").filter(has_text="It would go to")
    expect(summary).to_contain_text("2 clients and to one member of a group. 1 would not get it")
    looks("receivers")
    page.get_by_text("0", exact=True).click()
    expect(found.filter(has_text="waits")).to_contain_text("lost")


def test_nobody(page: Page, watch: Watch, looks: Looks) -> None:
    subscriptions(page, "?topic=%2Fhome%2Fhall")
    expect(page.get_by_text("No client would receive it")).to_be_visible()
    expect(page.get_by_text("It begins with a slash")).to_be_visible()
    looks("receivers-nobody")
    watch.refused.add(400)
    subscriptions(page, "?topic=home%2F%23")
    expect(page.get_by_role("alert")).to_contain_text("No message can have this topic")


def test_hostile_names(page: Page, connect: Connect, looks: Looks) -> None:
    device = connect("<img src=x onerror=alert(1)>")
    for topic_filter in ("<img src=x onerror=alert(2)>/#", "\u202ereversed", "x" * 3_000):
        device.subscribe(topic_filter)
    subscriptions(page)
    expect(rows(page)).to_have_count(4)
    assert page.locator("main img").count() == 0
    looks("subscriptions-hostile")
    subscriptions(page, "?topic=" + "x" * 3_000)
    expect(page.get_by_role("list", name="Receivers").get_by_role("listitem")).to_have_count(1)


def test_viewers_may_look(viewer_page: Page, connect: Connect) -> None:
    connect("here").subscribe("a", 1)
    subscriptions(viewer_page)
    expect(rows(viewer_page)).to_have_count(2)
    subscriptions(viewer_page, "?topic=a")
    expect(viewer_page.get_by_role("list", name="Receivers").get_by_role("listitem")).to_have_count(1)
