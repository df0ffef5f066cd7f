"""Logging in and out, accounts, and tokens for programs."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from mqttbroker.admin.accounts import Token
from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, Role, Who, endpoint
from mqttbroker.admin.login import COOKIE, LONGEST
from mqttbroker.admin.problems import Problem, bad_request, conflict, not_found

__all__ = [
    "change_password",
    "delete_account",
    "delete_token",
    "list_accounts",
    "list_tokens",
    "log_in",
    "log_out",
    "make_token",
    "me",
    "put_account",
    "session_state",
]

SHORTEST_PASSWORD: Final = 10

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Password = Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=256)]


class Credentials(Input):
    name: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=256)]


class Me(Output):
    """Who is asking."""

    name: str
    role: Role
    csrf_token: str | None
    """For X-CSRF-Token with every change; ``null`` for tokens, which need none."""


class SessionState(Output):
    """Whether somebody is logged in."""

    logged_in: bool
    me: Me | None
    """``null`` where nobody is."""


class NewPassword(Input):
    current: Annotated[str, Meta(max_length=256)]
    password: Password


class AccountView(Output):
    name: str
    role: Role


class Accounts(Output):
    accounts: list[AccountView]


class AccountSettings(Input):
    role: Role
    password: Password


class TokenRequest(Input):
    name: Name
    """What it is for; shown in the audit log."""
    role: Role = "viewer"
    lifetime: Annotated[int, Meta(ge=60, le=315_360_000)] | None = None
    """Seconds; ``null``: for ever."""


class TokenView(Output):
    id: str
    name: str
    role: Role
    created: float
    created_by: str
    expires: float | None


class Tokens(Output):
    tokens: list[TokenView]


class NewToken(Output):
    token: str
    """For ``Authorization: Bearer``; it cannot be shown again."""
    view: TokenView


def caller(call: Call[Any, Any]) -> Who:
    """Who asks, at an endpoint that is not for everybody."""
    assert call.who is not None
    return call.who


@endpoint(
    "POST",
    f"{PREFIX}/login",
    role=None,
    tag="access",
    summary="Log in",
    max_body=4_096,
    secrets=("password",),
)
async def log_in(call: Call[None, Credentials]) -> Me:
    """Gives a cookie, and the token that changes need in X-CSRF-Token. Tries are limited by address and by name."""
    context, name = call.context, call.body.name
    context.login.count_try(call.address, name)
    role = await context.offload(lambda: context.accounts.verify(name, call.body.password))
    if role is None:
        raise Problem(401, "the name or the password is wrong")
    context.login.forgive(call.address, name)
    session, secret = context.login.open(name)
    call.set_headers.append(("Set-Cookie", _cookie(secret, int(LONGEST), call.secure)))
    return Me(name=name, role=role, csrf_token=session.csrf)


@endpoint("POST", f"{PREFIX}/logout", role="viewer", tag="access", summary="Log out")
async def log_out(call: Call[None, None]) -> None:
    """Ends the session. Tokens stay."""
    call.context.login.close(call.headers)
    call.set_headers.append(("Set-Cookie", _cookie("", 0, call.secure)))


@endpoint("GET", f"{PREFIX}/session", role=None, tag="access", summary="Whether somebody is logged in")
async def session_state(call: Call[None, None]) -> SessionState:
    """For a page that does not know yet whether to ask for a password: nobody is no error here."""
    try:
        who = call.context.login.authenticate(call.headers)
    except Problem:
        return SessionState(logged_in=False, me=None)
    return SessionState(logged_in=True, me=_me(call, who))


@endpoint("GET", f"{PREFIX}/me", role="viewer", tag="access", summary="Who is asking")
async def me(call: Call[None, None]) -> Me:
    return _me(call, caller(call))


@endpoint(
    "PUT",
    f"{PREFIX}/me/password",
    role="viewer",
    tag="access",
    summary="Change one's own password",
    secrets=("current", "password"),
)
async def change_password(call: Call[None, NewPassword]) -> None:
    """Ends the other sessions of the account."""
    context, who = call.context, caller(call)
    if who.by != "session":
        raise conflict("a token has no password")
    context.login.count_try(call.address, who.name)
    if await context.offload(lambda: context.accounts.verify(who.name, call.body.current)) is None:
        raise Problem(403, "the current password is wrong")
    context.login.forgive(call.address, who.name)
    await _set_password(call, who.name, call.body.password, who.role)
    context.login.close_all(who.name, context.login.session(call.headers))


@endpoint("GET", f"{PREFIX}/accounts", role="admin", tag="access", summary="Who may log in")
async def list_accounts(call: Call[None, None]) -> Accounts:
    roles = call.context.accounts.roles
    return Accounts(accounts=[AccountView(name=name, role=role) for name, role in roles.items()])


@endpoint(
    "PUT",
    f"{PREFIX}/accounts/{{name}}",
    role="admin",
    tag="access",
    summary="Make an account, or give it another password and role",
    secrets=("password",),
)
async def put_account(call: Call[None, AccountSettings]) -> AccountView:
    """Ends the sessions of the account."""
    name, roles = call.path["name"], call.context.accounts.roles
    if len(name) > 64:
        raise bad_request("expected a name of at most 64 characters")
    if call.body.role != "admin" and [each for each, role in roles.items() if role == "admin"] == [name]:
        raise conflict("expected to keep an account with the role admin")
    await _set_password(call, name, call.body.password, call.body.role)
    call.context.login.close_all(name)
    call.changed({"role": roles.get(name)}, {"role": call.body.role})
    return AccountView(name=name, role=call.body.role)


@endpoint("DELETE", f"{PREFIX}/accounts/{{name}}", role="admin", tag="access", summary="Remove an account")
async def delete_account(call: Call[None, None]) -> None:
    """Ends its sessions, and removes the tokens that it has made."""
    context, name = call.context, call.path["name"]
    role = context.accounts.roles.get(name)
    if role is None:
        raise not_found(f"account {name!r}")
    try:
        context.accounts.delete(name)
    except ValueError as error:
        raise conflict(str(error)) from None
    context.login.close_all(name)
    call.changed({"role": role})
    await context.offload(context.accounts.save)


@endpoint("GET", f"{PREFIX}/tokens", role="admin", tag="access", summary="Tokens of programs")
async def list_tokens(call: Call[None, None]) -> Tokens:
    return Tokens(tokens=[_view(each) for each in call.context.accounts.tokens])


@endpoint("POST", f"{PREFIX}/tokens", role="admin", tag="access", summary="Make a token for a program", status=201)
async def make_token(call: Call[None, TokenRequest]) -> NewToken:
    """The answer has the token, which is not kept and cannot be shown again."""
    context, now = call.context, call.context.broker.now()
    expires = None if call.body.lifetime is None else now + call.body.lifetime
    try:
        token, secret = context.accounts.make_token(call.body.name, call.body.role, caller(call).name, now, expires)
    except ValueError as error:
        raise conflict(str(error)) from None
    await context.offload(context.accounts.save)
    view = _view(token)
    call.changed(after=view)
    return NewToken(token=secret, view=view)


@endpoint("DELETE", f"{PREFIX}/tokens/{{id}}", role="admin", tag="access", summary="Remove a token")
async def delete_token(call: Call[None, None]) -> None:
    token = call.context.accounts.delete_token(call.path["id"])
    if token is None:
        raise not_found("token of this id")
    call.changed(_view(token))
    await call.context.offload(call.context.accounts.save)


def _me(call: Call[None, None], who: Who) -> Me:
    session = call.context.login.session(call.headers) if who.by == "session" else None
    return Me(name=who.name, role=who.role, csrf_token=None if session is None else session.csrf)


async def _set_password(call: Call[None, Any], name: str, password: str, role: Role) -> None:
    accounts = call.context.accounts

    def work() -> None:
        accounts.set_password(name, password, role)
        accounts.save()

    try:
        await call.context.offload(work)
    except ValueError as error:
        raise bad_request(str(error)) from None


def _cookie(value: str, lifetime: int, secure: bool) -> str:
    cookie = f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lifetime}"
    return f"{cookie}; Secure" if secure else cookie


def _view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        role=token.role,
        created=token.created,
        created_by=token.created_by,
        expires=token.expires,
    )
