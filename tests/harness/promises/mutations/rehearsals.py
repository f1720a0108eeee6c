"""What keeps a copy of the sales database from the authority, and the simulator's answers from production."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=3,
        breaks="the sales of a copy are sent to another address than its mark names",
        file="streams/pipeline/rehearsal.py",
        old="    if settings.api_url.lower() not in mark.api_urls:",
        new="    if not mark.api_urls:",
        test="tests/unit/test_rehearsal.py::test_a_copy_and_a_rehearsal_fit_each_other_and_nothing_else",
    ),
    Mutation(
        promise=2,
        breaks="the simulator's answers are recorded in a database that is not marked as a copy",
        file="streams/pipeline/rehearsal.py",
        old="        return _unmarked(settings)",
        new="        return None",
        test="tests/unit/test_rehearsal.py::test_a_copy_and_a_rehearsal_fit_each_other_and_nothing_else",
    ),
    Mutation(
        promise=3,
        breaks="a mark that cannot be read counts as none, so the copy's sales are sent to the authority",
        file="streams/stores/copy_mark.py",
        old="return None if absent & {error.state, error.native} else CopyMark(())",
        new="return None",
        test="tests/contract/stores/test_copy_mark.py::test_a_mark_that_the_login_may_not_read_allows_nothing",
    ),
    Mutation(
        promise=3,
        breaks="a worker starts on a marked copy without looking at the mark",
        file="streams/worker.py",
        old="        await require_fitting_mark(db, self._settings)",
        new="        pass",
        test="tests/pipeline/test_rehearsal.py::test_a_worker_does_not_start_on_a_copy_with_another_address",
    ),
)
