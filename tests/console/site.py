"""A broker whose console is looked at, and what tests do to it from the side."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from mqttbroker.config import Config
from mqttbroker.testing import RunningBroker

__all__ = ["VIEWER", "Console", "Device", "wait_until"]

VIEWER = ("eve", "the viewer's password")
WAIT = 10.0


class Console:
    """A running broker with an admin server and the built pages. It can be stopped and started again."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.password: str = ""
        """Of the account ``admin``."""
        self.broker: RunningBroker = self.start()

    def start(self) -> RunningBroker:
        """Start; a second time on the ports of the first."""
        self.broker = RunningBroker(config=self._config)
        self.broker.start()
        addresses = self.broker.call(lambda inner: inner.addresses)
        listeners = tuple(replace(each, port=addresses[each.name][0][1]) for each in self._config.listeners)
        admin = self.broker.broker.admin
        assert admin is not None
        self._config = replace(
            self._config, listeners=listeners, admin=replace(self._config.admin, port=admin.address[1])
        )
        self.password = admin.first_password or self.password
        self.url: str = admin.url
        return self.broker

    def stop(self) -> None:
        """Stop, and forget nothing that is on disk. Sessions of the console end with it."""
        self.broker.stop()

    @property
    def tcp_port(self) -> int:
        """Of the TCP listener."""
        return self._port("tcp")

    @property
    def web_port(self) -> int:
        """Of the WebSocket listener."""
        return self._port("web")

    def _port(self, name: str) -> int:
        return next(each.port for each in self._config.listeners if each.name == name)

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """The API, asked by the admin, to see what came of something."""
        with httpx.Client(base_url=self.url, timeout=WAIT, trust_env=False) as client:
            answer = client.post("/api/v1/login", json={"name": "admin", "password": self.password})
            client.headers["X-CSRF-Token"] = answer.raise_for_status().json()["csrf_token"]
            yield client

    def get(self, path: str) -> Any:
        """What the API has below ``/api/v1/``."""
        with self.api() as api:
            return api.get(f"/api/v1/{path}").raise_for_status().json()

    def add_account(self, name: str, role: str, password: str) -> None:
        """An account for the console, or another password and role for it."""
        with self.api() as api:
            api.put(f"/api/v1/accounts/{name}", json={"role": role, "password": password}).raise_for_status()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what cannot be seen on a page."""
    overdue = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < overdue


class Device:
    """An MQTT 5 client that is connected."""

    def __init__(
        self,
        port: int,
        client_id: str,
        username: str | None = None,
        password: str | None = None,
        session: int = 0,
        will: tuple[str, bytes] | None = None,
        manual_ack: bool = False,
    ) -> None:
        """``session`` is how many seconds the broker keeps the session after the end of the connection; with
        ``manual_ack`` no message is acknowledged.
        """
        self.messages: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()
        version = CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(version, client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        self.client.on_message = lambda _client, _data, message: self.messages.put(message)
        self.client.on_connect = lambda *_: self._events.put("connected")
        self.client.on_subscribe = lambda *_: self._events.put("subscribed")
        self.client.on_disconnect = lambda *_: self._events.put("disconnected")
        self.client.username_pw_set(username, password)
        self.client.manual_ack_set(manual_ack)
        if will is not None:
            self.client.will_set(*will)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session
        self.client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        self.client.loop_start()
        assert self._events.get(timeout=WAIT) == "connected"

    def subscribe(self, topic_filter: str, qos: int = 0) -> None:
        """Subscribe, and wait for the answer."""
        self.client.subscribe(topic_filter, qos)
        assert self._events.get(timeout=WAIT) == "subscribed"

    def publish(self, topic: str, payload: bytes | str, qos: int = 1, retain: bool = False) -> None:
        """Publish, and wait for the acknowledgement."""
        self.client.publish(topic, payload, qos, retain).wait_for_publish(WAIT)

    def disconnected(self) -> None:
        """Wait until somebody else has ended the connection."""
        assert self._events.get(timeout=WAIT) == "disconnected"

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()
