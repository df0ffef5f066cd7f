"""What a request goes through on its way to an endpoint, and how an endpoint is declared."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any, cast

import httpx
import pytest
from msgspec import Meta
from starlette.responses import PlainTextResponse

from mqttbroker.admin.app import App
from mqttbroker.admin.context import Context
from mqttbroker.admin.endpoint import Call, Endpoint, Input, Output, Who, allows, collect, endpoint
from mqttbroker.admin.guard import Guard
from mqttbroker.admin.openapi import describe
from mqttbroker.admin.problems import Problem
from mqttbroker.admin.routes import Routes


class Things(Input):
    limit: Annotated[int, Meta(ge=1, le=10)] = 5
    kinds: tuple[str, ...] = ()
    name: str | None = None


class Thing(Input):
    size: int
    secret: str = ""


class Echo(Output):
    said: Any


@endpoint("GET", "/api/v1/things", role="viewer", tag="x", summary="x")
async def things(call: Call[Things, None]) -> Echo:
    """All of them."""
    return Echo(said=[call.query.limit, call.query.kinds, call.query.name])


@endpoint("GET", "/api/v1/things/{name}", role="viewer", tag="x", summary="x")
async def thing(call: Call[None, None]) -> Echo:
    return Echo(said=call.path["name"])


@endpoint("GET", "/api/v1/things/all", role="viewer", tag="x", summary="x")
async def every_thing(call: Call[None, None]) -> PlainTextResponse:
    return PlainTextResponse("all")


@endpoint("PUT", "/api/v1/things/{name}", role="admin", tag="x", summary="x", max_body=40, secrets=("secret",))
async def put_thing(call: Call[None, Thing]) -> None:
    call.changed({"size": 1}, {"size": call.body.size})
    if call.body.size < 0:
        raise Problem(409, "too small")
    if call.body.size > 100:
        raise RuntimeError("a secret of the inside")


class Everybody:
    """In the place of sessions and accounts: everybody is let in as ``role``."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.recorded: list[tuple[str, object, object, int]] = []
        self.logged: list[str] = []

    def authenticate(self, headers: object) -> Who:
        return Who("somebody", cast(Any, self.role), "token", "1")

    def check_csrf(self, who: Who, headers: object) -> None:
        pass

    async def record(self, called: Endpoint, call: Call[Any, Any], status: int) -> None:
        self.recorded.append((called.name, call.before, call.after, status))

    def log(self, level: str, event: str, /, **details: object) -> None:
        self.logged.append(event)


ALL = [things, thing, every_thing, put_thing]


def asking(everybody: Everybody) -> httpx.AsyncClient:
    context = cast(Context, SimpleNamespace(log=everybody.log, login=everybody, audit=everybody))
    app = App(context, Guard([]), ALL)
    transport = httpx.ASGITransport(cast(Any, app))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1")


class TestPath:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("things/a", "a"),
            ("things/a%2Fb", "a/b"),
            ("things/%2F", "/"),
            ("things/a%20b+c", "a b+c"),
            ("things/%C3%A4", "ä"),
            ("things/a%252Fb", "a%2Fb"),
            ("things/%3Cimg%3E", "<img>"),
        ],
    )
    async def test_a_parameter_is_one_segment(self, path: str, name: str) -> None:
        async with asking(Everybody("viewer")) as http:
            assert (await http.get(path)).json() == {"said": name}

    async def test_what_is_spelt_out_goes_first(self) -> None:
        async with asking(Everybody("viewer")) as http:
            assert (await http.get("things/all")).text == "all"

    @pytest.mark.parametrize("path", ["things/", "things/a/b", "nothing", "things/a/"])
    async def test_what_is_not_there(self, path: str) -> None:
        async with asking(Everybody("viewer")) as http:
            response = await http.get(path)
            assert response.status_code == 404
            assert response.json()["title"] == "Not Found"

    async def test_another_method(self) -> None:
        async with asking(Everybody("admin")) as http:
            response = await http.post("things/a")
            assert (response.status_code, response.headers["Allow"]) == (405, "GET, PUT")
            assert (await http.head("things/a")).status_code == 200

    def test_none_is_there_twice(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            Routes([things, replace(thing, path=things.path)])


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("", [5, [], None]),
            ("limit=7&kinds=a&kinds=b&name=c", [7, ["a", "b"], "c"]),
            ("name=", [5, [], ""]),
            ("name=%F0%9F%98%80", [5, [], "😀"]),
        ],
    )
    async def test_right(self, query: str, said: object) -> None:
        async with asking(Everybody("viewer")) as http:
            assert (await http.get(f"things?{query}")).json() == {"said": said}

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "$.limit"),
            ("limit=x", "$.limit"),
            ("limit=1e400", "$.limit"),
            ("limit=1&limit=2", "$.limit"),
            ("limits=1", "$.limits"),
            ("name=%FF", None),
            ("a=1&" * 101, None),
        ],
    )
    async def test_wrong(self, query: str, field: str | None) -> None:
        async with asking(Everybody("viewer")) as http:
            response = await http.get(f"things?{query}")
            assert response.status_code == 400
            assert response.headers["Content-Type"] == "application/problem+json"
            assert response.json().get("field") == field

    async def test_where_there_is_none(self) -> None:
        async with asking(Everybody("viewer")) as http:
            assert (await http.get("things/a?b=c")).status_code == 400


