"""However many look, the database is asked once in a while."""

from __future__ import annotations

import asyncio

import pytest

from streams.operators.page.query_cache import Busy, QueryCache, Unanswered


class Counted:
    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> object:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_many_who_look_at_once_and_soon_after_share_one_answer() -> None:
    now = 0.0
    shared, question = QueryCache(2, clock=lambda: now), Counted("first", "second")
    assert await asyncio.gather(*(shared.get("now", question) for _ in range(50))) == ["first"] * 50
    now = 1.9
    assert await shared.get("now", question) == "first"
    now = 2.0
    assert await shared.get("now", question) == "second"
    assert question.asked == 2


async def test_an_error_is_shared_too_and_soon_asked_anew() -> None:
    now = 0.0
    shared, question = QueryCache(2, clock=lambda: now), Counted(OSError("away"), "back")
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            await shared.get("now", question)
    assert question.asked == 1
    now = 2.0
    assert await shared.get("now", question) == "back"


async def test_a_slow_question_is_asked_seldom() -> None:
    now = 0.0
    shared, asked = QueryCache(2, clock=lambda: now), 0

    async def slow() -> int:
        nonlocal now, asked
        asked += 1
        now += 1
        return asked

    assert await shared.get("slow", slow) == 1
    now = 20.9
    assert await shared.get("slow", slow) == 1
    now = 21.0
    assert await shared.get("slow", slow) == 2


async def test_what_was_changed_is_asked_anew() -> None:
    shared, question = QueryCache(2), Counted("before", "after")
    assert await shared.get("list", question) == "before"
    shared.clear()
    assert await shared.get("list", question) == "after"


async def test_a_person_does_not_wait_for_long_and_no_more_than_some_ask_at_once() -> None:
    shared = QueryCache(2, concurrency=1, timeout=0.05)
    released, second = asyncio.Event(), Counted("answer")
    with pytest.raises(Unanswered):
        await shared.get("hangs", released.wait)
    with pytest.raises(Unanswered):
        await shared.get("behind it", second)
    assert second.asked == 0
    released.set()
    assert await shared.get("hangs", released.wait) is True
    assert await shared.get("behind it", second) == "answer"
    await shared.close()


async def test_no_more_than_some_answers_are_kept() -> None:
    shared, question = QueryCache(60, max_entries=2), Counted("an answer")
    for key in ("a", "b", "c", "b", "a"):
        await shared.get(key, question)
    assert question.asked == 4


async def test_m4_what_nobody_waits_for_any_more_is_not_asked() -> None:
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
    assert left.asked == 0
    await shared.close()


async def test_m4_what_one_waits_for_is_not_dropped_since_another_left() -> None:
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


async def test_m4_four_hundred_questions_of_one_person_are_answered_busy_and_others_go_on() -> None:
    """Promise 5. Broken by: one person's questions keep everybody's screens waiting."""
    shared, released = QueryCache(concurrency=3), asyncio.Event()
    asked = [asyncio.create_task(shared.get(number, released.wait, person="one")) for number in range(400)]
    await asyncio.sleep(0)
    assert len([each for each in asked if each.done() and isinstance(each.exception(), Busy)]) == 392
    assert await shared.get("now", Counted("answer"), person="another") == "answer", (
        "there is a place that is not theirs"
    )
    released.set()
    assert sum(each is True for each in await asyncio.gather(*asked, return_exceptions=True)) == 8
    assert await shared.get("later", Counted("answer"), person="one") == "answer"
    await shared.close()


async def test_m4_nor_can_many_fill_the_queue_without_end() -> None:
    shared, released = QueryCache(), asyncio.Event()
    asked = [asyncio.create_task(shared.get(n, released.wait, person=str(n % 100))) for n in range(400)]
    await asyncio.sleep(0)
    assert len([each for each in asked if not each.done()]) == 40
    released.set()
    await asyncio.gather(*asked, return_exceptions=True)
    await shared.close()
