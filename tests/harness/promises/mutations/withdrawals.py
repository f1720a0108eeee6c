"""What becomes of documents that are withdrawn."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

_DOUBT = "tests/contract/doubt/test_withdrawal.py"
_DECISIONS = "tests/contract/stores/test_withdrawal_decisions.py"

MUTATIONS = (
    Mutation(
        promise=1,
        breaks="a change from waiting to be sent to waiting to be withdrawn counts as no change",
        file="streams/domain/change_event.py",
        old='requested_operation((envelope.before or {}).get("status")) is operation:',
        new='requested_operation((envelope.before or {}).get("status")) is not None:',
        test="tests/unit/test_change_event.py::test_a_change_of_the_requested_operation_is_a_new_request",
    ),
    Mutation(
        promise=1,
        breaks="a row that is to be withdrawn is pending for nobody but its change event",
        file="streams/stores/sql_fragments.py",
        old="PENDING_STATUSES: Final = literals(PENDING.values())",
        new="PENDING_STATUSES: Final = literals([PENDING[Operation.SEND]])",
        test=f"{_DOUBT}::test_a_withdrawal_whose_event_is_lost_is_made_by_the_scheduler",
    ),
    Mutation(
        promise=1,
        breaks="a withdrawal that was requested while the sale was being sent waits until something else brings it",
        file="streams/stores/changed_requests.py",
        old="        if not changed:\n",
        new="        if changed or not changed:\n",
        test=f"{_DOUBT}::test_a_sale_that_is_to_be_withdrawn_while_it_is_sent_is_withdrawn_next",
    ),
    Mutation(
        promise=2,
        breaks="an answer to a DELETE that shows the document counts as its withdrawal",
        file="streams/national_api/withdrawal_answers.py",
        old='for key in ("data", code_field, id_field))',
        new='for key in ("data",) if code_field + id_field == "")',
        test="tests/unit/test_withdrawal_answers.py::test_every_answer_to_a_withdrawal_has_its_outcome",
    ),
    Mutation(
        promise=2,
        breaks="an answer to a DELETE without a code counts as a withdrawal",
        file="streams/national_api/withdrawal_answers.py",
        old="        parsed.code == 200\n",
        new="        parsed.code in (None, 200)\n",
        test="tests/unit/test_withdrawal_answers.py::test_every_answer_to_a_withdrawal_has_its_outcome",
    ),
    Mutation(
        promise=2,
        breaks="a refused withdrawal is believed without a look-up",
        file="streams/pipeline/withdrawal.py",
        old="                return await self._believe_refusal(codes, result)",
        new="                return result",
        test="tests/unit/test_withdrawal.py::test_each_answer_to_a_first_withdrawal_is_followed_by_its_calls",
    ),
    Mutation(
        promise=2,
        breaks="an unclear answer to a DELETE and a look-up that finds nothing count as a withdrawal at once",
        file="streams/pipeline/withdrawal.py",
        old="        return doubt\n",
        new="        return self._absent()\n",
        test="tests/unit/test_withdrawal.py::test_each_answer_to_a_first_withdrawal_is_followed_by_its_calls",
    ),
    Mutation(
        promise=2,
        breaks="a document is withdrawn under its present codes alone",
        file="streams/pipeline/send_plan.py",
        old="        return Withdraw((known, current) if known and known != current else (current,), accounts[0])",
        new="        return Withdraw((current,), accounts[0])",
        test=f"{_DOUBT}::test_a_sale_is_withdrawn_under_the_code_that_it_was_accepted_with",
    ),
    Mutation(
        promise=2,
        breaks="a sale is withdrawn under a code that the point of sale has given to another one since",
        file="streams/pipeline/earlier_codes.py",
        old="        case True:\n",
        new="        case None:\n",
        test=f"{_DOUBT}::test_a_code_that_was_given_to_another_sale_is_not_withdrawn_with_the_first",
    ),
    Mutation(
        promise=3,
        breaks="a document whose code was changed is created a second time under the new one",
        file="streams/pipeline/submission.py",
        old="        if past.stored_under not in (None, DocumentCodes(body.facility_code, body.document_code)):",
        new="        if past.stored_under is not None and not body.document_code:",
        test="tests/unit/test_submission.py"
        "::test_a_document_is_not_sent_under_new_codes_while_it_is_stored_under_earlier_ones",
    ),
    Mutation(
        promise=2,
        breaks="an acceptance is written over a row that is to be withdrawn",
        file="streams/stores/row_decisions.py",
        old="                statuses=statuses_of(operation),",
        new='                statuses="(" + ", ".join(statuses_of(each)[1:-1] for each in Operation) + ")",',
        test=f"{_DECISIONS}::test_every_decision_changes_only_a_row_of_its_own_operation",
    ),
    Mutation(
        promise=2,
        breaks="a row that shows a late acceptance stays so although the sale was withdrawn since",
        file="streams/stores/changed_requests.py",
        old='            request_again(tx, document_type, changed, now_ms, why="withdrawn")',
        new="            pass",
        test=f"{_DECISIONS}::test_every_decision_changes_only_a_row_of_its_own_operation",
    ),
    Mutation(
        promise=2,
        breaks="the national id of a withdrawn sale stays in its row, and is shown for the next",
        file="streams/stores/row_decisions.py",
        old="        if status.national_invoice_id or status.status == SUCCEEDED[Operation.WITHDRAW]",
        new="        if status.national_invoice_id",
        test=f"{_DECISIONS}::test_a_withdrawal_forgets_the_national_id_and_the_codes",
    ),
    Mutation(
        promise=2,
        breaks="an older withdrawal is written although a newer attempt has sent the sale again",
        file="streams/stores/changed_requests.py",
        old="    return {row[0] for row in tx.rows(_CLAIMED_AGAIN",
        new="    return {row[0] for row in [] and tx.rows(_CLAIMED_AGAIN",
        test=f"{_DECISIONS}::test_a_withdrawal_that_was_overtaken_by_a_newer_claim_leaves_the_row_to_that",
    ),
    Mutation(
        promise=2,
        breaks="a withdrawal in doubt gives up its lease, so its DELETE may meet a sale that has been sent again",
        file="streams/pipeline/sender.py",
        old="            return past.sent_hash or ANY_VERSION\n",
        new="            return past.sent_hash\n",
        test=f"{_DOUBT}::test_a_sale_is_not_sent_again_while_its_withdrawal_may_be_under_way",
    ),
    Mutation(
        promise=2,
        breaks="what is known after a withdrawal is recorded only with its decision, so a crash loses it",
        file="streams/pipeline/outcome_record.py",
        old="            await documents.keep_withdrawal(claim)\n",
        new="",
        test=f"{_DOUBT}::test_a_withdrawal_is_recorded_before_it_is_published",
    ),
    Mutation(
        promise=1,
        breaks="tries and times of sending count for a withdrawal that no event announced",
        file="streams/pipeline/current_request.py",
        old="has_changed = state.attempt > 0 and state.operation is not operation",
        new="has_changed = False",
        test=f"{_DOUBT}::test_a_withdrawal_that_no_event_announced_starts_afresh",
    ),
)
