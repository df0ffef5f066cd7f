"""What is wrong with a request, as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from msgspec import UNSET, Struct, UnsetType

__all__ = ["PROBLEM_TYPE", "Problem", "ProblemBody", "bad_request", "conflict", "not_found"]

PROBLEM_TYPE: Final = "application/problem+json"


class ProblemBody(Struct, frozen=True, kw_only=True):
    """Why a request was not done."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | UnsetType = UNSET
    """Which part of the query or of the body is meant, as a path: ``$.messages[0].qos``."""


class Problem(Exception):
    """A request cannot be done: the status, and what the person can do about it.

    ``detail`` is shown to the caller, so that it holds nothing that the caller may not know.
    """

    def __init__(
        self, status: int, detail: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.status: int = status
        self.detail: str = detail
        self.field: str | None = field
        self.headers: dict[str, str] = headers or {}
        super().__init__(f"{status}: {detail}")

    def body(self) -> ProblemBody:
        """What is sent."""
        title = HTTPStatus(self.status).phrase
        return ProblemBody(
            title=title, status=self.status, detail=self.detail, field=UNSET if self.field is None else self.field
        )


def bad_request(detail: str, field: str | None = None) -> Problem:
    """400: the request itself is wrong."""
    return Problem(400, detail, field=field)


def not_found(what: str) -> Problem:
    """404: ``what`` is not there."""
    return Problem(404, f"there is no {what}")


def conflict(detail: str) -> Problem:
    """409: it cannot be done as things stand."""
    return Problem(409, detail)
