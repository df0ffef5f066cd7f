"""Who is let in, without threads: the test decides when a check runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from argon2 import PasswordHasher

from mqttbroker.broker.authority import Accepted, Credentials, Refused, Verdict
from mqttbroker.protocol import ReasonCode
from mqttbroker.security import PasswordAuthenticator, PasswordFile

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

Done = Callable[[bool | Exception], None]


class Thread:
    """Stands for the other thread: keeps the work until it is told to run."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], bool], Done]] = []

    def __call__(self, work: Callable[[], bool], done: Done) -> None:
        self.work.append((work, done))

    def run(self) -> None:
        work, done = self.work.pop(0)
        try:
            result: bool | Exception = work()
        except Exception as error:
            result = error
        done(result)

    def finish(self, result: bool | Exception) -> None:
        """End the first piece of work with this result."""
        self.work.pop(0)[1](result)


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.fixture(scope="module")
def password_file() -> PasswordFile:
    passwords = PasswordFile(hasher=CHEAP)
    passwords.set("alice", b"secret")
    return passwords


@pytest.fixture
def authenticator(password_file: PasswordFile, thread: Thread) -> PasswordAuthenticator:
    return PasswordAuthenticator(password_file, False, thread, max_pending=2)


def verdicts(
    authenticator: PasswordAuthenticator, username: str | None, password: bytes | None, method: str | None = None
) -> list[Verdict]:
    """Ask, and return the list to which the verdict is or will be appended."""
    answers: list[Verdict] = []
    authenticator.authenticate(Credentials("c", username, password, method=method), answers.append)
    return answers


def reason(verdict: Verdict) -> ReasonCode:
    assert isinstance(verdict, Refused)
    return verdict.reason


def test_right_password(authenticator: PasswordAuthenticator, thread: Thread) -> None:
    answers = verdicts(authenticator, "alice", b"secret")
    assert answers == []
    assert authenticator.pending == 1
    thread.run()
    assert answers == [Accepted("alice")]
    assert authenticator.pending == 0


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("alice", b"wrong"),
        ("alice", b""),
        ("bob", b"secret"),
        ("", b"secret"),
        ("", b""),
        ("*", b""),
        ("anonymous", b""),
    ],
    ids=["wrong", "empty password", "unknown", "empty name", "both empty", "star", "reserved"],
)
@pytest.mark.parametrize("allow_anonymous", [False, True], ids=["closed", "open"])
def test_wrong_password_or_unknown_user(
    authenticator: PasswordAuthenticator, thread: Thread, username: str, password: bytes, allow_anonymous: bool
) -> None:
    authenticator.allow_anonymous = allow_anonymous
    answers = verdicts(authenticator, username, password)
    thread.run()
    assert [reason(answer) for answer in answers] == [ReasonCode.BAD_USER_NAME_OR_PASSWORD]


def test_unknown_user_is_checked_like_a_known_one(authenticator: PasswordAuthenticator, thread: Thread) -> None:
    """Neither the answer nor the way to it tells who exists."""
    known = verdicts(authenticator, "alice", b"wrong")
    unknown = verdicts(authenticator, "bob", b"wrong")
    assert len(thread.work) == 2
    thread.run()
    thread.run()
    assert reason(known[0]) == reason(unknown[0])


def test_detail_holds_no_password(authenticator: PasswordAuthenticator, thread: Thread) -> None:
    answers = verdicts(authenticator, "alice", b"wrong password")
    thread.run()
    assert isinstance(answers[0], Refused)
    assert "wrong password" not in answers[0].detail.replace("unknown user or wrong password", "")


@pytest.mark.parametrize("password", [None, b"secret"], ids=["no password", "password alone"])
def test_no_user_name(authenticator: PasswordAuthenticator, thread: Thread, password: bytes | None) -> None:
    assert [reason(answer) for answer in verdicts(authenticator, None, password)] == [ReasonCode.NOT_AUTHORIZED]
    authenticator.allow_anonymous = True
    assert verdicts(authenticator, None, password) == [Accepted(None)]
    assert thread.work == []


@pytest.mark.parametrize("allow_anonymous", [False, True], ids=["closed", "open"])
def test_user_name_without_password(
    authenticator: PasswordAuthenticator, thread: Thread, allow_anonymous: bool
) -> None:
    authenticator.allow_anonymous = allow_anonymous
    assert [reason(answer) for answer in verdicts(authenticator, "alice", None)] == [ReasonCode.NOT_AUTHORIZED]
    assert thread.work == []


@pytest.mark.parametrize("method", ["SCRAM-SHA-256", ""], ids=["named", "empty"])
def test_authentication_method_is_not_known(authenticator: PasswordAuthenticator, thread: Thread, method: str) -> None:
    authenticator.allow_anonymous = True
    for username, password in (("alice", b"secret"), (None, None)):
        answers = verdicts(authenticator, username, password, method)
        assert [reason(answer) for answer in answers] == [ReasonCode.BAD_AUTHENTICATION_METHOD]
    assert thread.work == []


def test_pending_checks_are_bounded(authenticator: PasswordAuthenticator, thread: Thread) -> None:
    waiting = [verdicts(authenticator, "alice", b"secret") for _ in range(2)]
    for name in ("alice", "bob"):
        assert [reason(answer) for answer in verdicts(authenticator, name, b"secret")] == [ReasonCode.SERVER_BUSY]
    thread.run()
    late = verdicts(authenticator, "alice", b"secret")
    thread.run()
    thread.run()
    assert [*waiting, late] == [[Accepted("alice")]] * 3
    assert authenticator.pending == 0


def test_anonymous_is_let_in_while_checks_are_pending(authenticator: PasswordAuthenticator) -> None:
    authenticator.allow_anonymous = True
    for _ in range(3):
        verdicts(authenticator, "alice", b"secret")
    assert verdicts(authenticator, None, None) == [Accepted(None)]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("shut down"), TimeoutError()], ids=repr)
def test_check_that_fails_is_a_refusal(authenticator: PasswordAuthenticator, thread: Thread, error: Exception) -> None:
    answers = verdicts(authenticator, "alice", b"secret")
    thread.finish(error)
    assert [reason(answer) for answer in answers] == [ReasonCode.UNSPECIFIED_ERROR]
    assert authenticator.pending == 0


def test_result_that_is_not_true_is_a_refusal(authenticator: PasswordAuthenticator, thread: Thread) -> None:
    answers = verdicts(authenticator, "alice", b"secret")
    thread.finish(1)  # type: ignore[arg-type]  # What a careless executor might say.
    assert [reason(answer) for answer in answers] == [ReasonCode.BAD_USER_NAME_OR_PASSWORD]


def test_password_file_may_be_replaced(authenticator: PasswordAuthenticator, thread: Thread) -> None:
    begun = verdicts(authenticator, "alice", b"secret")
    authenticator.password_file = PasswordFile(hasher=CHEAP)
    after = verdicts(authenticator, "alice", b"secret")
    thread.run()
    thread.run()
    # Whoever was removed does not come in any more, also where the password was being checked just then.
    for answers in (begun, after):
        assert [reason(answer) for answer in answers] == [ReasonCode.BAD_USER_NAME_OR_PASSWORD]


def test_who_has_the_same_password_after_a_replacement_comes_in(
    authenticator: PasswordAuthenticator, thread: Thread
) -> None:
    before = authenticator.password_file
    answers = verdicts(authenticator, "alice", b"secret")
    authenticator.password_file = PasswordFile.of({"alice": before.hash_of("alice")})
    thread.run()
    assert answers == [Accepted("alice")]
