"""Somebody at the admin server: a real broker, asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from mqttbroker.config import AdminConfig, Config, ListenerConfig
from mqttbroker.server import Broker

TIMEOUT = 10.0
ADMIN = AdminConfig(enabled=True, port=0)
ANYWHERE = Config(listeners=(ListenerConfig(port=0),), admin=ADMIN)


@dataclass
class Console:
    """A broker, and a client of its admin server."""

    broker: Broker
    http: httpx.AsyncClient
    logged: list[tuple[str, str, dict[str, object]]]

    @property
    def password(self) -> str:
        assert self.broker.admin is not None
        password = self.broker.admin.first_password
        assert password is not None
        return password

    async def log_in(self, name: str = "admin", password: str | None = None) -> httpx.Response:
        """Log in, and send the token with every change from now on."""
        body = {"name": name, "password": self.password if password is None else password}
        response = await self.http.post("/api/v1/login", json=body)
        if response.status_code == 200:
            self.http.headers["X-CSRF-Token"] = response.json()["csrf_token"]
        return response

    async def get(self, path: str, **options: Any) -> Any:
        """What is there, which must be something."""
        response = await self.http.get(path, **options)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def console(config: Config = ANYWHERE, *, log_in: bool = True, **admin: Any) -> AsyncIterator[Console]:
    """A broker with an admin server, and somebody who has logged in as its admin."""
    logged: list[tuple[str, str, dict[str, object]]] = []

    def log(level: str, event: str, /, **details: object) -> None:
        logged.append((level, event, details))

    if admin:
        config = replace(config, admin=replace(config.admin, **admin))
    async with Broker(config, log=log) as broker:
        assert broker.admin is not None
        async with httpx.AsyncClient(base_url=broker.admin.url, timeout=TIMEOUT, trust_env=False) as http:
            found = Console(broker, http, logged)
            if log_in:
                assert (await found.log_in()).status_code == 200
            yield found
