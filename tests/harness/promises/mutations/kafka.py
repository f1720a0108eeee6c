"""Mutations about what a broker delivers, and whom it lets in."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=5,
        breaks="a batch that cannot be unpacked ends every worker that reads it",
        file="streams/kafka/unpacking.py",
        old="        raise StopIteration\n",
        new="        raise error\n",
        test="tests/unit/test_unpacking.py::test_records_before_an_unreadable_batch_are_delivered_and_the_batch_is_reported",
    ),
    Mutation(
        promise=5,
        breaks="a partition that cannot be unpacked is fetched without a pause",
        file="streams/kafka/unpacking.py",
        old=" if now - known.seen_at < _RETRY_AFTER}",
        new=" if now < known.seen_at}",
        test="tests/unit/test_unpacking.py::test_only_the_partition_of_an_unreadable_batch_is_fetched_less_often",
    ),
    Mutation(
        promise=1,
        breaks="the offset that a record gives itself is believed, and all after it count as read",
        file="streams/kafka/unpacking.py",
        old="            if record.offset < self._batches.end:",
        new="            if record.offset < 2**63:",
        test="tests/unit/test_unpacking.py::test_a_record_with_an_offset_beyond_its_batch_hides_no_later_record",
    ),
    Mutation(
        promise=5,
        breaks="a batch of a kilobyte may fill a worker's memory",
        file="streams/kafka/bounded_unpacking.py",
        old="""    if size > MOST:
        raise TooLarge""",
        new="    size + MOST",
        test="tests/unit/test_bounded_unpacking.py::test_a_decompression_bomb_is_refused_before_it_fills_memory",
    ),
    Mutation(
        promise=5,
        breaks="eight million empty headers in one record take as much memory as ten workers",
        file="streams/kafka/bounded_unpacking.py",
        old="        if length >> 1 > MOST_OF_A_RECORD:",
        new="        if length >> 1 > 2**62:",
        test="tests/unit/test_bounded_unpacking.py::test_a_record_of_millions_of_headers_is_refused",
    ),
    Mutation(
        promise=5,
        breaks="a partition that its broker cannot read is requested hundreds of times a second",
        file="streams/kafka/fetching.py",
        old="    if len(ready) < len(places):",
        new="    if not places:",
        test="tests/unit/test_fetching.py::test_an_unreadable_partition_is_reported_and_paused",
    ),
    Mutation(
        promise=7,
        breaks="doctor has nothing to say about a broker that lets everybody write and read",
        file="streams/operators/checks/kafka_access.py",
        old="    if not access.authorizer:",
        new="    if access.authorizer is None:",
        test="tests/unit/test_kafka_access.py::test_a_broker_that_lets_everybody_in_causes_a_warning_with_an_action",
    ),
)
