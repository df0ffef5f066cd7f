"""What is around every page: navigation, keyboard, colours, places that can be linked to, and who may do what."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Connect, Looks
from tests.console.site import Console

pytestmark = pytest.mark.slow


def entries(page: Page) -> list[str]:
    """The pages that the navigation leads to."""
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    return page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()


def visit(page: Page, name: str) -> None:
    """Go to a page by the navigation, and wait until it is there."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True)).to_have_attribute(
        "aria-current", "page"
    )
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("main .spinner")).to_have_count(0)


class TestPlaces:
    @pytest.mark.timeout(180)
    def test_every_page_is_there(self, console: Console, page: Page, looks: Looks) -> None:
        for name in entries(page):
            visit(page, name)
            expect(page).to_have_title(f"{name} · MQTT broker")
            expect(page.get_by_role("alert")).to_have_count(0)
            looks(f"empty-{name.lower().replace(' ', '-')}", page)

    def test_back_and_forth(self, page: Page) -> None:
        visit(page, "Clients")
        page.go_back()
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        page.go_forward()
        expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()

    def test_a_place_can_be_linked_to(self, console: Console, page: Page, connect: Connect) -> None:
        for name in ("a/b c", "other"):
            connect(name)
        page.goto(f"{console.url}#/clients/a%2Fb%20c")
        expect(page.get_by_role("heading", name="a/b c", level=1)).to_be_visible()
        page.goto(f"{console.url}#/clients?search=oth")
        expect(page.get_by_role("searchbox")).to_have_value("oth")
        expect(page.get_by_role("table").get_by_role("row")).to_have_count(2)

    def test_a_link_survives_the_login(self, console: Console, stranger: Page, connect: Connect) -> None:
        connect("lamp")
        stranger.goto(f"{console.url}#/clients/lamp")
        stranger.get_by_label("Password").fill(console.password)
        stranger.keyboard.press("Enter")
        expect(stranger.get_by_role("heading", name="lamp", level=1)).to_be_visible()

    @pytest.mark.parametrize("place", ["nothing", "%ff", "../x", "constructor", "<img src=x onerror=alert(1)>"])
    def test_a_page_that_is_not_there(self, console: Console, page: Page, place: str) -> None:
        page.goto(f"{console.url}#/{place}")
        expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
        page.get_by_role("link", name="To the overview").click()
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


class TestKeyboard:
    def test_skip_to_the_content(self, page: Page) -> None:
        page.keyboard.press("Tab")
        skip = page.get_by_role("button", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.get_by_role("main")).to_be_focused()

    def test_the_order_is_that_of_the_page(self, page: Page) -> None:
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("complementary").get_by_role("link", name="MQTT broker")).to_be_focused()
        for name in entries(page):
            page.keyboard.press("Tab")
            expect(
                page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True)
            ).to_be_focused()

    def test_a_new_page_has_the_focus(self, page: Page) -> None:
        page.get_by_role("link", name="Clients", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()
        expect(page.get_by_role("main")).to_be_focused()

    def test_through_a_list(self, page: Page, connect: Connect) -> None:
        for name in ("a", "b", "c"):
            connect(name)
        visit(page, "Clients")
        rows = page.get_by_role("table").get_by_role("row")
        expect(rows).to_have_count(4)
        rows.nth(1).focus()
        page.keyboard.press("ArrowDown")
        expect(rows.nth(2)).to_be_focused()
        page.keyboard.press("End")
        expect(rows.nth(3)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="c", level=1)).to_be_visible()

    def test_escape_leaves_a_dialog(self, console: Console, page: Page, connect: Connect) -> None:
        connect("lamp")
        page.goto(f"{console.url}#/clients/lamp")
        button = page.get_by_role("button", name=re.compile("^Disconnect"))
        button.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        for _ in range(6):
            page.keyboard.press("Tab")
            inside = dialog.evaluate("dialog => dialog.contains(document.activeElement)")
            assert inside or page.evaluate("document.activeElement === document.body")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(button).to_be_focused()
        assert len(console.get("clients")["items"]) == 1

    def test_the_menu_of_a_telephone(self, page: Page, looks: Looks) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        menu = page.get_by_role("button", name="Menu")
        expect(menu).to_have_attribute("aria-expanded", "false")
        expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
        menu.press("Enter")
        expect(menu).to_have_attribute("aria-expanded", "true")
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Clients", exact=True).focus()
        page.keyboard.press("Escape")
        expect(menu).to_have_attribute("aria-expanded", "false")
        expect(menu).to_be_focused()


class TestColours:
    def test_they_are_kept(self, page: Page) -> None:
        page.emulate_media(color_scheme="light")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("radio", name="Dark").check(force=True)
        expect(page.locator("body")).not_to_have_css("background-color", light)
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        expect(page.get_by_role("radio", name="Dark")).to_be_checked()
        expect(page.locator("body")).to_have_css("background-color", dark)
        page.get_by_role("radio", name="Auto").check(force=True)
        expect(page.locator("body")).to_have_css("background-color", light)
        page.emulate_media(color_scheme="dark")
        expect(page.locator("body")).to_have_css("background-color", dark)


ACTIONS = re.compile(
    r"^(add|change|delete|disconnect|edit|end|make|new|publish|purge|reload|remove|reset|save|set|back up)\b",
    re.IGNORECASE,
)


class TestViewers:
    def test_they_see_no_actions(self, console: Console, viewer_page: Page, connect: Connect) -> None:
        lamp = connect("lamp", session=60)
        lamp.subscribe("lamp/#", 1)
        lamp.publish("lamp/state", "on", retain=True)
        for name in entries(viewer_page):
            visit(viewer_page, name)
            # What is published there is by the rights of a user of MQTT, and not by those of the account.
            if name == "Live client":
                continue
            found = [each for each in viewer_page.locator("main").get_by_role("button").all_inner_texts()]
            assert [each for each in found if ACTIONS.match(each)] == [], name
        for place in ("clients/lamp", "sessions/lamp", "topics?topic=lamp%2Fstate"):
            viewer_page.goto(f"{console.url}#/{place}")
            expect(viewer_page.locator("main h1")).to_be_visible()
            expect(viewer_page.locator("main .spinner")).to_have_count(0)
            found = [each for each in viewer_page.locator("main").get_by_role("button").all_inner_texts()]
            assert [each for each in found if ACTIONS.match(each)] == [], place
