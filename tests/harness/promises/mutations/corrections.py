"""Mutations about documents that are changed after they were accepted."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

_STORE = "tests/contract/stores/test_corrections.py"
_SWEEP = "tests/contract/test_correction_sweep.py"

MUTATIONS = (
    Mutation(
        promise=2,
        breaks="a sale counts as changed although the national system has this very body",
        file="streams/stores/corrections.py",
        old="        return body.hash != accepted.sent_hash",
        new="        return True",
        test=f"{_STORE}::test_an_edit_that_leaves_the_body_unchanged_is_no_change",
    ),
    Mutation(
        promise=2,
        breaks="the present version is compared with one that is no longer the accepted one",
        file="streams/stores/corrections.py",
        old='"AND next_attempt_at IS NULL AND attempt = published_attempt AND id IN ({ids}) AND attempt = {attempt} "',
        new='"AND next_attempt_at IS NULL AND attempt = published_attempt AND id IN ({ids}) AND 0 < {attempt} "',
        test=f"{_STORE}::test_what_happens_between_reading_and_marking_is_respected",
    ),
    Mutation(
        promise=2,
        breaks="a sale whose last attempt is in doubt is compared with what an earlier one sent",
        file="streams/stores/corrections.py",
        old='"AND s.ever_accepted = 1 AND s.attempt = s.published_attempt AND s.next_attempt_at IS NULL',
        new='"AND s.ever_accepted = 1 AND s.next_attempt_at IS NULL',
        test=f"{_STORE}::test_a_sale_that_is_in_flight_waits_is_in_doubt_or_is_old_is_left_alone",
    ),
    Mutation(
        promise=2,
        breaks="after a clock was set back unchanged sales count as changed",
        file="streams/stores/corrections.py",
        old="_NO_DAY_IS_IN_THE_FUTURE = date(9998, 12, 31)",
        new="_NO_DAY_IS_IN_THE_FUTURE = date(2026, 12, 31)",
        test=f"{_STORE}::test_no_clock_takes_part_in_the_comparison",
    ),
    Mutation(
        promise=2,
        breaks="a correction that was sent is still shown as not sent",
        file="streams/stores/sync_state.py",
        old="is_withdrawal = {is_withdrawal}, changed_at = NULL ",
        new="is_withdrawal = {is_withdrawal} ",
        test=f"{_STORE}::test_a_claim_removes_the_mark",
    ),
    Mutation(
        promise=2,
        breaks="of a sale that was accepted nobody knows which rows and codes it had",
        file="streams/stores/stored_versions.py",
        old="        if item.version\n",
        new="        if False\n",
        test="tests/contract/doubt/test_corrections.py::test_a_changed_sale_is_replaced_once_and_is_as_accepted_then",
    ),
    Mutation(
        promise=2,
        breaks="a sale that breaks a rule since it was changed is shown nowhere",
        file="streams/stores/corrections.py",
        old="""        except BrokenRules:
            return True""",
        new="""        except BrokenRules:
            return None""",
        test=f"{_STORE}::test_an_edit_after_the_acceptance_is_noticed_with_or_without_digests",
    ),
    Mutation(
        promise=3,
        breaks="a sale whose code was changed is sent by itself, as a second one",
        file="streams/stores/corrections.py",
        old="                    has_codes = is_of_codes(document.sent_rows, document.sent_hash, *codes)\n",
        new="                    has_codes = True\n",
        test=f"{_STORE}::test_a_change_of_a_code_makes_another_document_which_replaces_none",
    ),
    Mutation(
        promise=2,
        breaks="with another EMPTY_DOSAGE, sales that nobody has changed are sent again, or fail",
        file="streams/stores/corrections.py",
        old=" and not document.depends_on_settings:",
        new=":",
        test="tests/contract/doubt/test_corrections.py"
        "::test_what_was_sent_in_place_of_an_empty_dosage_is_not_replaced_by_itself",
    ),
    Mutation(
        promise=2,
        breaks="once fractions are refused, accepted sales with fractions count as changed, and fail",
        file="streams/stores/corrections.py",
        old="replace(document_type.options, fractions=True)",
        new="document_type.options",
        test="tests/contract/doubt/test_corrections.py"
        "::test_a_sale_is_not_changed_by_a_setting_that_refuses_what_was_accepted",
    ),
    Mutation(
        promise=5,
        breaks="looking for corrections takes as much of the database as it can get",
        file="streams/pipeline/correction_sweep.py",
        old="_LARGEST_SHARE = 0.02",
        new="_LARGEST_SHARE = 1.0",
        test=f"{_SWEEP}::test_the_database_is_left_alone_most_of_the_time",
    ),
    Mutation(
        promise=5,
        breaks="one locked sale keeps all others from being compared",
        file="streams/stores/corrections.py",
        old="        return await self._db.transaction(lambda tx: read(tx, tx.dialect.skip_locked))",
        new='        return await self._db.transaction(lambda tx: read(tx, ""))',
        test=f"{_SWEEP}::test_error_1222_makes_a_document_neither_changed_nor_unchanged",
    ),
    Mutation(
        promise=6,
        breaks="corrections are requested while the national API is down",
        file="streams/pipeline/correction_sweep.py",
        old="        if self._sends and not self._gate.accepts_work:",
        new="        if not self._sends and not self._gate.accepts_work:",
        test=f"{_SWEEP}::test_a_change_is_sent_by_itself_once_it_has_settled_and_the_gate_is_open",
    ),
)
