"""For each promise of the README: the changes of the code that break it, and for each a test that then fails.

``make promises`` makes each change in a copy and runs its test; a promise that can be broken unseen ends it with 1.
"""

from __future__ import annotations

from tests.harness.promises.mutations import (
    answers,
    batches,
    beside_points_of_sale,
    calm,
    corrections,
    documents,
    doubt,
    kafka,
    lines,
    log_ins,
    page,
    picky_api,
    polling,
    sales,
    withdrawals,
)
from tests.harness.promises.mutations.mutation import Mutation

__all__ = ["MUTATIONS", "Mutation"]

MUTATIONS = (
    *sales.MUTATIONS,
    *answers.MUTATIONS,
    *log_ins.MUTATIONS,
    *doubt.MUTATIONS,
    *documents.MUTATIONS,
    *batches.MUTATIONS,
    *beside_points_of_sale.MUTATIONS,
    *calm.MUTATIONS,
    *corrections.MUTATIONS,
    *kafka.MUTATIONS,
    *page.MUTATIONS,
    *picky_api.MUTATIONS,
    *lines.MUTATIONS,
    *polling.MUTATIONS,
    *withdrawals.MUTATIONS,
)
