"""Every path and every method, as strangers, viewers and other sites ask for them: nothing is open by oversight.

What is called comes from the router and from the description, so that new operations are tested without being named.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage

import pytest

from mqttbroker.admin.endpoint import Endpoint
from mqttbroker.admin.openapi import describe
from mqttbroker.admin.problems import PROBLEM_TYPE
from mqttbroker.admin.server import endpoints
from mqttbroker.testing.running import RunningBroker
from tests.admin.console import ANYWHERE, TIMEOUT
from tests.admin.test_login import OPEN, anywhere

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
ENDPOINTS = endpoints()
OPEN_PATHS = {each.path for each in ENDPOINTS if each.role is None}
PASSWORD = "of the viewer"


@dataclass(frozen=True)
class Answer:
    """As it came."""

    status: int
    headers: HTTPMessage
    body: bytes


@dataclass
class Caller:
    """Somebody who sends requests as they are written: no path is put in order before."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = HTTPConnection(self.host, self.port, timeout=TIMEOUT)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request."""
        content = None if body is None else json.dumps(body)
        # Its own connection for each: what is refused before its body was read ends the connection.
        self.http.close()
        sent = {"Content-Type": "application/json", **self.headers, **headers}
        self.http.request(method, path, content, sent)
        answer = self.http.getresponse()
        # What does not say how long it is may have no end.
        read = answer.read() if answer.getheader("Content-Length") else b""
        return Answer(answer.status, answer.headers, read)

    def log_in(self, name: str, password: str) -> None:
        """Have a cookie, and no token that changes need."""
        answer = self.ask("POST", "/api/v1/login", {"name": name, "password": password})
        assert answer.status == 200, answer.body
        self.headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        self.csrf: str = json.loads(answer.body)["csrf_token"]


@dataclass
class House:
    """One broker, and who may come."""

    stranger: Caller
    viewer: Caller
    admin: Caller


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with RunningBroker(config=ANYWHERE) as broker:
        server = broker.broker.admin
        assert server is not None and server.first_password is not None
        found = House(*(Caller(*server.address) for _ in range(3)))
        found.admin.log_in("admin", server.first_password)
        account = {"role": "viewer", "password": PASSWORD}
        made = found.admin.ask("PUT", "/api/v1/accounts/eve", account, **{"X-CSRF-Token": found.admin.csrf})
        assert made.status == 200, made.body
        found.viewer.log_in("eve", PASSWORD)
        yield found
        for caller in (found.stranger, found.viewer, found.admin):
            caller.http.close()
        assert [line for line in broker.logged if line[0] == "error"] == []


def variants(path: str) -> list[str]:
    """Ways to write a path that something on the way could take for it."""
    parts = path.split("/")[1:]
    return [
        f"{path}/",
        f"/{path}",
        path.replace("/", "//"),
        f"{path}?",
        f"{path}?access_token=x&user=admin",
        f"{path}%00",
        f"{path};x=y",
        f"/x/..{path}",
        f"/x/%2e%2e{path}",
        f"/healthz/..{path}",
        f"/healthz%2f..{path}",
        f"/./{'/'.join(parts)}",
        f"/%2e/{'/'.join(parts)}",
        "/" + "%2f".join(parts),
        "/" + "/".join(f"%{ord(part[0]):02x}{part[1:]}" for part in parts if part),
        path.upper(),
        path.replace("/v1/", "/V1/"),
        path.replace("/api/v1/", "/api/v1/openapi.json/../"),
    ]


