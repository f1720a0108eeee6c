"""What a broker gives, and whom it lets in."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=5,
        breaks="a batch that cannot be unpacked ends every worker that reads it",
        file="streams/kafka/unpacking.py",
        old="        raise StopIteration\n",
        new="        raise error\n",
        test="tests/unit/test_unpacking.py::test_what_lies_before_it_is_handed_on_and_it_is_named",
    ),
    Mutation(
        promise=5,
        breaks="a partition that cannot be unpacked is asked without a pause",
        file="streams/kafka/unpacking.py",
        old=" if now - known.seen_at < _RETRY_AFTER}",
        new=" if now < known.seen_at}",
        test="tests/unit/test_unpacking.py::test_its_partition_alone_is_asked_less_often",
    ),
    Mutation(
        promise=1,
        breaks="the offset that a record gives itself is believed, and all after it count as read",
        file="streams/kafka/unpacking.py",
        old="            if record.offset < self._batches.end:",
        new="            if record.offset < 2**63:",
        test="tests/unit/test_unpacking.py::test_a_record_that_says_it_lies_far_beyond_hides_none_of_those_after_it",
    ),
    Mutation(
        promise=5,
        breaks="a batch of a kilobyte may fill a worker's memory",
        file="streams/kafka/bounded_unpacking.py",
        old="""    if size > MOST:
        raise TooLarge""",
        new="    size + MOST",
        test="tests/unit/test_bounded_unpacking.py::test_a_bomb_is_refused_before_it_has_its_size",
    ),
    Mutation(
        promise=5,
        breaks="eight million empty headers in one record take as much memory as ten workers",
        file="streams/kafka/bounded_unpacking.py",
        old="        if length >> 1 > MOST_OF_A_RECORD:",
        new="        if length >> 1 > 2**62:",
        test="tests/unit/test_bounded_unpacking.py::test_one_record_of_nothing_but_headers_is_refused",
    ),
    Mutation(
        promise=5,
        breaks="a partition that its broker cannot read is asked for hundreds of times a second",
        file="streams/kafka/fetching.py",
        old="    if len(ready) < len(places):",
        new="    if not places:",
        test="tests/unit/test_fetching.py::test_it_is_named_and_left_out_for_a_while",
    ),
    Mutation(
        promise=7,
        breaks="doctor has nothing to say about a broker that lets everybody write and read",
        file="streams/operators/checks/kafka_access.py",
        old="    if not access.authorizer:",
        new="    if access.authorizer is None:",
        test="tests/unit/test_kafka_access.py::test_what_lets_everybody_in_is_a_warning_with_what_to_do",
    ),
)
