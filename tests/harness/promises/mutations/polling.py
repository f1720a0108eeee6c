"""What becomes of new sales where nothing captures changes: they are found by polling."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=1,
        breaks="new sales are not asked for where nothing captures changes, so nobody ever sends them",
        file="streams/pipeline/scheduler.py",
        old="if polling is None or not (at_once or polling.is_due) or not self._gate.accepts_work:",
        new="if True:",
        test="tests/contract/test_polling.py::test_a_sale_from_after_the_cut_over_is_announced_once_as_a_new_one",
    ),
    Mutation(
        promise=1,
        breaks="a poll leaves out a decided sale that is pending again",
        file="streams/stores/new_documents.py",
        old="WHERE s.id IS NULL OR s.lease_until <= ? ORDER",
        new="WHERE s.id IS NULL AND ? > 0 ORDER",
        test="tests/contract/test_polling.py::test_a_decided_sale_that_is_pending_again_is_not_taken_for_new",
    ),
    Mutation(
        promise=1,
        breaks="a poll asks only for ids above the highest that was seen, so a sale that is committed late is missed",
        file="streams/stores/new_documents.py",
        old='{skip_locked} WHERE d.status IN {pending} "\n    "AND NOT EXISTS',
        new='{skip_locked} WHERE d.id > (SELECT MAX(m.id) FROM dbo.SaleSync m) AND d.status IN {pending} "\n'
        '    "AND NOT EXISTS',
        test="tests/contract/stores/test_new_documents.py::test_a_sale_that_is_committed_late_is_found_although_its_id_is_lower",
    ),
    Mutation(
        promise=1,
        breaks="an announcement that nobody claims is never made again",
        file="streams/stores/new_documents.py",
        old="tx.execute(sql, [name, now + after_ms, now, ANNOUNCED, *parameters, name])",
        new="tx.execute(sql, [name, 2**62, now, ANNOUNCED, *parameters, name])",
        test="tests/contract/stores/test_new_documents.py::test_an_announced_document_that_nobody_claims_is_due",
    ),
    Mutation(
        promise=3,
        breaks="what was pending at the cut-over is taken for new and created without a look-up",
        file="streams/pipeline/polling.py",
        old="new = [id_ for id_ in found.unseen if id_ > mark]",
        new="new = list(found.unseen)",
        test="tests/contract/test_polling.py::test_what_was_there_at_the_cut_over_is_looked_up_first_and_not_waited_for",
    ),
    Mutation(
        promise=3,
        breaks="a sale that was decided by hand and set back to pending is created without a look-up",
        file="streams/pipeline/other_senders.py",
        old="        return read_timestamp(updated_at) - read_timestamp(created_at) > NEW_FOR",
        new="        return read_timestamp(updated_at) == read_timestamp(created_at) == NEW_FOR",
        test="tests/contract/doubt/test_two_senders.py::test_a_sale_that_was_decided_by_hand_is_looked_up_before_it_is_sent",
    ),
    Mutation(
        promise=3,
        breaks="the cut-over mark is not kept",
        file="streams/stores/new_documents.py",
        old="if mark is None:  # should",
        new="if mark is not None:  # should",
        test="tests/contract/stores/test_new_documents.py::test_the_first_poll_sets_the_mark_and_it_stays",
    ),
    Mutation(
        promise=3,
        breaks="what the scheduler enqueues late is taken for new although it was there at the cut-over",
        file="streams/pipeline/polling.py",
        old="            and due.id > self.mark\n",
        new="",
        test="tests/contract/test_polling.py::test_what_was_there_at_the_cut_over_is_looked_up_first_and_not_waited_for",
    ),
    Mutation(
        promise=5,
        breaks="all that is new is announced at once, so one shop's many sales are ahead of all others",
        file="streams/pipeline/polling.py",
        old="if new and await self._documents.announced_and_unclaimed() <= self._batch:",
        new="if new:",
        test="tests/contract/test_polling.py::test_only_so_much_is_announced_as_is_worked_on_and_shops_take_turns",
    ),
    Mutation(
        promise=5,
        breaks="what the broker does not confirm keeps the other sales of the poll from being announced",
        file="streams/pipeline/polling.py",
        old="await asyncio.gather(*(self.publish(each) for each in new), return_exceptions=True)",
        new="[await self.publish(each) for each in new]",
        test="tests/contract/test_polling.py::test_what_the_broker_does_not_confirm_delays_no_other_and_is_announced_later",
    ),
    Mutation(
        promise=6,
        breaks="new sales are announced while the gate is closed",
        file="streams/pipeline/scheduler.py",
        old="polling.is_due) or not self._gate.accepts_work:",
        new="polling.is_due):",
        test="tests/contract/test_polling.py::test_while_the_gate_is_closed_nothing_is_announced_and_afterwards_it_is_still_known_as_new",
    ),
)
