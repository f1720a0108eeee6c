"""Tests that the judge finds each wrong world, and accepts the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.domain.document_status import Status
from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import SaleStatus, event_id, status_reason
from streams.local.simulator.ledger import Standing
from tests.harness.chaos.judge import LARGEST_MB, Evidence, Expected, Junk, Row, judge
from tests.harness.chaos.progress import LONGEST, Progress

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def published(
    id_: int, attempt: int, status: Status, national_id: str | None = None, code: Code | None = None
) -> SaleStatus:
    return SaleStatus(
        event_id=event_id("sale", "chain", id_, attempt, status),
        document="sale",
        source_database="chain",
        id=id_,
        attempt=attempt,
        local_invoice_id=f"HD-{id_}",
        pharmacy_code="01",
        shop_pharmacy_code="S",
        status=status,
        national_invoice_id=national_id,
        reason=status_reason(Reason(code)) if code else None,
        next_attempt_at=None,
        captured_at=NOW,
        decided_at=NOW,
    )


def row(id_: int, status: str, national_id: str | None = None, message: str | None = None) -> Row:
    return Row(id_, f"HD-{id_}", "01", status, national_id, message)


def stored(id_: int, national_id: str, *more: str, creates: int = 1, body: str = "body") -> Standing:
    return Standing("sale", "01", f"HD-{id_}", f"{body}-{id_}", creates, [national_id, *more])


def entry(status: SaleStatus, **more: Any) -> Mapping[str, Any]:
    document = status.model_dump()
    return {"_id": document.pop("event_id"), **document, **more}


WAITED = published(1, 1, "PENDING_SYNC", None, Code.TIMED_OUT)
ACCEPTED = published(1, 2, "SYNC_SUCCESS", "Q1")
REFUSED = published(2, 1, "SYNC_FAILED", None, Code.API_REFUSED)
WITHDRAWN = published(4, 3, "CANCELLED")
NOT_WITHDRAWN = published(5, 2, "CANCEL_FAILED", "Q5", Code.API_REFUSED)
OLDER = published(3, 4, "SYNC_FAILED", "Q3", Code.OLDER_VERSION_STORED)
OTHERS = (OLDER, WITHDRAWN, NOT_WITHDRAWN)
OTHER_FAILURES = (entry(OLDER), entry(NOT_WITHDRAWN))
RIGHT = Evidence(
    rows={
        1: row(1, "SYNC_SUCCESS", "Q1"),
        2: row(2, "SYNC_FAILED", None, "refused"),
        3: row(3, "SYNC_FAILED", "Q3", "an older version is held"),
        4: row(4, "CANCELLED"),
        5: row(5, "CANCEL_FAILED", "Q5", "not to be withdrawn"),
    },
    expected={
        1: Expected("SYNC_SUCCESS"),
        2: Expected("SYNC_FAILED"),
        3: Expected("SYNC_FAILED", stored=True),
        4: Expected("CANCELLED"),
        5: Expected(None),
    },
    stored={("01", f"HD-{id_}"): stored(id_, f"Q{id_}") for id_ in (1, 3, 5)},
    bodies={1: "body-1", 2: "body-2", 3: None, 4: "body-4", 5: "body-5"},
    published=[WAITED, ACCEPTED, ACCEPTED, REFUSED, *OTHERS],
    task_logs=[entry(status) for status in (WAITED, ACCEPTED, REFUSED, *OTHERS)],
    sync_failures=[entry(REFUSED, payload="{}"), *OTHER_FAILURES],
    junk={
        "junk-1": Junk("sale-status", True),
        "junk-2": Junk("changes", True),
        "junk-3": Junk("changes", False),
        "junk-4": Junk("sale-retry", None),
    },
    dead_letters=[("junk-1", "sale-status"), ("junk-1", "journal"), ("junk-2", "changes"), ("junk-2", "changes")],
)
LINE = "lost {}, wrong {}, twice {}, undecided {} of 5 sales; 7 faults of 5 kinds"


def test_the_judge_accepts_a_right_world() -> None:
    verdict = judge(RIGHT)
    assert verdict.right, verdict
    assert verdict.line(7, 5) == LINE.format(0, 0, 0, 0)


def without(entries: Any, status: SaleStatus) -> list[Any]:
    return [each for each in entries if each["_id"] != status.event_id]


def changed(**changes: Any) -> Callable[[], Evidence]:
    return lambda: replace(RIGHT, **changes)


def with_row(new: Row) -> Callable[[], Evidence]:
    return changed(rows={**RIGHT.rows, new.id: new})


def with_stored(id_: int, document: Standing | None) -> Callable[[], Evidence]:
    others = {key: each for key, each in RIGHT.stored.items() if key != ("01", f"HD-{id_}")}
    return changed(stored=others | ({("01", f"HD-{id_}"): document} if document else {}))


def with_published(status: SaleStatus) -> Callable[[], Evidence]:
    return changed(published=[*RIGHT.published, status], task_logs=[*RIGHT.task_logs, entry(status)])


WRONG_WORLDS: Mapping[str, tuple[Callable[[], Evidence], str]] = {
    "pending forever": (with_row(row(1, "PENDING_SYNC")), "undecided"),
    "a status that there is none of": (with_row(row(1, "SYNC")), "undecided"),
    "accepted, the row says failed": (with_row(row(1, "SYNC_FAILED", None, "refused")), "wrong"),
    "refused, the row says accepted": (with_row(row(2, "SYNC_SUCCESS", "Q2")), "lost"),
    "another id in the row": (with_row(row(1, "SYNC_SUCCESS", "Q9")), "wrong"),
    "no id in the row": (with_row(row(1, "SYNC_SUCCESS", None)), "wrong"),
    "failed without words": (with_row(row(2, "SYNC_FAILED")), "wrong"),
    "not held though accepted": (with_stored(1, None), "lost"),
    "held though refused": (with_stored(2, stored(2, "Q2")), "wrong"),
    "the older version is gone": (with_stored(3, None), "lost"),
    "two POSTs": (with_stored(1, stored(1, "Q1", creates=2)), "twice"),
    "two documents": (with_stored(1, stored(1, "Q0", "Q1")), "twice"),
    "two documents of a failed sale": (with_stored(3, stored(3, "Q0", "Q3")), "twice"),
    "an older version than the row's": (with_stored(1, stored(1, "Q1", body="older")), "wrong"),
    "held though withdrawn": (with_stored(4, stored(4, "Q4")), "wrong"),
    "not held though not withdrawn": (with_stored(5, None), "wrong"),
    "withdrawn, and an id in the row": (with_row(row(4, "CANCELLED", "Q4")), "wrong"),
    "sent instead of withdrawn": (with_row(row(4, "SYNC_SUCCESS", "Q4")), "wrong"),
    "not withdrawn, without words": (with_row(row(5, "CANCEL_FAILED", "Q5")), "wrong"),
    "waits for its withdrawal forever": (with_row(row(4, "PENDING_CANCEL")), "undecided"),
    "a failed withdrawal that the journal lacks": (
        changed(sync_failures=without(RIGHT.sync_failures, NOT_WITHDRAWN)),
        "lost",
    ),
    "another end than is right": (
        changed(expected={**RIGHT.expected, 2: Expected("SYNC_SUCCESS")}),
        "wrong",
    ),
    "never told": (changed(published=[status for status in RIGHT.published if status.id != 2]), "lost"),
    "told otherwise": (with_published(published(1, 3, "SYNC_FAILED", None, Code.API_REFUSED)), "wrong"),
    "told as waiting last": (with_published(published(1, 3, "PENDING_SYNC", None, Code.TIMED_OUT)), "wrong"),
    "two decisions of one attempt": (with_published(published(1, 1, "SYNC_SUCCESS", "Q1")), "wrong"),
    "a decision that the journal lacks": (changed(task_logs=without(RIGHT.task_logs, WAITED)), "lost"),
    "a failure that the journal lacks": (changed(sync_failures=without(RIGHT.sync_failures, REFUSED)), "lost"),
    "a failure without what was sent": (changed(sync_failures=[entry(REFUSED), *OTHER_FAILURES]), "lost"),
    "a failure without a reason": (
        changed(sync_failures=[{**entry(REFUSED, payload="{}"), "reason": None}, *OTHER_FAILURES]),
        "wrong",
    ),
}


@pytest.mark.parametrize("name", WRONG_WORLDS)
def test_the_judge_finds_a_wrong_final_decision(name: str) -> None:
    make, offence = WRONG_WORLDS[name]
    verdict = judge(make())
    assert offence in {finding.offence for finding in verdict.findings}, verdict
    assert len({finding.sale for finding in verdict.findings}) == 1, "and of that sale alone"
    assert verdict.line(7, 5) != LINE.format(0, 0, 0, 0)


OTHER_WORLDS: Mapping[str, Callable[[], Evidence]] = {
    "held, and no row is it": changed(stored={**RIGHT.stored, ("01", "HD-8"): stored(8, "Q8")}),
    "in the journal, never told": changed(task_logs=[*RIGHT.task_logs, entry(published(1, 9, "SYNC_SUCCESS", "Q1"))]),
    "twice in the journal": changed(task_logs=[*RIGHT.task_logs, entry(WAITED)]),
    "told of no sale": with_published(published(9, 1, "SYNC_SUCCESS", "Q9")),
    "junk that got lost": changed(dead_letters=[("junk-1", "sale-status"), ("junk-1", "journal")]),
    "junk that one of two readers lost": changed(dead_letters=[("junk-1", "journal"), ("junk-2", "changes")]),
    "a dead letter that is no junk": changed(dead_letters=[*RIGHT.dead_letters, ("01/HD-1", "changes")]),
    "a dead letter that begins as junk does": changed(dead_letters=[*RIGHT.dead_letters, ("junk-9", "changes")]),
    "a dead letter of who cannot have read it": changed(dead_letters=[*RIGHT.dead_letters, ("junk-4", "changes")]),
    "another database's record that was buried": changed(dead_letters=[*RIGHT.dead_letters, ("junk-3", "changes")]),
    "forged, and not by us": changed(
        task_logs=[*RIGHT.task_logs, {**entry(WAITED), "_id": "forged"}], forged={"another"}
    ),
    "a sale that was planted and is gone": changed(planted=["HD-1", "HD-9"]),
    "a fault that nobody saw": changed(unplayed=["web_silent"]),
    "not acknowledged": changed(unacknowledged={"changes": 1}),
    "a change that was not captured": changed(uncaptured=[1]),
    "a leak": changed(leaks=["a password in worker-1.log"]),
    "a stall": changed(stalls=["nothing moved"]),
    "a mistake": changed(mistakes=["event.given_up"]),
    "too much memory": changed(peak_mb=LARGEST_MB + 1),
}


@pytest.mark.parametrize("name", OTHER_WORLDS)
def test_the_judge_finds_every_other_broken_promise(name: str) -> None:
    verdict = judge(OTHER_WORLDS[name]())
    assert verdict.others
    assert not verdict.findings
    assert not verdict.right


def test_the_judge_accepts_unconfirmed_records_and_forged_ones_in_the_journal() -> None:
    letters = [*RIGHT.dead_letters, ("junk-4", "sale-retry")]
    forged = [*RIGHT.task_logs, {**entry(WAITED), "_id": "forged"}]
    assert judge(replace(RIGHT, dead_letters=letters, task_logs=forged, forged={"forged"}, planted=["HD-2"])).right


def test_a_poisoned_sale_has_to_fail_for_its_poison() -> None:
    rule = BrokenRule("hoa_don_chi_tiet[1].so_luong", "finite")

    def refused_for(*rules: BrokenRule, code: Code = Code.RULES_BROKEN) -> Evidence:
        reason = status_reason(Reason(code, details=rules), SALE.labels)
        failed = published(2, 1, "SYNC_FAILED").model_copy(update={"reason": reason})
        poisoned = {**RIGHT.expected, 2: Expected("SYNC_FAILED", breaks=(rule.field, rule.rule))}
        return replace(RIGHT, expected=poisoned, published=[WAITED, ACCEPTED, failed, *OTHERS])

    assert judge(refused_for(rule)).right
    for wrong in (
        refused_for(BrokenRule("hoa_don_chi_tiet[2].so_luong", "finite")),
        refused_for(rule, BrokenRule("ma_hoa_don", "required")),
        refused_for(code=Code.NO_LINES),
    ):
        assert [finding.offence for finding in judge(wrong).findings] == ["wrong"]


def test_the_judge_finds_a_forged_decision_that_was_believed() -> None:
    """It may be believed in the row or on the topic, whose last message then differs."""
    assert {finding.offence for finding in judge(with_row(row(1, "SYNC_SUCCESS", "QG-FORGED"))()).findings} == {"wrong"}
    assert {finding.offence for finding in judge(with_row(row(2, "SYNC_SUCCESS", "QG-FORGED"))()).findings} >= {"lost"}


def test_the_judge_accepts_either_decision_of_a_sale_with_an_uncertain_commit() -> None:
    unknown = {id_: Expected(None) for id_ in RIGHT.rows}
    assert judge(replace(RIGHT, expected=unknown)).right
    assert not judge(replace(with_row(row(1, "PENDING_SYNC"))(), expected=unknown)).right


def test_the_judge_accepts_a_sale_without_an_id_only_with_its_reason() -> None:
    unknown = published(1, 2, "SYNC_SUCCESS", None, Code.ID_UNKNOWN)
    world = replace(
        RIGHT,
        rows={**RIGHT.rows, 1: row(1, "SYNC_SUCCESS", None)},
        published=[WAITED, unknown, REFUSED, *OTHERS],
        task_logs=[entry(status) for status in (WAITED, unknown, REFUSED, *OTHERS)],
    )
    assert judge(world).right


def at_a_standstill(*, pending: int = 5, causes: tuple[str, ...] = (), moving: bool = False) -> Progress:
    progress = Progress()
    for second in range(int(LONGEST) + 3):
        progress.look(second, mark=second if moving else 0, pending=pending, causes=causes)
    return progress


def test_a_standstill_without_a_cause_is_one_stall() -> None:
    assert len(at_a_standstill().stalls) == 1


def test_progress_idleness_or_a_cause_is_no_stall() -> None:
    assert not at_a_standstill(moving=True).stalls
    assert not at_a_standstill(causes=("gate closed",)).stalls
    assert not at_a_standstill(pending=0).stalls
