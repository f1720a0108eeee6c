"""Tests that the database is queried once in a while, however many visitors there are."""

from __future__ import annotations

import asyncio

import pytest

from streams.operators.page.query_cache import Busy, QueryCache, Unanswered


class Counted:
    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.runs = 0

    async def __call__(self) -> object:
        self.runs += 1
        await asyncio.sleep(0)
        answer = self.answers[min(self.runs, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_concurrent_and_later_visitors_share_one_query() -> None:
    now = 0.0
    shared, question = QueryCache(2, clock=lambda: now), Counted("first", "second")
    assert await asyncio.gather(*(shared.get("now", question) for _ in range(50))) == ["first"] * 50
    now = 1.9
    assert await shared.get("now", question) == "first"
    now = 2.0
    assert await shared.get("now", question) == "second"
    assert question.runs == 2


async def test_an_error_is_shared_too_and_expires_soon() -> None:
    now = 0.0
    shared, question = QueryCache(2, clock=lambda: now), Counted(OSError("away"), "back")
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            await shared.get("now", question)
    assert question.runs == 1
    now = 2.0
    assert await shared.get("now", question) == "back"


async def test_a_slow_query_runs_less_often() -> None:
    now = 0.0
    shared, requests = QueryCache(2, clock=lambda: now), 0

    async def slow() -> int:
        nonlocal now, requests
        requests += 1
        now += 1
        return requests

    assert await shared.get("slow", slow) == 1
    now = 20.9
    assert await shared.get("slow", slow) == 1
    now = 21.0
    assert await shared.get("slow", slow) == 2


async def test_a_change_makes_the_cached_results_expire() -> None:
    shared, question = QueryCache(2), Counted("before", "after")
    assert await shared.get("list", question) == "before"
    shared.clear()
    assert await shared.get("list", question) == "after"


async def test_a_visitor_waits_only_briefly_and_few_queries_run_at_once() -> None:
    shared = QueryCache(2, concurrency=1, timeout=0.05)
    released, second = asyncio.Event(), Counted("answer")
    with pytest.raises(Unanswered):
        await shared.get("hangs", released.wait)
    with pytest.raises(Unanswered):
        await shared.get("behind it", second)
    assert second.runs == 0
    released.set()
    assert await shared.get("hangs", released.wait) is True
    assert await shared.get("behind it", second) == "answer"
    await shared.close()


async def test_the_number_of_cached_results_is_bounded() -> None:
    shared, question = QueryCache(60, max_entries=2), Counted("an answer")
    for key in ("a", "b", "c", "b", "a"):
        await shared.get(key, question)
    assert question.runs == 4


async def test_m4_a_query_that_nobody_waits_for_any_more_does_not_run() -> None:
    """Promise 5. Broken by: the database runs a query whose result nobody waits for any more."""
    shared, released, left = QueryCache(concurrency=1, timeout=0.05), asyncio.Event(), Counted("answer")
    hangs = asyncio.create_task(shared.get("hangs", released.wait))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Unanswered):
            await shared.get("behind it", left)
    gone = asyncio.create_task(shared.get("of one who goes", left))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(Unanswered):
        await hangs
    released.set()
    assert await shared.get("next", Counted("next")) == "next"
    assert left.runs == 0
    await shared.close()


async def test_m4_a_query_that_somebody_waits_for_runs_although_another_left() -> None:
    shared, released, question = QueryCache(concurrency=1), asyncio.Event(), Counted("answer")
    hangs = asyncio.create_task(shared.get("hangs", released.wait))
    first, second = (asyncio.create_task(shared.get("same", question)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    released.set()
    assert await second == "answer"
    assert await hangs is True
    await shared.close()


async def test_m4_hundreds_of_queries_of_one_person_do_not_delay_others() -> None:
    """Promise 5. Broken by: one person's questions keep everybody's screens waiting."""
    shared, released = QueryCache(concurrency=3), asyncio.Event()
    requests = [asyncio.create_task(shared.get(number, released.wait, person="one")) for number in range(400)]
    await asyncio.sleep(0)
    assert len([each for each in requests if each.done() and isinstance(each.exception(), Busy)]) == 392
    assert await shared.get("now", Counted("answer"), person="another") == "answer", (
        "there is a place that is not theirs"
    )
    released.set()
    assert sum(each is True for each in await asyncio.gather(*requests, return_exceptions=True)) == 8
    assert await shared.get("later", Counted("answer"), person="one") == "answer"
    await shared.close()


async def test_m4_many_persons_cannot_fill_the_queue_without_end() -> None:
    shared, released = QueryCache(), asyncio.Event()
    requests = [asyncio.create_task(shared.get(n, released.wait, person=str(n % 100))) for n in range(400)]
    await asyncio.sleep(0)
    assert len([each for each in requests if not each.done()]) == 40
    released.set()
    await asyncio.gather(*requests, return_exceptions=True)
    await shared.close()
