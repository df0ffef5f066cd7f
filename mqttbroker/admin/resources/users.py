"""Users of MQTT: who may connect with which password. Hashes are never shown."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mqttbroker.access import DEFAULT, AccessSet
from mqttbroker.admin.access_sets import editing_users, holds_for, named_set
from mqttbroker.admin.context import Context
from mqttbroker.admin.effects import every
from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, endpoint
from mqttbroker.admin.ids import path_id, session_id
from mqttbroker.admin.problems import bad_request, conflict, not_found
from mqttbroker.admin.resources.paging import in_turns
from mqttbroker.broker import Connection
from mqttbroker.config import ConfigError, check_exposure, is_there
from mqttbroker.files import sync_directory
from mqttbroker.protocol import ReasonCode
from mqttbroker.security import PasswordFile, SecurityError

__all__ = ["add_user", "delete_user", "set_user_password", "user", "users"]

Set = Annotated[str, Meta(description="Which password file: ``id`` of one of ``GET /access``.")]
Name = Annotated[str, Meta(min_length=1, max_length=1_024)]
Password = Annotated[str, Meta(min_length=1, max_length=1_024)]
Cut = Annotated[bool, Meta(description="Disconnect the clients that are there by this name.")]


class UsersQuery(Input):
    """Which users."""

    set: Set = DEFAULT
    search: Annotated[str, Meta(max_length=256, description="Part of the name.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Entries on a page, at most.")] = 100
    after: Annotated[str | None, Meta(description="``next`` of the page before; none for the first page.")] = None


class SetQuery(Input):
    """Which users."""

    set: Set = DEFAULT


class DeleteUserQuery(Input):
    """How to remove a user."""

    set: Set = DEFAULT
    disconnect: Cut = True
    open: Annotated[
        bool,
        Meta(description="Remove the last user as well, after which nobody is asked for a password any more."),
    ] = False


class UserView(Output):
    """A user."""

    id: Annotated[str, Meta(description="What stands for the user in paths.")]
    name: str
    connected: Annotated[int, Meta(description="Clients that are connected by this name.")]


class UserPage(Output):
    """Users by name."""

    items: list[UserView]
    next: Annotated[str | None, Meta(description="``after`` of the next page; null on the last one.")]
    total: Annotated[int, Meta(description="Users of the whole file.")]


class NewUser(Input):
    """A user to be added."""

    name: Name
    password: Password


class NewUserPassword(Input):
    """Another password."""

    password: Password
    disconnect: Cut = True


class UserChanged(Output):
    """What was done, and what follows from it."""

    disconnected: Annotated[int, Meta(description="Connections that were ended.")]
    warnings: list[str]


@endpoint("GET", f"{PREFIX}/users", role="admin", tag="users", summary="Users of MQTT")
async def users(call: Call[UsersQuery, None]) -> UserPage:
    """By name. There are none where there is no password file yet."""
    query = call.query
    found = _in_force(call.context, query.set)
    wanted = query.search.casefold()
    names = sorted(each for each in found or () if wanted in each.casefold())
    begin = 0 if query.after is None else bisect_right(names, query.after)
    page = names[begin : begin + query.limit]
    connected = await _connected(call.context, named_set(call.context.broker.access.user_sets, query.set), set(page))
    return UserPage(
        items=[UserView(id=path_id(each), name=each, connected=connected.get(each, 0)) for each in page],
        next=page[-1] if begin + query.limit < len(names) else None,
        total=0 if found is None else len(found),
    )


@endpoint("POST", f"{PREFIX}/users", role="admin", tag="users", summary="Add a user", status=201, secrets=("password",))
async def add_user(call: Call[SetQuery, NewUser]) -> UserChanged:
    """With the first user of a file in the data directory, clients need a password from now on; the answer says so. 409
    where there is a user of this name.
    """
    body, context = call.body, call.context
    of, path = editing_users(context.broker.access, call.query.set)
    first = context.broker.access.users(path) is None

    def add(found: PasswordFile) -> None:
        if body.name in found:
            raise conflict(f"there is a user {body.name!r} already")
        found.set(body.name, body.password.encode())

    await _edit(context, of, path, add)
    call.changed(after={"user": body.name, "set": of.id})
    return UserChanged(disconnected=0, warnings=_first_user(context, of) if first else [])


@endpoint("GET", f"{PREFIX}/users/{{name}}", role="admin", tag="users", summary="One user")
async def user(call: Call[SetQuery, None]) -> UserView:
    """Whether there is such a user."""
    name = session_id(call.path["name"])
    found = _in_force(call.context, call.query.set)
    if found is None or name not in found:
        raise not_found(f"user {name!r}")
    of = named_set(call.context.broker.access.user_sets, call.query.set)
    connected = await _connected(call.context, of, {name})
    return UserView(id=path_id(name), name=name, connected=connected.get(name, 0))


@endpoint(
    "PUT",
    f"{PREFIX}/users/{{name}}",
    role="admin",
    tag="users",
    summary="Change the password of a user",
    secrets=("password",),
)
async def set_user_password(call: Call[SetQuery, NewUserPassword]) -> UserChanged:
    """Clients that are connected by this name are disconnected with 0x98, unless ``disconnect`` is false: then they
    stay until they leave.
    """
    body, context, name = call.body, call.context, session_id(call.path["name"])
    of, path = editing_users(context.broker.access, call.query.set)

    def change(found: PasswordFile) -> None:
        if name not in found:
            raise not_found(f"user {name!r}")
        found.set(name, body.password.encode())

    await _edit(context, of, path, change)
    ended = 0
    if body.disconnect:
        ended = await _disconnect(context, of, name, ReasonCode.ADMINISTRATIVE_ACTION, "the password was changed")
    call.changed(after={"user": name, "set": of.id, "disconnected": ended})
    return UserChanged(disconnected=ended, warnings=[])


@endpoint("DELETE", f"{PREFIX}/users/{{name}}", role="admin", tag="users", summary="Remove a user")
async def delete_user(call: Call[DeleteUserQuery, None]) -> UserChanged:
    """Clients that are connected by this name are disconnected with 0x87, unless ``disconnect`` is false. The last user
    goes only with ``open``, and only where no stranger could come in then.
    """
    query, context, name = call.query, call.context, session_id(call.path["name"])
    of, path = editing_users(context.broker.access, query.set)

    def remove(found: PasswordFile) -> None:
        if name not in found:
            raise not_found(f"user {name!r}")
        if len(found) == 1:
            _check_last(context, of, query.open)
        found.delete(name)

    left = await _edit(context, of, path, remove)
    ended = 0
    if query.disconnect:
        ended = await _disconnect(context, of, name, ReasonCode.NOT_AUTHORIZED, "the user was removed")
    call.changed(before={"user": name, "set": of.id}, after={"disconnected": ended, "users": left})
    warnings = [] if left else ["there are no users any more: nobody is asked for a password"]
    return UserChanged(disconnected=ended, warnings=warnings)


def _in_force(context: Context, id: str) -> PasswordFile | None:
    access = context.broker.access
    of = named_set(access.user_sets, id)
    return None if of.path is None else access.users(of.path)


async def _edit(context: Context, of: AccessSet, path: Path, change: Callable[[PasswordFile], None]) -> int:
    """Change a password file as it is now on disk, then put it into force. The number of its users."""

    def work() -> PasswordFile:
        if of.managed and not is_there(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = PasswordFile(path)
        else:
            found = PasswordFile.load(path, allow_empty=of.managed)
        change(found)
        if len(found):
            found.save()
        else:
            path.unlink()
        sync_directory(path.parent)
        return found

    try:
        found = await context.offload(work)
    except ValueError as error:
        raise bad_request(str(error), "$.name") from error
    except SecurityError as error:
        raise conflict(str(error)) from error
    except OSError as error:
        raise conflict(f"{path}: cannot be written: {error.strerror}") from error
    context.broker.access.put_users(path, found if len(found) else None)
    context.broker.core.rules_changed()
    return len(found)


def _check_last(context: Context, of: AccessSet, may_open: bool) -> None:
    if not of.managed:
        raise conflict("it is the last user; the configuration names the file, which must have at least one")
    if not may_open:
        raise conflict("it is the last user; without any, nobody is asked for a password (open=true)")
    try:
        check_exposure(context.broker.config, managed=False)
    except ConfigError as error:
        raise conflict(f"it is the last user, and without any: {error}") from error


def _first_user(context: Context, of: AccessSet) -> list[str]:
    """What it means that there are users now."""
    access = context.broker.access
    listeners = holds_for(of, context.broker.config.listeners)
    closed = [each.name for each in listeners if not access.security(each).anonymous]
    warnings = []
    if closed:
        warnings.append(
            f"this is the first user: clients without a user name cannot connect any more at {', '.join(closed)}; "
            "those that are connected stay until they leave"
        )
    if any(access.security(each).acl_file is None for each in listeners):
        warnings.append("there are no rules: with users and without rules nobody may publish or subscribe")
    return warnings


async def _connected(context: Context, of: AccessSet, names: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}

    def look(connection: Connection) -> None:
        identity = connection.identity
        if identity.username in names and identity.username is not None and identity.listener in of.listeners:
            found[identity.username] = found.get(identity.username, 0) + 1

    await every(context.broker.core, look)
    return found


async def _disconnect(context: Context, of: AccessSet, name: str, code: ReasonCode, reason: str) -> int:
    ended = 0
    async for part in in_turns(lambda: context.steering.disconnect_user(name, of.listeners, code, reason)):
        if part is not None:
            ended += part.count
    context.broker.flush_soon()
    return ended
