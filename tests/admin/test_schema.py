"""Every operation of the API, called with what its description allows and with what it does not.

Requests are made from the description by schemathesis, so that new operations are tested as soon as they are there.
Whatever is sent, the answer is one that is described, and no mistake of the broker's own. What the description does
not allow is refused.

The same requests in every run; ``--hypothesis-profile=thorough`` sends ten times as many, and others each time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from mqttbroker.admin.openapi import describe
from mqttbroker.admin.problems import PROBLEM_TYPE
from mqttbroker.admin.server import endpoints
from mqttbroker.protocol import Properties
from mqttbroker.testing.running import RunningBroker
from tests.admin.console import ANYWHERE, TIMEOUT
from tests.support.raw import RawClient

EXAMPLES = max(settings().max_examples // 10, 2)
"""For each operation, right ones and wrong ones."""
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
JSON = "application/json"
PASSWORD = "as good as any"
KEPT = Properties(session_expiry_interval=1_000)


def description() -> dict[str, Any]:
    """The description, without what it says of logins: the tests are let in, and schemathesis would try not to be."""
    found: dict[str, Any] = json.loads(json.dumps(describe(endpoints())))
    del found["security"], found["components"]["securitySchemes"]
    for operations in found["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return found


DESCRIPTION = description()
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations()
    if isinstance(found, Ok)  # That none is missing has a test of its own.
}


def described(label: str) -> dict[str, Any]:
    """What the description says of an operation."""
    method, _, path = label.partition(" ")
    found: dict[str, Any] = DESCRIPTION["paths"][path][method.lower()]
    return found


def media_types(label: str) -> set[str]:
    """Of an answer that tells of success."""
    responses = described(label)["responses"]
    return {kind for status, each in responses.items() if status != "default" for kind in each.get("content", ())}


REFUSING = [
    label
    for label in OPERATIONS
    if "requestBody" in described(label) or any(each["in"] == "query" for each in described(label)["parameters"])
]
"""The operations to which something can be sent that their descriptions do not allow."""


@dataclass
class House:
    """A broker with something of everything, and somebody who may do everything."""

    broker: RunningBroker
    http: requests.Session
    url: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What is answered, which must be good, or say that it is there already."""
        answer = self.http.request(method, f"{self.url}/api/v1{path}", json=body, timeout=TIMEOUT)
        assert answer.ok or answer.status_code == 409, answer.text
        return answer.json() if answer.content else None

    @asynccontextmanager
    async def furnished(self) -> AsyncIterator[dict[str, list[str]]]:
        """What there is for the parameters of paths, by their names."""
        # As soon as there are users, nobody comes in without a name.
        for name in ("here", "spare"):
            self.call("POST", "/users", {"name": name, "password": PASSWORD})
        known: dict[str, Any] = {"username": "here", "password": PASSWORD.encode(), "properties": KEPT}
        async with RawClient(self.broker.host, self.broker.port) as here:
            await here.connect("here", **known)
            await here.subscribe("a/#", "$share/g/a/b", qos=1)
            async with RawClient(self.broker.host, self.broker.port) as away:
                await away.connect("away/<b>", **known)
                await away.subscribe("a/+", qos=2)
            self.broker.publish("a/b", b"\xff", qos=1, retain=True)
            self.broker.publish("a/c", b"text", qos=2)
            self.call("PUT", "/accounts/spare", {"role": "viewer", "password": PASSWORD})
            token = self.call("POST", "/tokens", {"name": "spare"})["view"]["id"]
            yield {"client_id": ["here", "away/<b>"], "name": ["spare"], "id": [token]}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    level = logging.getLogger("mqttbroker").level
    config = replace(ANYWHERE, data_dir=tmp_path_factory.mktemp("data"))
    with RunningBroker(config=config) as broker, requests.Session() as http:
        admin = broker.broker.admin
        assert admin is not None
        http.trust_env = False
        found = House(broker, http, admin.url.rstrip("/"))
        # A token, which no operation ends or changes unless it is named.
        me = found.call("POST", "/login", {"name": "admin", "password": admin.first_password})
        http.headers["X-CSRF-Token"] = me["csrf_token"]
        token = found.call("POST", "/tokens", {"name": "schema", "role": "admin"})["token"]
        http.cookies.clear()
        del http.headers["X-CSRF-Token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield found
        errors = [line for line in broker.logged if line[1] == "admin request failed"]
    logging.getLogger("mqttbroker").setLevel(level)
    assert errors == []


class TestRequests:
    @pytest.mark.parametrize("label", OPERATIONS)
    async def test_right_ones(self, house: House, label: str) -> None:
        await send(house, label, GenerationMode.POSITIVE, CHECKS)
        if not label.startswith("GET "):
            entry = house.call("GET", "/audit")["entries"][0]
            assert entry["action"] == described(label)["operationId"]
            assert entry["who"] == ("" if label.endswith("/login") else "schema")

    @pytest.mark.parametrize("label", REFUSING)
    async def test_wrong_ones(self, house: House, label: str) -> None:
        await send(house, label, GenerationMode.NEGATIVE, [*CHECKS, negative_data_rejection])


async def send(house: House, label: str, mode: GenerationMode, checks: list[CheckFunction]) -> None:
    """Call one operation many times, and look at each answer."""
    operation = OPERATIONS[label]
    async with house.furnished() as there:

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def one(case: Case[Any], data: st.DataObject) -> None:
            for name in case.path_parameters or ():
                # Most of what is made up is not there, and its answers are all alike.
                if name in there and data.draw(st.booleans()):
                    case.path_parameters[name] = data.draw(st.sampled_from(there[name]))
            if media_types(label) <= {JSON}:
                answer = case.call(base_url=house.url, session=house.http, timeout=TIMEOUT)
                # Too long is refused as well as anything: schemathesis does not count it.
                case.validate_response(answer, checks=checks if answer.status_code != 413 else CHECKS)
            else:
                follow(house, case, media_types(label), checks)

        one()


def follow(house: House, case: Case[Any], kinds: set[str], checks: list[CheckFunction]) -> None:
    """Call an operation whose answer may have no end, and look at its beginning."""
    request = case.as_transport_kwargs(base_url=house.url)
    with house.http.request(**request, timeout=TIMEOUT, stream=True) as answer:
        if answer.ok:
            assert answer.headers["Content-Type"].partition(";")[0] in kinds
        else:
            case.validate_response(answer, checks=checks)


class TestDescription:
    @pytest.mark.parametrize("label", OPERATIONS)
    def test_says_all_that_is_to_be_known(self, label: str) -> None:
        operation = described(label)
        assert operation["summary"]
        (tag,) = operation["tags"]
        assert tag in {each["name"] for each in DESCRIPTION["tags"]}
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        assert any(status.startswith("2") for status in operation["responses"])

    def test_of_what_goes_wrong(self) -> None:
        assert list(DESCRIPTION["components"]["responses"]["Problem"]["content"]) == [PROBLEM_TYPE]

    def test_has_every_operation(self) -> None:
        listed = {f"{each.method} {each.path}" for each in endpoints()}
        assert listed == set(OPERATIONS)
