"""Mutations of what is looked up, when "not stored" is believed, when a document fails, and what an outage is."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=3,
        breaks="a sale whose token was not taken is sent again without being looked up",
        file="streams/pipeline/submission.py",
        old="""        if doubt.wait_s is not None or code is Code.RATE_LIMITED:
            return doubt""",
        new="""        if doubt.wait_s is not None or code is Code.RATE_LIMITED:
            return doubt
        if code is Code.TOKEN_REJECTED and not renewed:
            return await self._create(body, as_sent=False, renewed=True)""",
        test="tests/unit/test_submission.py::test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome",
    ),
    Mutation(
        promise=2,
        breaks='"already exists" against "not stored" counts as a refusal at once',
        file="streams/pipeline/submission.py",
        old="""            case NotStored() if says_stored(refused.text or "") and not self._contradicted:
                return InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
""",
        new="",
        test="tests/unit/test_submission.py::test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome",
    ),
    Mutation(
        promise=3,
        breaks='a document whose replacement is refused and which is "not stored" is created again at once',
        file="streams/pipeline/submission.py",
        old="""            case NotStored(), Refused() if not self._contradicted:
                # The refusal of the PUT implies that something is stored.
                return InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
""",
        new="",
        test="tests/unit/test_submission.py::test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome",
    ),
    Mutation(
        promise=2,
        breaks="a document that a look-up does not show yet is reported as one that never gets through",
        file="streams/pipeline/submission.py",
        old="                code is Code.UNCLEAR_ANSWER and not doubt.only_id_missing",
        new="                code is Code.UNCLEAR_ANSWER",
        test="tests/unit/test_submission.py::test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome",
    ),
    Mutation(
        promise=3,
        breaks="what may have been taken before the token was renewed counts as never sent",
        file="streams/pipeline/submission.py",
        old="""            case TryLater() if renewed:
                return _still_in_doubt(outcome)  # the first of the two calls may still have been accepted
