"""From a broker without users and rules to one that refuses, and back, in the browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Page, expect

from tests.console.conftest import Connect, Looks
from tests.console.site import Console
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow

DENY = '[[rules]]\nwho = "alice"\naction = "both"\ntopics = ["secret/#"]\neffect = "deny"\n\n'


def opened(page: Page, part: str = "users") -> Page:
    page.evaluate(f"location.hash = '#/access/{part}'")
    expect(page.get_by_role("heading", name="Access", level=1)).to_be_visible()
    return page


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=re.compile(name)).click()


def applied(page: Page, text: str) -> None:
    """Write rules, look at what changes, and apply them."""
    page.get_by_label("Rules, in TOML").fill(text)
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("The rules hold now.")).to_be_visible()


def rules(console: Console) -> Any:
    return console.get("rules")


def test_from_no_rules_to_a_refusal_and_back(console: Console, page: Page, connect: Connect, looks: Looks) -> None:
    connect("lamp")
    opened(page)
    expect(page.get_by_text("Nobody is asked for a password, and everybody may")).to_be_visible()
    looks("access-empty")

    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("Name").fill("alice")
    page.get_by_role("button", name="Make one").click()
    password = page.get_by_label("Password", exact=True).input_value()
    expect(page.get_by_role("dialog")).to_contain_text("This is the first user")
    expect(page.get_by_role("dialog")).to_contain_text("One such client is connected now")
    looks("access-add")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.get_by_role("table", name="Users")).to_contain_text("alice")
    assert console.get("users")["items"] == [{"id": "alice", "name": "alice", "connected": 0}]

    sensor = connect("sensor", username="alice", password=password)
    sensor.subscribe("secret/a", 1)
    sensor.publish("secret/a", "1")
    assert sensor.messages.get(timeout=10).payload == b"1"

    tab(page, "^Rules")
    area = page.get_by_label("Rules, in TOML")
    before = area.input_value()
    area.fill(DENY + before)
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_text("clients 1 would lose something")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="could no longer publish to secret/a")).to_be_visible()
    looks("access-rules")
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("The rules hold now.")).to_be_visible()
    assert rules(console)["text"] == DENY + before

    tab(page, "Refusals")
    sensor.publish("secret/a", "2")
    refusal = page.get_by_role("listitem").filter(has_text="secret/a").first
    expect(refusal).to_contain_text("rule 1 (deny publish secret/#)")
    assert sensor.messages.empty()
    looks("access-refusals")
    refusal.get_by_role("link", name="Why was secret/a refused?").click()
    answer = page.get_by_role("region", name="Answer")
    expect(answer).to_contain_text("refused")
    expect(answer).to_contain_text("Rule 1 decides")
    expect(answer.get_by_label("The rule")).to_contain_text('topics = ["secret/#"]')
    looks("access-what-if")
    answer.get_by_role("link", name="Show it among the rules").click()
    expect(page.locator(".band.decides")).to_be_visible()

    page.get_by_role("button", name=re.compile("Roll back to what held")).first.click()
    expect(page.get_by_role("dialog").get_by_label("Difference")).to_contain_text('-topics = ["secret/#"]')
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("The former rules hold again.")).to_be_visible()
    assert rules(console)["text"] == before
    sensor.publish("secret/a", "3")
    assert sensor.messages.get(timeout=10).payload == b"3"


def test_mistakes_are_shown_where_they_are(console: Console, page: Page, looks: Looks) -> None:
    opened(page, "rules")
    area = page.get_by_label("Rules, in TOML")
    area.fill(DENY.replace("both", "all") + DENY.replace("effect", "efect"))
    expect(page.get_by_text("There are 2 mistakes in it.")).to_be_visible()
    problems = page.get_by_role("list").filter(has_text="did you mean effect?")
    expect(problems).to_contain_text("Line 3 rule 1, action")
    expect(page.get_by_role("button", name="Review changes")).to_be_disabled()
    looks("access-mistakes")
    problems.get_by_role("button", name="Line 11").click()
    assert area.evaluate("(area) => area.value.slice(0, area.selectionStart).split('\\n').length") == 11
    # A draft outlives a look at another page.
    page.get_by_role("link", name="Clients").click()
    opened(page, "rules")
    expect(page.get_by_text("There are 2 mistakes in it.")).to_be_visible()
    page.get_by_role("button", name="Discard changes").click()
    expect(area).to_have_value(re.compile("Who may publish and subscribe"))
    assert rules(console)["text"] is None


def test_a_draft_is_asked(console: Console, page: Page) -> None:
    opened(page, "rules")
    page.get_by_label("Rules, in TOML").fill(DENY)
    page.get_by_role("link", name="Try it out").click()
    page.get_by_label(re.compile("^User")).fill("alice")
    page.get_by_label("Topic", exact=True).fill("secret/a")
    page.get_by_role("button", name="Ask").click()
    answer = page.get_by_role("region", name="Answer")
    expect(answer).to_contain_text("by your draft")
    expect(answer).to_contain_text("user names count for nothing")
    page.get_by_label(re.compile("Ask the rules that you are writing")).uncheck()
    page.get_by_role("button", name="Ask").click()
    expect(answer).to_contain_text("There are no rules, and everybody may do everything.")
    assert rules(console)["text"] is None


def test_somebody_else_changes_the_rules(console: Console, page: Page, watch: Watch) -> None:
    page.set_viewport_size({"width": 1_280, "height": 500})
    opened(page, "rules")
    applied(page, DENY)
    page.get_by_label("Rules, in TOML").fill(DENY + "# Mine.\n")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_label("Difference")).to_contain_text("+# Mine.")
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_in_viewport()
    with console.api() as api:
        body = {"text": DENY + "# Theirs.\n", "version": rules(console)["version"]}
        api.put("/api/v1/rules", json=body).raise_for_status()
    watch.refused.add(409)
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("Somebody has changed the rules since you began.")).to_be_visible()
    page.get_by_role("button", name="Keep my text").click()
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_label("Difference")).to_contain_text("-# Theirs.")
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("The rules hold now.").last).to_be_visible()
    assert rules(console)["text"] == DENY + "# Mine.\n"


def test_a_user_gets_another_password_and_goes(console: Console, page: Page, connect: Connect, watch: Watch) -> None:
    with console.api() as api:
        for name in ("alice", "bob"):
            api.post("/api/v1/users", json={"name": name, "password": "first"}).raise_for_status()
    opened(page)
    sensor = connect("sensor", username="alice", password="first")
    page.get_by_role("button", name="Password of alice").click()
    page.get_by_label("Password", exact=True).fill("second")
    page.get_by_role("dialog").get_by_role("button", name="Change").click()
    expect(page.get_by_text("One client was disconnected.")).to_be_visible()
    sensor.disconnected()
    again = connect("sensor", username="alice", password="second")
    page.get_by_role("button", name="Remove alice").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("table", name="Users")).not_to_contain_text("alice")
    again.disconnected()
    assert refused(console, "alice", "second")

    watch.refused.add(409)
    page.get_by_role("button", name="Remove bob").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is the last user.")
    dialog.get_by_role("button", name="Remove").click()
    expect(dialog.get_by_role("alert")).to_contain_text("It is the last user")
    dialog.get_by_label("Yes, let everybody in without a password").check()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There are no users yet")).to_be_visible()
    connect("anybody")


def test_names_that_are_hostile(console: Console, page: Page, looks: Looks) -> None:
    names = ("<img src=x onerror=alert(1)>", "\u202eevil", "x" * 1_000)
    with console.api() as api:
        for name in names:
            api.post("/api/v1/users", json={"name": name, "password": "pw"}).raise_for_status()
    opened(page)
    expect(page.get_by_role("table", name="Users").get_by_role("row")).to_have_count(1 + len(names))
    looks("access-hostile")


def test_a_viewer_sees_refusals_and_nothing_else(console: Console, viewer_page: Page, looks: Looks) -> None:
    with console.api() as api:
        api.put("/api/v1/rules", json={"text": DENY, "version": "none"}).raise_for_status()
    opened(viewer_page)
    expect(viewer_page.get_by_text("Nobody was refused")).to_be_visible()
    expect(viewer_page.get_by_role("tab")).to_have_count(0)
    looks("access-viewer", viewer_page)


def refused(console: Console, name: str, password: str) -> bool:
    """Whether somebody is not let in."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "refused", protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    codes: list[Any] = []

    def connected(_client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        codes.append(code)
        client.disconnect()

    client.on_connect = connected
    client.username_pw_set(name, password)
    client.connect("127.0.0.1", console.tcp_port)
    client.loop_forever()
    return bool(codes and codes[0].is_failure)
