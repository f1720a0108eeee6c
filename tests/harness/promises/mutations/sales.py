"""Mutations of a sale's path, from its event to its decision."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=1,
        breaks="pending rows whose change event was lost are not enrolled, so nobody ever brings them",
        file="streams/pipeline/scheduler.py",
        old="if enrolled := await self._schedule.enroll(after_ms, limit, 2**62 if mark is None else mark):",
        new="if enrolled := 0:",
        test="tests/pipeline/test_scheduler.py::test_sales_from_before_the_connector_and_sales_with_lost_events_are_found",
    ),
    Mutation(
        promise=1,
        breaks="a claim does not make the sale due again when its lease runs out, so a killed attempt is forgotten",
        file="streams/stores/sync_state.py",
        old="lease_until = ?, next_attempt_at = ?, ",
        new="lease_until = ?, next_attempt_at = CASE WHEN ? > 0 THEN NULL END, ",
        test="tests/contract/stores/test_sync_state.py::test_a_claim_records_what_the_attempt_will_do",
    ),
    Mutation(
        promise=1,
        breaks="a claim does not make the sale due again when its lease runs out, so a killed attempt is forgotten",
        file="streams/stores/sync_state.py",
        old='"SELECT ?, d.id, 1, ?, CAST(? AS BIGINT), CAST(? AS BIGINT), ',
        new='"SELECT ?, d.id, 1, ?, CAST(? AS BIGINT), CASE WHEN CAST(? AS BIGINT) < 0 THEN 0 END, ',
        test="tests/contract/stores/test_sync_state.py::test_a_claim_records_what_the_attempt_will_do",
    ),
    Mutation(
        promise=2,
        breaks="a refusal is believed at once: a sale that an earlier attempt got through is recorded as failed",
        file="streams/pipeline/submission.py",
        old="""            case Refused():
                return await self._believe_refusal(body, outcome, as_sent=as_sent)
""",
        new="",
        test="tests/unit/test_submission.py::test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome",
    ),
    Mutation(
        promise=2,
        breaks="an older decision that is published again overwrites a later one",
        file="streams/stores/decisions.py",
        old='"WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 BETWEEN published_attempt AND attempt - 1"',
        new='"WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 BETWEEN 0 AND attempt - 1"',
        test="tests/contract/stores/test_decisions.py::test_an_older_decision_never_overwrites_a_final_one",
    ),
    Mutation(
        promise=2,
        breaks=(
            "a pending decision that overtook a final one stays the last published, although the row has the final one"
        ),
        file="streams/stores/decisions.py",
        old='                request_again(tx, definition, ids, now_ms, why="conflicting", operation=operation)\n',
        new="",
        test="tests/contract/stores/test_decisions.py::test_a_pending_decision_after_an_unknown_final_one_requests_the_sale_again",
    ),
    Mutation(
        promise=2,
        breaks="a sale that was edited while it was at the API counts as accepted in its edited form",
        file="streams/stores/concurrent_edits.py",
        old="if v is None or v.rows is None or v.rows != digests.get(id_)}",
        new="if v is None or v.rows is None}",
        test="tests/contract/stores/test_concurrent_edits.py::test_a_sale_edited_meanwhile_is_due_at_once_and_stays_pending",
    ),
    Mutation(
        promise=3,
        breaks="a sale whose last attempt is in doubt is sent again without being looked up",
        file="streams/pipeline/submission.py",
        old="        if not past.in_doubt:\n            return await self._create(body, as_sent=False)\n",
        new="        if not past.ever_accepted:\n            return await self._create(body, as_sent=False)\n",
        test="tests/pipeline/test_crash.py::test_a_kill_during_attempts_loses_no_sale_and_sends_none_twice",
    ),
    Mutation(
        promise=3,
        breaks="a claim is taken while another worker's lease still runs",
        file="streams/stores/sync_state.py",
        old='"WHERE document_type = ? AND lease_until <= ? AND id IN',
        new='"WHERE document_type = ? AND (lease_until <= ? OR 1 = 1) AND id IN',
        test="tests/contract/stores/test_sync_state.py::test_nobody_else_can_claim_a_document_while_its_lease_runs",
    ),
    Mutation(
        promise=4,
        breaks="an event is acknowledged as soon as it ends, past those before it that still run",
        file="streams/kafka/in_order_window.py",
        old="""        while assignment.entries and assignment.entries[0].finished:
            head = assignment.entries.popleft()
""",
        new="""        for head in [entry]:
            assignment.entries.remove(entry)
""",
        test="tests/unit/test_in_order_window.py::test_events_are_acknowledged_in_the_order_of_delivery",
    ),
    Mutation(
        promise=5,
        breaks="one row that the database refuses takes its whole batch with it",
        file="streams/stores/isolation.py",
        old="        if len(items) == 1:\n",
        new="        if items:\n            return [Failed(error) for _ in items]\n        if len(items) == 1:\n",
        test="tests/contract/stores/test_write_back.py::test_only_a_refused_row_is_quarantined_until_the_database_takes_it",
    ),
    Mutation(
        promise=6,
        breaks="the gate never closes: every sale is tried in vain while the API is down",
        file="streams/pipeline/outage_gate.py",
        old="            self.closed_since = now\n",
        new="            return\n",
        test="tests/unit/test_outage_gate.py::test_failures_of_several_shops_close_the_gate",
    ),
    Mutation(
        promise=6,
        breaks="an outage counts towards the time limit, so a long one ends sales as failed",
        file="streams/pipeline/retry_policy.py",
        old="    return min((now - since) / 1000, answering_for or 0) > delays.time_limit\n",
        new="    return (now - since) / 1000 > delays.time_limit\n",
        test="tests/unit/test_outages_in_virtual_time.py::test_only_time_in_which_the_api_answered_counts_towards_the_time_limit",
    ),
    Mutation(
        promise=7,
        breaks="the log has the message of a library's error, which may quote a row",
        file="streams/runtime/logs.py",
        old="        parts = [*traceback.format_tb(error.__traceback__), name_of(error)]\n",
        new="        parts = [*traceback.format_tb(error.__traceback__), repr(error)]\n",
        test="tests/unit/test_logs.py::test_the_log_shows_our_own_error_messages_but_not_those_of_libraries",
    ),
)