class TestStrangers:
    def test_the_description_says_what_is_open(self) -> None:
        paths = describe(ENDPOINTS)["paths"]
        open_ = {
            operation["operationId"]
            for operations in paths.values()
            for operation in operations.values()
            if operation.get("security") == []
        }
        assert open_ == {each.name for each in ENDPOINTS if each.role is None} <= OPEN

    @pytest.mark.parametrize("method", METHODS)
    def test_no_method_of_any_path(self, house: House, method: str) -> None:
        for path in sorted({anywhere(each) for each in ENDPOINTS} - OPEN_PATHS):
            answer = house.stranger.ask(method, path)
            assert answer.status in ({401} if path.startswith("/api/") else {401, 405}), (method, path)
            if method != "HEAD":
                assert answer.headers["Content-Type"] == PROBLEM_TYPE, (method, path)
                assert json.loads(answer.body)["status"] == answer.status

    @pytest.mark.parametrize("method", METHODS)
    def test_open_ones_have_one_method(self, house: House, method: str) -> None:
        for path in sorted(OPEN_PATHS):
            allowed = {each.method for each in ENDPOINTS if each.path == path}
            wanted = "GET" if method == "HEAD" else method
            answer = house.stranger.ask(method, path)
            if wanted not in allowed:
                assert answer.status in (401, 405), (method, path)
            elif wanted == "GET":
                assert answer.status == 200, (method, path)

    @pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
    def test_no_other_way_to_write_a_path(self, house: House, endpoint: Endpoint) -> None:
        if endpoint.role is None:
            return
        for path in variants(anywhere(endpoint)):
            answer = house.stranger.ask(endpoint.method, path)
            expected = {401} if path.startswith("/api/") else {401, 404, 405}
            assert answer.status in expected, path

    def test_what_is_told_does_not_say_what_there_is(self, house: House) -> None:
        """A path that is there and one that is not are told apart by nothing but the time of day."""
        answers = {
            (answer.status, answer.body)
            for path, method in itertools.product(("/api/v1/clients", "/api/v1/nothing", "/api/"), ("GET", "DELETE"))
            for answer in [house.stranger.ask(method, path)]
        }
        assert len(answers) == 1


class TestViewers:
    @pytest.mark.parametrize(
        "endpoint", [each for each in ENDPOINTS if each.role == "admin"], ids=lambda each: f"{each.method} {each.path}"
    )
    def test_what_admins_may(self, house: House, endpoint: Endpoint) -> None:
        answer = house.viewer.ask(endpoint.method, anywhere(endpoint), {}, **{"X-CSRF-Token": house.viewer.csrf})
        assert answer.status == 403, answer.body
        assert "needs the role admin" in json.loads(answer.body)["detail"]

    def test_what_reads_secrets_is_for_admins(self) -> None:
        """Reading that is not for viewers: rights, accounts, what the broker's files are."""
        closed = {each.name for each in ENDPOINTS if each.role == "admin" and not each.changes}
        assert closed >= {"list_accounts", "list_tokens", "configuration", "audit"}


class TestForgery:
    """A change that a browser was made to send has the cookie, and not the token."""

    @pytest.mark.parametrize(
        "endpoint",
        [each for each in ENDPOINTS if each.changes and each.role is not None],
        ids=lambda each: f"{each.method} {each.path}",
    )
    def test_a_change_without_the_token(self, house: House, endpoint: Endpoint) -> None:
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": house.viewer.csrf}):
            answer = house.admin.ask(endpoint.method, anywhere(endpoint), {}, **headers)
            assert answer.status == 403, (headers, answer.body)
            assert "X-CSRF-Token" in json.loads(answer.body)["detail"]

    @pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
    def test_from_another_site(self, house: House, endpoint: Endpoint) -> None:
        """Neither by its origin nor by a name of its own that leads here, whatever else it has."""
        token = {"X-CSRF-Token": house.admin.csrf}
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
            answer = house.admin.ask(endpoint.method, anywhere(endpoint), {}, **token, **headers)
            assert answer.status == 403, headers
            assert answer.headers["X-Frame-Options"] == "DENY"


class TestEveryAnswer:
    @pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
    def test_may_be_in_no_frame_and_is_taken_for_nothing_else(self, house: House, endpoint: Endpoint) -> None:
        for caller in (house.stranger, house.viewer):
            answer = caller.ask(endpoint.method, anywhere(endpoint))
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
            assert "text/html" not in answer.headers.get("Content-Type", "")
            assert "Access-Control-Allow-Origin" not in answer.headers