class TestBody:
    async def test_right(self) -> None:
        everybody = Everybody("admin")
        async with asking(everybody) as http:
            response = await http.put("things/a", json={"size": 2})
            assert (response.status_code, response.content) == (204, b"")
            assert everybody.recorded == [("put_thing", {"size": 1}, {"size": 2}, 204)]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"{", 400),
            (b"\xff", 400),
            (b'{"size": "2"}', 400),
            (b'{"size": 2, "more": 1}', 400),
            (b'{"size": 2, "secret": "' + b"x" * 40 + b'"}', 413),
        ],
    )
    async def test_wrong(self, body: bytes, status: int) -> None:
        everybody = Everybody("admin")
        async with asking(everybody) as http:
            response = await http.put("things/a", content=body, headers={"Content-Type": "application/json"})
            assert response.status_code == status
            assert everybody.recorded == []

    async def test_that_is_no_json(self) -> None:
        async with asking(Everybody("admin")) as http:
            response = await http.put("things/a", content=b'{"size": 2}')
            assert response.status_code == 415


class TestEnds:
    async def test_a_problem(self) -> None:
        everybody = Everybody("admin")
        async with asking(everybody) as http:
            response = await http.put("things/a", json={"size": -1})
            assert response.json() == {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "too small"}
            assert everybody.recorded[-1][-1] == 409

    async def test_a_mistake_of_our_own_tells_nothing(self) -> None:
        everybody = Everybody("admin")
        async with asking(everybody) as http:
            response = await http.put("things/a", json={"size": 101})
            assert response.status_code == 500
            assert "secret" not in response.text
            assert everybody.recorded[-1][-1] == 500
            assert everybody.logged == ["admin request failed"]

    async def test_the_role(self) -> None:
        everybody = Everybody("viewer")
        async with asking(everybody) as http:
            assert (await http.put("things/a", json={"size": 1})).status_code == 403
            assert everybody.recorded == []

    def test_an_admin_may_see(self) -> None:
        assert [allows("admin", "viewer"), allows("admin", "admin"), allows("viewer", "admin")] == [True, True, False]


class TestDeclaring:
    def test_a_module_has_its_endpoints(self) -> None:
        module = ModuleType("module")
        vars(module).update(a=things, b=put_thing, c=Thing)
        assert collect([module]) == [things, put_thing]

    def test_what_it_says(self) -> None:
        assert (things.name, things.description, things.changes) == ("things", "All of them.", False)
        assert (put_thing.status, put_thing.returns, put_thing.body) == (204, None, Thing)

    def test_a_query_that_is_none(self) -> None:
        async def wrong(call: Call[int, None]) -> None: ...

        with pytest.raises(TypeError, match="expected a Struct"):
            endpoint("GET", "/x", role=None, tag="x", summary="x")(wrong)

    def test_the_description(self) -> None:
        paths = describe(ALL)["paths"]
        listed = paths["/api/v1/things"]["get"]
        assert [each["name"] for each in listed["parameters"]] == ["limit", "kinds", "name"]
        assert listed["parameters"][0]["schema"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 5}
        put = paths["/api/v1/things/{name}"]["put"]
        assert put["parameters"] == [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
        assert put["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
        assert set(put["responses"]) == {"204", "default"}
        assert paths["/api/v1/things/all"]["get"]["responses"]["200"]["content"] == {
            "application/json": {"schema": {"type": "object"}}
        }
