"""Makes the pictures of docs/console.md: ``make console-pictures``.

A broker of a house and its garden runs for some minutes, with devices that publish, one that is away, one that may not
what it tries to do. Then each page is opened and photographed. The console must have been built.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from mqttbroker.admin.pages import BUILT
from mqttbroker.config import AdminConfig, Config, ListenerConfig
from tests.console.site import Console, Device
from tests.support.browsing import WAIT, launch, new_context

FOLDER = Path(__file__).parents[2] / "docs" / "console"
PASSWORD = "a password for pictures"
WIDTH, HEIGHT, TELEPHONE = 1280, 800, 390
ROOMS = ("attic", "bath", "hall", "kitchen", "living-room")
RULES = """\
# Devices of the house report below home/, those of the garden below garden/.
[[rules]]
who = "house"
action = "both"
topics = ["home/#"]
effect = "allow"

[[rules]]
who = "garden"
action = "both"
topics = ["garden/#"]
effect = "allow"

# A camera sees and reports, and opens no door.
[[rules]]
who = "camera"
action = "publish"
topics = ["home/door/lock"]
effect = "deny"

[[rules]]
who = "camera"
action = "publish"
topics = ["home/camera/#"]
effect = "allow"

# Whoever looks at it all changes nothing.
[[rules]]
who = "dashboard"
action = "subscribe"
topics = ["#", "$SYS/#"]
effect = "allow"
"""


class Life:
    """Devices that do what such devices do, until it ends."""

    def __init__(self, console: Console) -> None:
        self._port = console.tcp_port
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._devices: list[Device] = []

    def connect(self, client_id: str, user: str, session: int = 0) -> Device:
        """A device of a user."""
        device = Device(self._port, client_id, user, PASSWORD, session=session)
        # Nobody reads what comes, and it would be kept.
        device.client.on_message = None
        self._devices.append(device)
        return device

    def repeat(self, every: float, work: Callable[[float], None]) -> None:
        """Call ``work`` with the seconds since the beginning, again and again."""
        began = time.monotonic()

        def run() -> None:
            while not self._ended.wait(every * random.uniform(0.7, 1.3)):
                work(time.monotonic() - began)

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def end(self) -> None:
        """Stop."""
        self._ended.set()
        for thread in self._threads:
            thread.join(10)
        for device in self._devices:
            device.close()


def begin(console: Console) -> Life:
    """Users, rules, and devices that are at work."""
    with console.api() as api:
        for user in ("house", "garden", "camera", "dashboard"):
            api.post("/api/v1/users", json={"name": user, "password": PASSWORD}).raise_for_status()
        version = api.get("/api/v1/rules").json()["version"]
        api.put("/api/v1/rules", json={"text": RULES, "version": version}).raise_for_status()
    life = Life(console)
    for name, topic_filter in (("wall-display", "home/#"), ("history", "#"), ("phone-anna", "garden/#")):
        life.connect(name, "dashboard").subscribe(topic_filter, 1)
    away = life.connect("tablet-kitchen", "dashboard", session=86_400)
    away.subscribe("home/+/alarm", 1)
    away.subscribe("home/doorbell", 1)
    away.close()
    for number, room in enumerate(ROOMS):
        _room(life, room, number)
    _garden(life)
    _house(life)
    return life


def _room(life: Life, room: str, number: int) -> None:
    sensor = life.connect(f"sensor-{room}", "house")
    sensor.subscribe(f"home/{room}/set", 1)

    def report(now: float) -> None:
        warm = 20.5 + number / 2 + 1.5 * math.sin(now / 25 + number) + random.gauss(0, 0.05)
        sensor.client.publish(f"home/{room}/temperature", f"{warm:.2f}", 0, retain=True)
        sensor.client.publish(f"home/{room}/humidity", f"{48 + 6 * math.sin(now / 40 + number):.1f}", 0, retain=True)

    life.repeat(0.4, report)


def _garden(life: Life) -> None:
    station = life.connect("weather-station", "garden")
    pump = life.connect("pump", "garden", session=3_600)
    pump.subscribe("garden/pump/set", 2)

    def report(now: float) -> None:
        weather = {"temperature": round(14 + 3 * math.sin(now / 60), 1), "wind": round(abs(random.gauss(3, 1)), 1),
                   "rain": False}  # fmt: skip
        station.client.publish("garden/weather", json.dumps(weather), 1, retain=True)
        pump.client.publish("garden/pump/level", f"{70 - now % 50:.0f}", 1, retain=True)

    life.repeat(1.0, report)


def _house(life: Life) -> None:
    heater = life.connect("heat-pump", "house")
    camera = life.connect("camera-door", "camera")

    def burst(now: float) -> None:
        for _ in range(int(60 + 50 * math.sin(now / 12))):
            heater.client.publish("home/heating/power", f"{1800 + random.gauss(0, 40):.0f}", 0)

    def ring(now: float) -> None:
        heater.client.publish("home/doorbell", json.dumps({"at": round(now), "button": "front"}), 1)
        heater.client.publish("home/cellar/alarm", "water on the floor", 1)
        camera.client.publish("home/camera/door", bytes(random.randrange(256) for _ in range(200)), 0)

    def try_the_lock(now: float) -> None:
        camera.client.publish("home/door/lock", "open", 1)

    life.repeat(0.5, burst)
    life.repeat(4.0, ring)
    life.repeat(20.0, try_the_lock)


def photograph(page: Page, folder: Path) -> None:
    """Each page, as it is after some minutes."""

    def go(place: str, title: str) -> None:
        page.evaluate("place => { location.hash = place }", f"#/{place}")
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        expect(page.locator("main .spinner")).to_have_count(0)

    def take(name: str) -> None:
        page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")
        page.screenshot(path=folder / f"{name}.png")

    take("overview")
    go("clients", "Clients")
    take("clients")
    go("clients/sensor-kitchen", "sensor-kitchen")
    page.wait_for_timeout(2_500)
    take("client")
    go("topics", "Topics")
    for level in ("home", "kitchen", "temperature"):
        page.get_by_role("treeitem").filter(has=page.locator(".level", has_text=level)).first.click()
    page.wait_for_timeout(10_000)
    take("topics")
    go("subscriptions?topic=home%2Fdoorbell", "Subscriptions")
    expect(page.get_by_role("list", name="Receivers")).to_be_visible()
    take("subscriptions")
    go("sessions", "Sessions")
    page.wait_for_timeout(1_000)
    take("sessions")
    live(page, go)
    take("live")
    go("trace", "Trace")
    page.get_by_label("Trace", exact=True).select_option("Client")
    page.get_by_label("Client", exact=True).fill("pump")
    page.get_by_role("button", name="Start").click()
    packets = page.get_by_role("region", name="List of packets").get_by_role("listitem")
    expect(packets.nth(7)).to_be_visible()
    packets.filter(has_text="PUBLISH").first.get_by_role("button").click()
    take("trace")
    page.get_by_role("button", name="Stop").click()
    go("access/rules", "Access")
    page.wait_for_timeout(1_000)
    take("access")
    go("access/refusals", "Access")
    page.wait_for_timeout(1_000)
    take("refusals")
    go("settings/listeners", "Settings")
    page.wait_for_timeout(500)
    take("settings")
    go("overview", "Overview")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(3_000)
    take("overview-dark")
    page.set_viewport_size({"width": TELEPHONE, "height": 844})
    page.wait_for_timeout(1_000)
    take("telephone")


def live(page: Page, go: Callable[[str, str], None]) -> None:
    """The live client, when some messages have come."""
    go("live", "Live client")
    form = page.get_by_role("region", name="Connection", exact=True)
    form.get_by_label("User name").fill("dashboard")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Connect").click()
    expect(form.get_by_role("status")).to_have_text("connected")
    form = page.get_by_role("region", name="Subscriptions", exact=True)
    form.get_by_label("Topic filter").fill("garden/#")
    form.get_by_role("button", name="Subscribe", exact=True).click()
    expect(page.get_by_role("table", name="Messages").get_by_role("row").nth(8)).to_be_visible()


@contextmanager
def running() -> Iterator[Console]:
    """A broker with the console."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        console = Console(
            Config(
                listeners=(ListenerConfig("tcp", port=0), ListenerConfig("web", "websocket", port=0)),
                data_dir=Path("data"),  # Short, since it is shown.
                admin=AdminConfig(enabled=True, port=0),
            )
        )
        try:
            yield console
        finally:
            console.stop()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=420.0, help="how long the broker has run (default: 420)")
    options = parser.parse_args()
    if not (BUILT / "index.html").exists():
        parser.error("the console has not been built: make console")
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=WAIT)
    with ExitStack() as stack:
        console = stack.enter_context(running())
        life = begin(console)
        stack.callback(life.end)
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(launch(playwright))
        context = new_context(browser, WIDTH)
        login = {"name": "admin", "password": console.password}
        assert context.request.post(f"{console.url}api/v1/login", data=login).ok
        page = context.new_page()
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.goto(console.url)
        with suppress(KeyboardInterrupt):
            page.wait_for_timeout(options.seconds * 1_000)
        photograph(page, folder)


if __name__ == "__main__":
    main()
