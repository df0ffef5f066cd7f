"""Coming in and going out: wrong passwords, sessions that end, a broker that is away for a while."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from mqttbroker.admin.login import TRIES
from tests.console.conftest import Looks
from tests.console.site import Console
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow

ENDED = "Your session has ended. Please log in again."


def overview(page: Page) -> Locator:
    return page.get_by_role("heading", name="Overview", level=1)


def log_in(page: Page, password: str, name: str = "admin") -> None:
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


class TestPassword:
    def test_the_right_one(self, console: Console, stranger: Page) -> None:
        stranger.goto(console.url)
        expect(stranger).to_have_title("Log in · MQTT broker")
        log_in(stranger, console.password)
        expect(overview(stranger)).to_be_visible()
        expect(stranger.get_by_label("Navigation")).to_contain_text("admin")

    def test_with_the_keyboard_alone(self, console: Console, stranger: Page) -> None:
        stranger.goto(console.url)
        expect(stranger.get_by_label("Password")).to_be_focused()
        stranger.keyboard.type(console.password)
        stranger.keyboard.press("Enter")
        expect(overview(stranger)).to_be_visible()

    def test_a_wrong_one(self, console: Console, stranger: Page, watch: Watch, looks: Looks) -> None:
        watch.refused.add(401)
        stranger.goto(console.url)
        log_in(stranger, "wrong")
        expect(stranger.get_by_role("alert")).to_have_text("The name or the password is wrong")
        expect(stranger.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
        looks("login-wrong", stranger)
        log_in(stranger, console.password)
        expect(overview(stranger)).to_be_visible()

    def test_too_many_wrong_ones(self, console: Console, stranger: Page, watch: Watch) -> None:
        watch.refused |= {401, 429}
        stranger.goto(console.url)
        alert = stranger.get_by_role("alert")
        for number in range(TRIES):
            log_in(stranger, f"wrong {number}")
            expect(alert).to_have_text("The name or the password is wrong")
        log_in(stranger, console.password)
        expect(alert).to_have_text(re.compile(r"Too many passwords were tried\. Try again in [1-6] seconds\."))
        console.broker.advance(6.0)
        log_in(stranger, console.password)
        expect(overview(stranger)).to_be_visible()


class TestSession:
    def test_log_out(self, console: Console, page: Page) -> None:
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        expect(page.get_by_text(ENDED)).to_be_hidden()
        page.reload()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()

    def test_it_lasts_over_a_reload(self, page: Page) -> None:
        page.get_by_role("link", name="Clients", exact=True).click()
        page.reload()
        expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()

    def test_one_that_ends_while_it_is_open(self, console: Console, page: Page, watch: Watch, looks: Looks) -> None:
        watch.refused.add(401)
        page.get_by_role("link", name="Clients", exact=True).click()
        expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()
        # A new password ends the sessions of the account. The page finds out by itself, at the latest when it is seen
        # again.
        console.add_account("admin", "admin", "quite another one")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_text(ENDED)).to_be_visible()
        looks("login-again", page)
        log_in(page, "quite another one")
        # Where it was.
        expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()

    def test_one_that_nobody_used(self, console: Console, page: Page, watch: Watch) -> None:
        watch.refused.add(401)
        console.broker.advance(3 * 3_600.0)
        expect(page.get_by_text(ENDED)).to_be_visible()


class TestOutage:
    def test_a_network_that_comes_back(self, page: Page, watch: Watch, looks: Looks) -> None:
        watch.offline = True
        stale = page.get_by_text("The broker does not answer: what you see is from")
        page.context.set_offline(True)
        expect(stale).to_be_visible()
        expect(overview(page)).to_be_visible()
        looks("stale", page)
        page.context.set_offline(False)
        expect(stale).to_be_hidden()
        expect(overview(page)).to_be_visible()

    def test_a_broker_that_is_started_again(self, console: Console, page: Page, watch: Watch) -> None:
        watch.offline = True
        watch.refused.add(401)
        page.get_by_role("link", name="Clients", exact=True).click()
        expect(page.get_by_text("Nobody is connected")).to_be_visible()
        console.stop()
        expect(page.get_by_text("The broker does not answer: what you see is from")).to_be_visible()
        console.start()
        # Sessions are in memory, so that nobody needs to be told how to end those of a broker that was stolen.
        expect(page.get_by_text(ENDED)).to_be_visible()
        log_in(page, console.password)
        expect(page.get_by_text("Nobody is connected")).to_be_visible()
        expect(page.get_by_text("The broker does not answer")).to_be_hidden()

    def test_a_broker_that_is_away_at_first(self, console: Console, stranger: Page, watch: Watch) -> None:
        watch.offline = True
        stranger.goto(console.url)
        expect(stranger.get_by_role("button", name="Log in")).to_be_visible()
        console.stop()
        log_in(stranger, console.password)
        expect(stranger.get_by_role("alert")).to_have_text("The broker cannot be reached.")
        console.start()
        log_in(stranger, console.password)
        expect(overview(stranger)).to_be_visible()
