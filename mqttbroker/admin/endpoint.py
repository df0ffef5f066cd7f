"""The one way to declare what the HTTP API can do.

An endpoint is an ``async`` function with a decorator, and its annotations say the rest::

    class ClientQuery(Input):
        after: str | None = None
        limit: Annotated[int, Meta(ge=1, le=1000)] = 100

    @endpoint("GET", "/api/v1/clients", role="viewer", tag="clients", summary="Who is connected")
    async def clients(call: Call[ClientQuery, None]) -> ClientPage: ...

* ``Call[Query, Body]``: the types of the query and of the JSON body, ``None`` where there is none. Unknown keys in the
  query are refused; in a body too, where its type derives from :class:`Input`.
* It returns a ``Struct`` (200, as JSON), a list of them, ``None`` (204), or a Starlette ``Response`` as it stands, for
  which ``media_type`` says in the description what it is.
* What is wrong is raised as a :class:`~mqttbroker.admin.problems.Problem`.
* A parameter of the path, ``{client_id}``, is one segment, and may hold everything, a slash (``%2F``) too:
  ``call.path["client_id"]``.
* Whatever is not GET is a change: it is written to the audit log with who asked for it and what came of it. The
  endpoint adds the state around it with :meth:`Call.changed`.

``collect(module)`` finds the endpoints of a module; ``app.py`` has the list of modules.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from mqttbroker.admin.turns import Turns

if TYPE_CHECKING:
    from mqttbroker.admin.context import Context

__all__ = ["PREFIX", "Call", "Endpoint", "Input", "Method", "Output", "Role", "Who", "allows", "collect", "endpoint"]

PREFIX: Final = "/api/v1"

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Role = Literal["viewer", "admin"]
"""``viewer`` may see everything, ``admin`` may change it too."""

Query = TypeVar("Query")
Body = TypeVar("Body")
Returned = TypeVar("Returned")


class Input(Struct, forbid_unknown_fields=True):
    """What comes from outside: a query or a body."""


class Output(Struct):
    """What is answered."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks."""

    name: str
    role: Role
    by: Literal["session", "token"]
    key: str = ""
    """What names the session or token among all others; no secret."""


@dataclass(slots=True)
class Call(Generic[Query, Body]):
    """One request, when it has been let through and understood."""

    context: Context
    """The running broker and what belongs to the server."""
    who: Who | None
    """``None`` only at endpoints for everybody."""
    path: dict[str, str]
    """The parameters of the path, decoded."""
    query: Query
    body: Body
    headers: dict[str, str]
    """By name in lower case."""
    address: str
    """Where the request came from."""
    secure: bool = False
    """Whether it came over TLS."""
    turns: Turns = field(default_factory=Turns)
    """For work that is done a part at a time: let others have their turns in between."""
    before: object = None
    after: object = None
    set_headers: list[tuple[str, str]] = field(default_factory=list)
    """Further headers of the answer."""

    def changed(self, before: object = None, after: object = None) -> None:
        """Give the audit log what was there before a change and after it: whatever msgspec can write, no secrets."""
        self.before, self.after = before, after


Handler = Callable[[Call[Any, Any]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: Method
    path: str
    role: Role | None
    tag: str
    summary: str
    handler: Handler
    query: type[Struct] | None
    body: Any
    returns: Any
    status: int
    media_type: str
    max_body: int
    secrets: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the operation in the description and the audit log."""
        return self.handler.__name__

    @property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.handler) or ""

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"


def endpoint(
    method: Method,
    path: str,
    *,
    role: Role | None,
    tag: str,
    summary: str,
    status: int = 200,
    media_type: str = "application/json",
    max_body: int = 1_048_576,
    secrets: tuple[str, ...] = (),
) -> Callable[[Callable[[Call[Query, Body]], Awaitable[Returned]]], Endpoint]:
    """Make an endpoint of a function.

    ``role`` is the least that the caller must have, ``None`` lets in everybody. ``max_body`` is in bytes. ``secrets``
    are fields of the body that the audit log leaves out. Raises ``TypeError`` for a function that it cannot understand.
    """

    def declare(handler: Callable[[Call[Query, Body]], Awaitable[Returned]]) -> Endpoint:
        hints = get_type_hints(handler, include_extras=True)
        returns = hints.pop("return")
        (taken,) = hints.values()
        query, body = (None if each is type(None) else each for each in get_args(taken))
        if query is not None and not issubclass(query, Struct):
            raise TypeError(f"{path}: expected a Struct for the query")
        empty = returns is type(None)
        return Endpoint(
            method=method,
            path=path,
            role=role,
            tag=tag,
            summary=summary,
            handler=handler,
            query=query,
            body=body,
            returns=None if empty else returns,
            status=204 if empty else status,
            media_type=media_type,
            max_body=max_body,
            secrets=secrets,
        )

    return declare


def collect(modules: Iterable[ModuleType]) -> list[Endpoint]:
    """The endpoints that modules declare, in the order in which they stand there."""
    return [each for module in modules for each in vars(module).values() if isinstance(each, Endpoint)]


def allows(role: Role, needed: Role) -> bool:
    """Whether somebody with ``role`` may do what ``needed`` may."""
    return role in ("admin", needed)


def query_type(kind: type[Struct]) -> dict[str, bool]:
    """Which keys a query may have, and whether they may be given more than once: those that hold lists."""
    fields = msgspec.structs.fields(kind)
    return {each.encode_name: _holds_list(each.type) for each in fields}


def _holds_list(kind: Any) -> bool:
    found = msgspec.inspect.type_info(kind)
    if isinstance(found, msgspec.inspect.Metadata):
        found = found.type
    return isinstance(found, msgspec.inspect.ListType | msgspec.inspect.VarTupleType)
