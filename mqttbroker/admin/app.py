"""The ASGI application: each request goes through the same steps, in this order.

1. Host and Origin (``guard.py``), 2. the console's files (``pages.py``), 3. who asks (``login.py``), 4. which endpoint
(``routes.py``), 5. whether the caller may, 6. query and body into their types, 7. the endpoint, 8. the audit log where
it was a change.

A stranger learns nothing of what is below ``/api/``: without a login everything there is 401, whether it exists or not.
A request that is not understood never reaches an endpoint. An endpoint that fails is logged, and answered with a 500
that tells nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mqttbroker.admin.context import Context
from mqttbroker.admin.endpoint import Call, Endpoint, Who, allows, query_type
from mqttbroker.admin.guard import Guard
from mqttbroker.admin.pages import Pages
from mqttbroker.admin.problems import PROBLEM_TYPE, Problem, bad_request
from mqttbroker.admin.routes import Routes
from mqttbroker.admin.turns import Turns

__all__ = ["App"]

BODY_TIMEOUT: Final = 30.0
"""Seconds in which the body of a request must have come."""
MOST_FIELDS: Final = 100
"""Fields in a query."""
# Where two of them differ, two readers of one request could take different ones.
_ONCE: Final = frozenset({"host", "origin", "authorization", "content-type", "content-length", "x-csrf-token"})

_encoder: Final = msgspec.json.Encoder()


class App:
    """One admin server's application."""

    def __init__(
        self, context: Context, guard: Guard, endpoints: Iterable[Endpoint], pages: Pages | None = None
    ) -> None:
        self.context: Context = context
        self.routes: Routes = Routes(endpoints)
        self._guard: Guard = guard
        self._pages: Pages = pages or Pages()
        self._turns = Turns(self._handled)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError("expected an HTTP request")
        request = _Request(scope, receive)
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = _problem(problem)
        except Exception as error:
            self.context.log("error", "admin request failed", path=scope["path"], exception=error)
            response = _problem(Problem(500, "the broker could not do this; its log says why"))
        for name, value in self._guard.headers(request.headers).items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        if request.has_unread_body:
            response.headers["Connection"] = "close"
        await response(scope, receive, send)

    def _handled(self) -> int:
        """Messages, received and sent."""
        core = self.context.broker.core
        return core.counters.messages_received + core.session_limits.messages_sent

    async def _answer(self, request: _Request) -> Response:
        request.check()
        self._guard.check(request.headers, request.scheme)
        accepted = request.headers.get("accept-encoding", "")
        page = self._pages.find(request.method, request.raw_path, accepted)
        if page is not None:
            return page
        who: Who | None = None
        try:
            endpoint, path = self.routes.find(request.method, request.raw_path)
        except Problem:
            if request.raw_path.startswith(b"/api/"):
                self.context.login.authenticate(request.headers)
            raise
        if endpoint.role is not None:
            who = self.context.login.authenticate(request.headers)
            if not allows(who.role, endpoint.role):
                raise Problem(403, f"this needs the role {endpoint.role}, and {who.name} has the role {who.role}")
            if endpoint.changes:
                self.context.login.check_csrf(who, request.headers)
            await self._turns.others()
        call = Call(
            context=self.context,
            who=who,
            path=path,
            query=_query(endpoint, request.query),
            body=await _body(endpoint, request),
            headers=request.headers,
            address=request.address,
            secure=request.scheme == "https",
            turns=self._turns,
        )
        return await self._run(endpoint, call)

    async def _run(self, endpoint: Endpoint, call: Call[Any, Any]) -> Response:
        status = 500
        try:
            result = await endpoint.handler(call)
            status = result.status_code if isinstance(result, Response) else endpoint.status
        except Problem as problem:
            status = problem.status
            raise
        finally:
            if endpoint.changes:
                await self.context.audit.record(endpoint, call, status)
        response = result if isinstance(result, Response) else _json(endpoint, result)
        for name, value in call.set_headers:
            response.headers.append(name, value)
        return response


class _Request:
    """One request, as far as it has been read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.raw_path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.scheme: str = scope["scheme"]
        client = scope.get("client")
        self.address: str = client[0] if client else ""
        self.headers: dict[str, str] = {}
        self.repeated: set[str] = set()
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name in self.headers:
                self.repeated.add(name)
                value = f"{self.headers[name]}{';' if name == 'cookie' else ','} {value}"
            self.headers[name] = value
        self._receive = receive
        announced = self.headers.get("content-length", "0")
        self.has_unread_body: bool = announced != "0" or "transfer-encoding" in self.headers

    def check(self) -> None:
        """Raise :class:`Problem` when a header is there twice that may be there once."""
        for name in self.repeated & _ONCE:
            raise bad_request(f"expected the header {name} once")

    async def body(self, limit: int) -> bytes:
        """Read the body. Raises :class:`Problem` when it is longer than ``limit`` bytes, or does not come."""
        announced = self.headers.get("content-length", "0")
        too_long = Problem(413, f"expected a body of at most {limit} bytes")
        if not announced.isdecimal() or len(announced) > 15 or int(announced) > limit:
            raise too_long
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while self.has_unread_body:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise bad_request("the body did not come")
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > limit:
                        raise too_long
                    self.has_unread_body = message.get("more_body", False)
        except TimeoutError:
            raise Problem(408, "the body did not come in time") from None
        return b"".join(chunks)


def _query(endpoint: Endpoint, raw: bytes) -> Any:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", encoding="utf-8", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise bad_request(f"expected a query of at most {MOST_FIELDS} fields in UTF-8") from None
    known = {} if endpoint.query is None else query_type(endpoint.query)
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name not in known:
            raise bad_request(f"expected one of these in the query: {', '.join(known) or 'nothing'}", f"$.{name}")
        if known[name]:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise bad_request("expected this once", f"$.{name}")
        else:
            values[name] = value
    if endpoint.query is None:
        return None
    try:
        return msgspec.convert(values, endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


async def _body(endpoint: Endpoint, request: _Request) -> Any:
    if endpoint.body is None:
        return None
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Problem(415, "expected a body with Content-Type: application/json")
    data = await request.body(endpoint.max_body)
    try:
        return msgspec.json.decode(data, type=endpoint.body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"expected JSON: {error}") from None


def _invalid(error: msgspec.ValidationError) -> Problem:
    detail, _, field = str(error).partition(" - at `")
    return bad_request(detail, field.rstrip("`") or None)


def _json(endpoint: Endpoint, result: object) -> Response:
    if endpoint.status == 204:
        return Response(status_code=204)
    return Response(_encoder.encode(result), endpoint.status, media_type="application/json")


def _problem(problem: Problem) -> Response:
    return Response(_encoder.encode(problem.body()), problem.status, problem.headers, PROBLEM_TYPE)