""",
        new="",
        test="tests/unit/test_submission.py::test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome",
    ),
    Mutation(
        promise=1,
        breaks="a contradiction that comes again is never believed, and the sale never ends",
        file="streams/pipeline/submission.py",
        old='            case NotStored() if says_stored(refused.text or "") and not self._contradicted:',
        new='            case NotStored() if says_stored(refused.text or ""):',
        test="tests/unit/test_submission.py::test_a_repeated_contradiction_is_believed",
    ),
    Mutation(
        promise=2,
        breaks="a look-up that finds nothing after an outage counts as the first of two contradictions",
        file="streams/pipeline/sender.py",
        old="contradicted=state.operation is operation and state.reason_code == Code.CONTRADICTORY_ANSWERS,",
        new="contradicted=state.reason_code in (Code.CONTRADICTORY_ANSWERS, Code.NOT_YET_SHOWN),",
        test="tests/contract/doubt/test_answers_of_others.py"
        "::test_a_look_up_right_after_an_outage_does_not_count_as_a_contradiction",
    ),
    Mutation(
        promise=3,
        breaks='"not stored" is believed right after an outage',
        file="streams/pipeline/submission.py",
        old="        return InDoubt(Reason(Code.NOT_YET_SHOWN), self._unsettled_s) if self._unsettled_s > 0 else None",
        new="        return None",
        test="tests/unit/test_submission.py::test_not_stored_is_not_believed_right_after_an_outage",
    ),
    Mutation(
        promise=2,
        breaks="what was in doubt for too long is recorded as failed without a look-up",
        file="streams/pipeline/submission.py",
        old="""        if not past.in_doubt:
            return await self._create(body, as_sent=False)""",
        new="""        if not past.in_doubt:
            return await self._create(body, as_sent=False)
        if self._give_up_reason:
            return Refused(self._give_up_reason)""",
        test="tests/unit/test_submission.py::test_a_document_that_is_not_stored_fails_once_its_time_is_over",
    ),
    Mutation(
        promise=3,
        breaks="an outage before the look-up is not taken into account",
        file="streams/pipeline/sender.py",
        old="        return 0.0 if is_calm else max(0.0, self._settings.settle_after_outage - answering_for)",
        new="        return 0.0",
        test="tests/contract/doubt/test_answers_of_others.py::test_not_stored_is_believed_only_later_after_an_outage",
    ),
    Mutation(
        promise=2,
        breaks="a sale is sent as the shop that its event names, not as that of its row",
        file="streams/pipeline/send_plan.py",
        old="    return replace(request, document_code=document_code, pharmacy_code=pharmacy_code, shop=shop)",
        new="    return replace(request, document_code=document_code, pharmacy_code=pharmacy_code)",
        test="tests/contract/doubt/test_answers_of_others.py::test_h5_a_sale_is_sent_with_the_account_of_the_shop_in_its_row",
    ),
    Mutation(
        promise=2,
        breaks="a sale is looked up under the codes that its event names, not under those of its row",
        file="streams/pipeline/send_plan.py",
        old="    return replace(request, document_code=document_code, pharmacy_code=pharmacy_code, shop=shop)",
        new="    return replace(request, shop=shop)",
        test="tests/contract/doubt/test_answers_of_others.py::test_h5_a_sale_is_looked_up_under_the_codes_in_its_row",
    ),
    Mutation(
        promise=1,
        breaks="the connector's clock says since when a sale waits",
        file="streams/pipeline/current_request.py",
        old="request.captured_at_ms if request.origin is Origin.DUE else now",
        new="request.captured_at_ms",
        test="tests/contract/doubt/test_answers_of_others.py::test_a_wrong_source_clock_does_not_change_since_when_a_sale_waits",
    ),
    Mutation(
        promise=1,
        breaks="a body that never gets through is sent again forever",
        file="streams/pipeline/retry_policy.py",
        old="        return Reason(Code.NEVER_TAKEN, http_status) if now - since > delays.time_limit * 1000 else None",
        new="        return None",
        test="tests/unit/test_retry_policy.py::test_a_document_in_doubt_that_proves_not_stored_fails_at_the_time_limit",
    ),
    Mutation(
        promise=2,
        breaks="what waits for its shop's account ends at the time limit",
        file="streams/pipeline/retry_policy.py",
        old="is_expired = not is_waiting and time_limit_passed(",
        new="is_expired = time_limit_passed(",
        test="tests/unit/test_retry_policy.py::test_a_document_in_doubt_that_proves_not_stored_fails_at_the_time_limit",
    ),
    Mutation(
        promise=2,
        breaks="a certificate that nobody renews ends sales as failed",
        file="streams/pipeline/retry_policy.py",
        old="""    ACCOUNT_PROBLEMS
    | TLS_PROBLEMS
    | {""",
        new="""    ACCOUNT_PROBLEMS
    | {""",
        test="tests/unit/test_retry_policy.py::test_a_certificate_problem_never_fails_a_sale",
    ),
    Mutation(
        promise=5,
        breaks="one body that never gets through closes the gate for all",
        file="streams/pipeline/outage_gate.py",
        old="            self._streak = len(self._streak_documents)",
        new="            self._streak += 1",
        test="tests/unit/test_outage_gate.py::test_one_body_that_never_gets_through_does_not_close_the_gate",
    ),
    Mutation(
        promise=6,
        breaks="a maintenance page is no outage, and every sale is spent on it",
        file="streams/pipeline/outage_gate.py",
        old="""                # The answer of a firewall or a maintenance page: no sale must be spent on it.
                self._failed(now, shop, reason, wait_s or 0.0, probe, document)""",
        new="                pass",
        test="tests/unit/test_outage_gate.py::test_a_maintenance_page_closes_the_gate_and_a_missing_id_does_not",
    ),
    Mutation(
        promise=6,
        breaks="a look-up that is answered does not open the gate",
        file="streams/pipeline/outage_gate.py",
        old="                self._answered(now, shop)  # the API itself has answered the look-up",
        new="                pass",
        test="tests/unit/test_outage_gate.py::test_an_answered_look_up_opens_the_gate",
    ),
    Mutation(
        promise=6,
        breaks="a page that asks for a day closes the gate for a day",
        file="streams/pipeline/outage_gate.py",
        old="        wait_s = min(wait_s, _MAX_RETRY_AFTER)\n",
        new="",
        test="tests/unit/test_outage_gate.py::test_retry_after_delays_a_probe_by_five_minutes_at_most",
    ),
    Mutation(
        promise=6,
        breaks="a certificate that nobody renews is no outage, and every sale is tried in vain",
        file="streams/pipeline/outage_gate.py",
        old="        *TLS_PROBLEMS,\n",
        new="",
        test="tests/unit/test_health.py::test_a_gate_closed_by_a_certificate_reports_the_problem_and_the_action",
    ),
    Mutation(
        promise=3,
        breaks="an event that is not worked through is taken for lost by what the connector's clock says",
        file="streams/kafka/change_progress.py",
        old="        return self._finished_ms\n",
        new="        return now\n",
        test="tests/contract/test_lag.py::test_change_progress_uses_the_databases_clock_and_not_that_of_the_events",
    ),
    Mutation(
        promise=1,
        breaks="an event that was lost under a backlog is never taken for lost",
        file="streams/kafka/change_progress.py",
        old="            self._finished_ms, _ = self._snapshots.popleft()",
        new="            self._snapshots.popleft()",
        test="tests/contract/test_lag.py::test_change_progress_uses_the_databases_clock_and_not_that_of_the_events",
    ),
    Mutation(
        promise=3,
        breaks="events of a recreated topic are taken for lost before anybody has read them",
        file="streams/kafka/lag.py",
        old="                committed |= {p: beginnings[p] for p in beyond if committed[p] > latest[p]}",
        new="                committed |= {p: beginnings[p] for p in beyond if committed[p] < latest[p]}",
        test="tests/contract/test_lag.py::test_a_commit_on_a_deleted_topic_does_not_finish_events_of_its_successor",
    ),
)
