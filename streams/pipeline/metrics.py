"""What is counted as it happens, for Prometheus. What a part knows by itself is read from it when somebody asks:
`streams.monitoring.exposition`.

Labels have few values that are known beforehand: never a shop, an invoice or a name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram

from streams.domain.account import CredentialsRefused, LogInResult, Token
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import TryLater
from streams.domain.sale_status import Version
from streams.national_api.login import PATH as LOG_IN
from streams.national_api.own_form import Answer
from streams.national_api.transport import CallResult
from streams.pipeline.retry_policy import Decision
from streams.pipeline.sender import PublishStatus
from streams.stores.sync_state import Claim

_CALL = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_STORE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_DELAY = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_ATTEMPTS = (1, 2, 3, 5, 8, 13, 21, 50)
_BATCH = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LOOP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_STATUSES = frozenset({200, 201, 400, 401, 403, 404, 405, 409, 422, 429, 500, 501, 502, 503, 504})

LOG_IN_RESULTS = ("token", "refused", "unavailable")


def call_name(method: str, path: str) -> str:
    """create, replace, look_up or log_in."""
    if method == "POST":
        return "log_in" if path == LOG_IN else "create"
    return {"PUT": "replace", "GET": "look_up"}.get(method, "other")


def call_status(result: CallResult) -> str:
    """The HTTP status, or what happened instead of an answer: unreachable, timed_out, connection_lost."""
    if not isinstance(result, Answer):
        return result.reason.code.value
    return str(result.status) if result.status in _STATUSES else f"{result.status // 100}xx"


class Metrics:
    """One for each app, with a registry of its own. All methods are for the event loop and take microseconds."""

    def __init__(self, documents: Iterable[str], clock: Callable[[], float] = time.time) -> None:
        """`documents`: the names of the kinds. `clock`: epoch seconds."""
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        self.capture_delay: dict[str, float] = {}
        """Of the newest document of each kind: seconds from its commit to its change event in Kafka."""
        # To look up what stands behind some labels takes as long as to count it: each is looked up once.
        self._decisions = cache(
            Counter(
                "pharmacy_decisions",
                "Decisions told on sale-status, one for each attempt, by what became of the document and why",
                ["document", "status", "reason"],
                registry=registry,
            ).labels
        )
        self._attempts = cache(
            Histogram(
                "pharmacy_attempts_until_decision",
                "Attempts that a document took until its end",
                ["document"],
                buckets=_ATTEMPTS,
                registry=registry,
            ).labels
        )
        self._decided_after = cache(
            Histogram(
                "pharmacy_first_decision_delay_seconds",
                "From the commit of a new document in the database to its first decision on sale-status",
                ["document"],
                buckets=_DELAY,
                registry=registry,
            ).labels
        )
        self._captured_after = cache(
            Histogram(
                "pharmacy_capture_delay_seconds",
                "From the commit of a new document in the database to its change event in Kafka",
                ["document"],
                buckets=_DELAY,
                registry=registry,
            ).labels
        )
        self._calls = cache(
            Histogram(
                "pharmacy_api_call_duration_seconds",
                "Calls to the national API, repeated ones too, by HTTP status or by what came instead of an answer",
                ["call", "status"],
                buckets=_CALL,
                registry=registry,
            ).labels
        )
        self._log_ins = cache(
            Counter("pharmacy_log_ins", "Log-ins to the national API, by result", ["result"], registry=registry).labels
        )
        self._batches = cache(
            Histogram(
                "pharmacy_store_batch_size",
                "Decisions in one batch, by who wrote it: write_back (sales database) or journal (MongoDB)",
                ["writer"],
                buckets=_BATCH,
                registry=registry,
            ).labels
        )
        self._writes = cache(
            Histogram(
                "pharmacy_store_batch_duration_seconds",
                "Time that a batch took, waiting for a store that is away included",
                ["writer"],
                buckets=_STORE,
                registry=registry,
            ).labels
        )
        self._given_up = Counter(
            "pharmacy_write_back_given_up",
            "Decisions that the sales database refused for so long that the scheduler has to bring them back",
            registry=registry,
        )
        self._loop_delay = Histogram(
            "pharmacy_event_loop_delay_seconds",
            "How late the event loop woke a sleeper, looked at once a second",
            buckets=_LOOP,
            registry=registry,
        )
        # A counter that begins with its first event hides that event from `increase`.
        for document in documents:
            for histogram in (self._attempts, self._decided_after, self._captured_after):
                histogram(document)
            self._decisions(document, "SYNC_SUCCESS", "none")
        for result in LOG_IN_RESULTS:
            self._log_ins(result)
        for writer in ("write_back", "journal"):
            self._batches(writer)
            self._writes(writer)

    def captured(self, ask: SendRequest, in_kafka_since: float) -> None:
        """A change event was read. `in_kafka_since`: epoch seconds."""
        if ask.origin is Origin.INSERTED:
            self.capture_delay[ask.document_type] = delay = max(0.0, in_kafka_since - ask.captured_at_ms / 1000)
            self._captured_after(ask.document_type).observe(delay)

    def counting(self, tell: PublishStatus) -> PublishStatus:
        """`tell`, with every decision counted once the broker has it."""

        async def told(ask: SendRequest, claim: Claim, decision: Decision, version: Version | None) -> None:
            await tell(ask, claim, decision, version)
            self._decided(ask, claim, decision)

        return told

    def _decided(self, ask: SendRequest, claim: Claim, decision: Decision) -> None:
        reason = decision.reason.code.value if decision.reason else "none"
        self._decisions(ask.document_type, decision.status, reason).inc()
        if decision.status != "PENDING_SYNC":
            self._attempts(ask.document_type).observe(claim.attempt)
        if ask.origin is Origin.INSERTED:
            self._decided_after(ask.document_type).observe(max(0.0, self._clock() - ask.captured_at_ms / 1000))

    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        self._calls(call_name(method, path), call_status(result)).observe(seconds)

    def logged_in(self, result: LogInResult | TryLater) -> None:
        match result:
            case Token():
                self._log_ins("token").inc()
            case CredentialsRefused():
                self._log_ins("refused").inc()
            case _:
                self._log_ins("unavailable").inc()

    def wrote_back(self, decisions: int, seconds: float) -> None:
        self._wrote("write_back", decisions, seconds)

    def journaled(self, decisions: int, seconds: float) -> None:
        self._wrote("journal", decisions, seconds)

    def _wrote(self, writer: str, decisions: int, seconds: float) -> None:
        self._batches(writer).observe(decisions)
        self._writes(writer).observe(seconds)

    def write_given_up(self) -> None:
        self._given_up.inc()

    def loop_was_late(self, seconds: float) -> None:
        self._loop_delay.observe(seconds)
