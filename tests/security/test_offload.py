"""Work in threads, results in the event loop."""

from __future__ import annotations

import asyncio
import threading

from argon2 import PasswordHasher

from mqttbroker.broker.authority import Accepted, Credentials, Verdict
from mqttbroker.security import PasswordAuthenticator, PasswordFile, ThreadOffload

TIMEOUT = 10.0


async def test_result_comes_back_in_the_loops_thread() -> None:
    loop = asyncio.get_running_loop()
    offload = ThreadOffload(loop)
    threads: list[int] = []
    result: asyncio.Future[bool | Exception] = loop.create_future()

    def work() -> bool:
        threads.append(threading.get_ident())
        return True

    def done(outcome: bool | Exception) -> None:
        threads.append(threading.get_ident())
        result.set_result(outcome)

    offload(work, done)
    assert await asyncio.wait_for(result, TIMEOUT) is True
    offload.close()
    assert threads[0] != threading.get_ident()
    assert threads[1] == threading.get_ident()


async def test_exception_comes_back_as_a_result() -> None:
    loop = asyncio.get_running_loop()
    offload = ThreadOffload(loop)
    result: asyncio.Future[bool | Exception] = loop.create_future()
    error = ValueError("no")

    def work() -> bool:
        raise error

    offload(work, result.set_result)
    assert await asyncio.wait_for(result, TIMEOUT) is error
    offload.close()


async def test_work_is_spread_over_a_few_threads() -> None:
    loop = asyncio.get_running_loop()
    offload = ThreadOffload(loop, max_workers=2)
    both = threading.Barrier(2)
    results: asyncio.Queue[bool | Exception] = asyncio.Queue()

    def work() -> bool:
        both.wait(TIMEOUT)
        return True

    for _ in range(4):
        offload(work, results.put_nowait)
    assert [await asyncio.wait_for(results.get(), TIMEOUT) for _ in range(4)] == [True] * 4
    offload.close()


async def test_close_gives_up_what_has_not_begun_and_says_so() -> None:
    loop = asyncio.get_running_loop()
    offload = ThreadOffload(loop, max_workers=1)
    begun, go_on = threading.Event(), threading.Event()
    slow_result: asyncio.Future[bool | Exception] = loop.create_future()
    given_up: list[bool | Exception] = []

    def slow() -> bool:
        begun.set()
        return go_on.wait(TIMEOUT)

    def not_begun(outcome: bool | Exception) -> None:
        given_up.append(outcome)
        go_on.set()

    offload(slow, slow_result.set_result)
    assert await asyncio.to_thread(begun.wait, TIMEOUT)
    offload(lambda: True, not_begun)
    await asyncio.wait_for(asyncio.to_thread(offload.close), TIMEOUT)
    assert await asyncio.wait_for(slow_result, TIMEOUT) is True
    assert len(given_up) == 1
    assert isinstance(given_up[0], Exception)


async def test_work_after_the_end_is_done_with_an_exception() -> None:
    offload = ThreadOffload(asyncio.get_running_loop())
    offload.close()
    results: list[bool | Exception] = []
    offload(lambda: True, results.append)
    assert len(results) == 1
    assert isinstance(results[0], RuntimeError)


def test_result_after_the_loop_was_closed_is_dropped() -> None:
    loop = asyncio.new_event_loop()
    offload = ThreadOffload(loop)
    results: list[bool | Exception] = []
    loop.close()
    offload(lambda: True, results.append)
    offload.close()
    assert results == []


async def test_authenticator_with_threads() -> None:
    loop = asyncio.get_running_loop()
    offload = ThreadOffload(loop)
    passwords = PasswordFile(hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords.set("alice", b"secret")
    authenticator = PasswordAuthenticator(passwords, False, offload)
    verdict: asyncio.Future[Verdict] = loop.create_future()
    authenticator.authenticate(Credentials("c", "alice", b"secret"), verdict.set_result)
    assert await asyncio.wait_for(verdict, TIMEOUT) == Accepted("alice")
    offload.close()
