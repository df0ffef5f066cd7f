"""Who is let in: sessions, tokens, roles, and how often somebody may try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mqttbroker.admin.endpoint import Endpoint
from mqttbroker.admin.login import COOKIE, IDLE, TRIES
from mqttbroker.admin.server import endpoints
from tests.admin.console import Console, console

OPEN = {"log_in", "session_state", "health", "readiness"}


def anywhere(endpoint: Endpoint) -> str:
    """The path with something in the place of its parameters."""
    return "/".join("x" if part.startswith("{") else part for part in endpoint.path.split("/"))


class TestStrangers:
    def test_only_these_are_for_everybody(self) -> None:
        assert {each.name for each in endpoints() if each.role is None} <= OPEN

    async def test_every_path_is_401(self) -> None:
        async with console(log_in=False) as somebody:
            for each in endpoints():
                if each.role is not None:
                    response = await somebody.http.request(each.method, anywhere(each))
                    assert response.status_code == 401, each.path
                    assert response.headers["Content-Type"] == "application/problem+json"

    async def test_a_path_that_is_not_there_is_401_too(self) -> None:
        async with console(log_in=False) as somebody:
            assert (await somebody.http.get("/api/v1/nothing")).status_code == 401
            assert (await somebody.http.put("/api/v1/broker")).status_code == 401
            assert (await somebody.http.get("/nothing")).status_code == 404

    @pytest.mark.parametrize("authorization", ["Bearer", "Bearer x", "Basic YWRtaW46eA==", "bearer mqb_", "\x7f"])
    async def test_what_is_no_token(self, authorization: str) -> None:
        async with console() as somebody:
            # A session that is there makes a wrong token no better.
            headers = {"Authorization": authorization}
            assert (await somebody.http.get("/api/v1/me", headers=headers)).status_code == 401

    async def test_asking_who_one_is_is_no_error(self) -> None:
        async with console(log_in=False) as somebody:
            nobody = {"logged_in": False, "me": None}
            assert await somebody.get("/api/v1/session") == nobody
            assert await somebody.get("/api/v1/session", headers={"Authorization": "Bearer x"}) == nobody
            me = (await somebody.log_in()).json()
            assert await somebody.get("/api/v1/session") == {"logged_in": True, "me": me}


class TestPasswords:
    async def test_a_session(self) -> None:
        async with console(log_in=False) as somebody:
            response = await somebody.log_in()
            assert response.json() == {"name": "admin", "role": "admin", "csrf_token": response.json()["csrf_token"]}
            cookie = response.headers["Set-Cookie"]
            assert cookie.startswith(f"{COOKIE}=")
            assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
            assert await somebody.get("/api/v1/me") == response.json()

    @pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("nobody", "wrong"), ("", ""), ("admin", "")])
    async def test_a_wrong_one(self, name: str, password: str) -> None:
        async with console(log_in=False) as somebody:
            response = await somebody.log_in(name, password)
            assert response.status_code == 401
            assert response.json()["detail"] == "the name or the password is wrong"
            assert "Set-Cookie" not in response.headers

    async def test_a_session_ends_with_its_log_out(self) -> None:
        async with console() as somebody:
            cookie = somebody.http.cookies[COOKIE]
            assert (await somebody.http.post("/api/v1/logout")).status_code == 204
            headers = {"Cookie": f"{COOKIE}={cookie}"}
            assert (await somebody.http.get("/api/v1/me", headers=headers)).status_code == 401

    async def test_a_session_ends_when_nobody_uses_it(self) -> None:
        async with console() as somebody:
            somebody.broker.advance_clock(IDLE + 1.0)
            assert (await somebody.http.get("/api/v1/me")).status_code == 401

    async def test_tries_are_limited(self) -> None:
        async with console(log_in=False) as somebody:
            for _ in range(TRIES):
                assert (await somebody.log_in("admin", "wrong")).status_code == 401
            response = await somebody.log_in()
            assert response.status_code == 429
            seconds = float(response.headers["Retry-After"])
            assert 0.0 < seconds <= 10.0
            somebody.broker.advance_clock(seconds)
            assert (await somebody.log_in()).status_code == 200

    async def test_a_new_password_ends_other_sessions(self) -> None:
        async with console() as somebody:
            cookie = somebody.http.cookies[COOKIE]
            await somebody.log_in()
            body = {"current": somebody.password, "password": "something longer"}
            assert (await somebody.http.put("/api/v1/me/password", json=body)).status_code == 204
            await somebody.get("/api/v1/me")
            somebody.http.cookies.clear()
            headers = {"Cookie": f"{COOKIE}={cookie}"}
            assert (await somebody.http.get("/api/v1/me", headers=headers)).status_code == 401
            assert (await somebody.log_in()).status_code == 401
            assert (await somebody.log_in("admin", "something longer")).status_code == 200

    async def test_a_new_password_needs_the_old_one(self) -> None:
        async with console() as somebody:
            body = {"current": "wrong", "password": "something longer"}
            assert (await somebody.http.put("/api/v1/me/password", json=body)).status_code == 403


class TestForgery:
    """A page of another site makes a browser send a request, with the cookie."""

    @pytest.mark.parametrize("token", [None, "", "x", "\xff"])
    async def test_a_change_needs_the_token(self, token: str | None) -> None:
        async with console() as somebody:
            right = somebody.http.headers.pop("X-CSRF-Token")
            headers = {} if token is None else {"X-CSRF-Token": token.encode("latin-1")}
            response = await somebody.http.put("/api/v1/log", json={"level": "info"}, headers=headers)  # type: ignore[arg-type]  # Bytes may be what text may not.
            assert response.status_code == 403
            response = await somebody.http.put("/api/v1/log", json={"level": "info"}, headers={"X-CSRF-Token": right})
            assert response.status_code == 200

    async def test_a_form_is_no_json(self) -> None:
        async with console() as somebody:
            headers = {"Content-Type": "text/plain"}
            response = await somebody.http.put("/api/v1/log", content=b'{"level": "info"}', headers=headers)
            assert response.status_code == 415


class TestAccounts:
    async def test_a_viewer_sees_and_changes_nothing(self) -> None:
        async with console() as somebody:
            await add(somebody, "eve", "viewer")
            await somebody.log_in("eve", "something long")
            assert (await somebody.get("/api/v1/me"))["role"] == "viewer"
            await somebody.get("/api/v1/broker")
            for each in endpoints():
                if each.role == "admin":
                    response = await somebody.http.request(each.method, anywhere(each))
                    assert response.status_code == 403, each.path

    async def test_a_change_ends_the_sessions(self) -> None:
        async with console() as somebody:
            await add(somebody, "eve", "viewer")
            cookie = (await somebody.log_in("eve", "something long")).cookies[COOKIE]
            await somebody.log_in()
            assert (await somebody.http.delete("/api/v1/accounts/eve")).status_code == 204
            somebody.http.cookies.clear()
            headers = {"Cookie": f"{COOKIE}={cookie}"}
            assert (await somebody.http.get("/api/v1/me", headers=headers)).status_code == 401

    async def test_the_last_admin_stays(self) -> None:
        async with console() as somebody:
            assert (await somebody.http.delete("/api/v1/accounts/admin")).status_code == 409
            body = {"role": "viewer", "password": "something long"}
            assert (await somebody.http.put("/api/v1/accounts/admin", json=body)).status_code == 409
            assert await somebody.get("/api/v1/accounts") == {"accounts": [{"name": "admin", "role": "admin"}]}

    @pytest.mark.parametrize("name", ["a:b", "%23x", "%20", "a%0Ab", "x" * 65])
    async def test_names_that_cannot_be(self, name: str) -> None:
        async with console() as somebody:
            body = {"role": "viewer", "password": "something long"}
            assert (await somebody.http.put(f"/api/v1/accounts/{name}", json=body)).status_code == 400

    async def test_a_name_with_a_slash(self) -> None:
        async with console() as somebody:
            await add(somebody, "a%2Fb", "viewer")
            assert (await somebody.log_in("a/b", "something long")).status_code == 200


class TestTokens:
    async def test_a_token(self, tmp_path: Path) -> None:
        async with console(accounts_file=tmp_path / "admin.json") as somebody:
            made = (await somebody.http.post("/api/v1/tokens", json={"name": "grafana"})).json()
            assert [each["id"] for each in (await somebody.get("/api/v1/tokens"))["tokens"]] == [made["view"]["id"]]
            # The file has enough to know it by, and not the token itself.
            assert made["token"] not in (tmp_path / "admin.json").read_text(encoding="utf-8")
            somebody.http.cookies.clear()
            somebody.http.headers["Authorization"] = f"Bearer {made['token']}"
            me = await somebody.get("/api/v1/me")
            assert me == {"name": "grafana", "role": "viewer", "csrf_token": None}

    async def test_a_token_needs_no_csrf_token(self) -> None:
        async with console() as somebody:
            await use_token(somebody, role="admin")
            assert (await somebody.http.put("/api/v1/log", json={"level": "info"})).status_code == 200

    async def test_a_token_runs_out(self) -> None:
        async with console() as somebody:
            await use_token(somebody, lifetime=60)
            await somebody.get("/api/v1/me")
            somebody.broker.advance_clock(61.0)
            assert (await somebody.http.get("/api/v1/me")).status_code == 401

    async def test_a_token_that_was_removed(self) -> None:
        async with console() as somebody:
            made = await use_token(somebody, role="admin")
            assert (await somebody.http.delete(f"/api/v1/tokens/{made['view']['id']}")).status_code == 204
            assert (await somebody.http.get("/api/v1/me")).status_code == 401

    async def test_one_that_is_not_there(self) -> None:
        async with console() as somebody:
            assert (await somebody.http.delete("/api/v1/tokens/none")).status_code == 404


async def add(somebody: Console, name: str, role: str) -> None:
    response = await somebody.http.put(f"/api/v1/accounts/{name}", json={"role": role, "password": "something long"})
    assert response.status_code == 200, response.text


async def use_token(somebody: Console, **settings: object) -> Any:
    """Make a token, and be nothing but that from now on."""
    made = (await somebody.http.post("/api/v1/tokens", json={"name": "program", **settings})).json()
    somebody.http.cookies.clear()
    del somebody.http.headers["X-CSRF-Token"]
    somebody.http.headers["Authorization"] = f"Bearer {made['token']}"
    return made
