"""All suites, in the order in which they run: the last one searches what the others have seen."""

from __future__ import annotations

from tests.harness.attack import (
    api_answers,
    commands,
    floods,
    forged,
    markup,
    secret_words,
    sockets_to_the_api,
    sockets_to_the_worker,
    sql,
    topic_values,
    traversal,
)
from tests.harness.attack.arena import Suite

SUITES: tuple[Suite, ...] = (
    topic_values.SUITE,
    api_answers.SUITE,
    sockets_to_the_api.SUITE,
    sockets_to_the_worker.SUITE,
    markup.SUITE,
    sql.SUITE,
    traversal.SUITE,
    forged.SUITE,
    floods.SUITE,
    commands.SUITE,
    secret_words.SUITE,
)
