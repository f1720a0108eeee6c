"""Mutations about what points of sale keep locked, and about a capture that stands still."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

_LOCKS = "tests/contract/test_scheduler_beside_locks.py"
_CAPTURE = "tests/contract/test_capture_watch.py"

MUTATIONS = (
    Mutation(
        promise=5,
        breaks="one uncommitted sale hides all pending rows that nothing waits for",
        file="streams/stores/enrolment.py",
        old="        return await db.transaction(partial(find_unseen, without_locked=True))",
        new="        return await db.transaction(partial(find_unseen, without_locked=False))",
        test=f"{_LOCKS}::test_error_1222_holds_up_no_retry_of_another_shop",
    ),
    Mutation(
        promise=5,
        breaks="sales that are out of reach for long are shown nowhere",
        file="streams/pipeline/scheduler.py",
        old="            self._out_of_reach.report(what, valid_for=_SHOWN_FOR)\n",
        new="",
        test=f"{_LOCKS}::test_error_1222_holds_up_no_retry_of_another_shop",
    ),
    Mutation(
        promise=5,
        breaks="a check of locked accounts waits for each shop in turn before anything is sent",
        file="streams/pipeline/scheduler.py",
        old="        async with asyncio.timeout(_RELEASE_TIMEOUT):",
        new="        async with asyncio.timeout(None):",
        test=f"{_LOCKS}::test_many_shops_whose_accounts_are_locked_do_not_delay_the_others",
    ),
    Mutation(
        promise=5,
        breaks="a till's trigger that was written for one row is given a hundred at once",
        file="streams/stores/row_decisions.py",
        old="chunks(sorted(finals), tx.rows_per_update)",
        new="chunks(sorted(finals))",
        test="tests/unit/test_statements.py::test_no_statement_changes_more_sales_than_it_may",
    ),
    Mutation(
        promise=1,
        breaks="a connector that is RUNNING and silent after a restore is noticed by nobody",
        file="streams/monitoring/capture_watch.py",
        old="highest > self._highest and self._since is None",
        new="highest > self._highest and self._since is not None",
        test=f"{_CAPTURE}::test_rows_without_change_events_are_reported_until_one_comes",
    ),
    Mutation(
        promise=1,
        breaks="a capture that stands still fills the transaction log unseen until nobody can sell",
        file="streams/stores/capture_state.py",
        old='        return self.waits_for == "REPLICATION"',
        new='        return self.waits_for == "LOG_BACKUP"',
        test=f"{_CAPTURE}::test_a_log_that_waits_to_be_captured_is_reported_after_ten_minutes",
    ),
    Mutation(
        promise=3,
        breaks="a sale that is still there is forgotten, and sent once more without a look-up",
        file="connectors/sql/60_forget_archived.sql",
        old="            AND NOT EXISTS (SELECT 1 FROM dbo.SalesInvoices d WHERE d.id = SaleSync.id);",
        new="            ;",
        test="tests/unit/test_connectors.py::test_only_archived_sales_of_long_ago_are_forgotten",
    ),
)
