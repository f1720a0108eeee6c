"""The Prometheus metrics that are counted as things happen. The state of a component is read from it at scrape time:
`streams.monitoring.exposition`.

Labels have few values, all known beforehand: never a shop, an invoice or a name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from streams.domain.account import CredentialsRefused, LogInResult, Token
from streams.domain.change_event import Origin, SendRequest
from streams.domain.document_status import is_pending
from streams.domain.outcome import TryLater
from streams.domain.sale_status import Version
from streams.national_api.call_result import CallResult
from streams.national_api.login import PATH as LOG_IN
from streams.national_api.own_form import Answer
from streams.pipeline.retry_policy import Decision
from streams.pipeline.sender import PublishStatus
from streams.stores.sync_state import Claim

_CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_STORE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_DELAY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_ATTEMPT_BUCKETS = (1, 2, 3, 5, 8, 13, 21, 50)
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LOOP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_STATUSES = frozenset({200, 201, 400, 401, 403, 404, 405, 409, 422, 429, 500, 501, 502, 503, 504})

LOG_IN_RESULTS = ("token", "refused", "unavailable")


def call_name(method: str, path: str) -> str:
    """Return the kind of an API call: "create", "replace", "withdraw", "look_up" or "log_in"; "other" for any other
    method.
    """
    if method == "POST":
        return "log_in" if path == LOG_IN else "create"
    return {"PUT": "replace", "DELETE": "withdraw", "GET": "look_up"}.get(method, "other")


def call_status(result: CallResult) -> str:
    """Return the HTTP status of a call, or what happened instead of an answer: "unreachable", "timed_out" or
    "connection_lost".
    """
    if not isinstance(result, Answer):
        return result.reason.code.value
    return str(result.status) if result.status in _STATUSES else f"{result.status // 100}xx"


class Metrics:
    """The metrics of one app, in a registry of their own. All methods are to be called on the event loop and take
    microseconds.
    """

    def __init__(self, documents: Iterable[str] = (), clock: Callable[[], float] = time.time) -> None:
        """`documents`: the names of the document types. `clock`: returns epoch seconds."""
        # When a counter was created: nobody asks, and it would double the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        self.capture_delay: dict[str, float] = {}
        """For each document type the capture delay of its newest document: seconds from its commit to its change event
        in Kafka.
        """
        # Finding the metric for some labels takes as long as counting it: each is found once and cached.
        self._decisions = cache(
            Counter(
                "pharmacy_decisions",
                "Decisions published on sale-status, one for each attempt, by status of the document and by reason",
                ["document", "status", "reason"],
                registry=registry,
            ).labels
        )
        self._attempts = cache(
            Histogram(
                "pharmacy_attempts_until_decision",
                "Attempts that a document took until its final decision",
                ["document"],
                buckets=_ATTEMPT_BUCKETS,
                registry=registry,
            ).labels
        )
        self._decided_after = cache(
            Histogram(
                "pharmacy_first_decision_delay_seconds",
                "From the commit of a new document in the database to its first decision on sale-status",
                ["document"],
                buckets=_DELAY_BUCKETS,
                registry=registry,
            ).labels
        )
        self._captured_after = cache(
            Histogram(
                "pharmacy_capture_delay_seconds",
                "From the commit of a new document in the database to its change event in Kafka",
                ["document"],
                buckets=_DELAY_BUCKETS,
                registry=registry,
            ).labels
        )
        self._calls = cache(
            Histogram(
                "pharmacy_api_call_duration_seconds",
                "Calls to the national API, repeated ones too, by HTTP status or by what happened instead of an answer",
                ["call", "status"],
                buckets=_CALL_BUCKETS,
                registry=registry,
            ).labels
        )
        self._log_ins = cache(
            Counter("pharmacy_log_ins", "Log-ins to the national API, by result", ["result"], registry=registry).labels
        )
        self._batches = cache(
            Histogram(
                "pharmacy_store_batch_size",
                "Decisions in one batch, by writer: write_back (sales database) or journal (MongoDB)",
                ["writer"],
                buckets=_BATCH_BUCKETS,
                registry=registry,
            ).labels
        )
        self._writes = cache(
            Histogram(
                "pharmacy_store_batch_duration_seconds",
                "Time that a batch took, including the wait for a database that is unavailable",
                ["writer"],
                buckets=_STORE_BUCKETS,
                registry=registry,
            ).labels
        )
        self._given_up = Counter(
            "pharmacy_write_back_given_up",
            "Decisions that the sales database refused for so long that the scheduler has to enqueue them again",
            registry=registry,
        )
        self._loop_delay = Histogram(
            "pharmacy_event_loop_delay_seconds",
            "How late the event loop woke a sleeping task, measured once a second",
            buckets=_LOOP_BUCKETS,
            registry=registry,
        )
        # A counter that first appears with its first event hides that event from `increase`, so the known labels start
        # at zero.
        self.start_at_zero(documents)
        for result in LOG_IN_RESULTS:
            self._log_ins(result)
        for writer in ("write_back", "journal"):
            self._batches(writer)
            self._writes(writer)

    def start_at_zero(self, documents: Iterable[str]) -> None:
        """Begin the counts of these document types, by name."""
        for document in documents:
            for histogram in (self._attempts, self._decided_after, self._captured_after):
                histogram(document)
            self._decisions(document, "SYNC_SUCCESS", "none")

    def captured(self, request: SendRequest, in_kafka_since: float) -> None:
        """Note that a change event was read. `in_kafka_since`: epoch seconds."""
        if request.origin is Origin.INSERTED:
            self.capture_delay[request.document_type] = delay = max(0.0, in_kafka_since - request.captured_at_ms / 1000)
            self._captured_after(request.document_type).observe(delay)

    def counting(self, publish: PublishStatus) -> PublishStatus:
        """Return `publish`, extended to count every decision once the broker has confirmed it."""

        async def publish_and_count(
            request: SendRequest, claim: Claim, decision: Decision, version: Version | None
        ) -> None:
            await publish(request, claim, decision, version)
            self._decided(request, claim, decision)

        return publish_and_count

    def _decided(self, request: SendRequest, claim: Claim, decision: Decision) -> None:
        reason = decision.reason.code.value if decision.reason else "none"
        self._decisions(request.document_type, decision.status, reason).inc()
        if not is_pending(decision.status):
            self._attempts(request.document_type).observe(claim.attempt)
        if request.origin is Origin.INSERTED:
            self._decided_after(request.document_type).observe(max(0.0, self._clock() - request.captured_at_ms / 1000))

    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        """Count one call to the national API that took `seconds`."""
        self._calls(call_name(method, path), call_status(result)).observe(seconds)

    def logged_in(self, result: LogInResult | TryLater) -> None:
        """Count one log-in by its result."""
        match result:
            case Token():
                self._log_ins("token").inc()
            case CredentialsRefused():
                self._log_ins("refused").inc()
            case _:
                self._log_ins("unavailable").inc()

    def wrote_back(self, decisions: int, seconds: float) -> None:
        """Count a batch of `decisions` that was written to the sales database in `seconds`."""
        self._wrote("write_back", decisions, seconds)

    def journaled(self, decisions: int, seconds: float) -> None:
        """Count a batch of `decisions` that was written to the journal in `seconds`."""
        self._wrote("journal", decisions, seconds)

    def _wrote(self, writer: str, decisions: int, seconds: float) -> None:
        self._batches(writer).observe(decisions)
        self._writes(writer).observe(seconds)

    def write_given_up(self) -> None:
        """Count a decision that was left to the scheduler because the sales database kept refusing it."""
        self._given_up.inc()

    def loop_was_late(self, seconds: float) -> None:
        """Record that the event loop woke a sleeping task `seconds` too late."""
        self._loop_delay.observe(seconds)
