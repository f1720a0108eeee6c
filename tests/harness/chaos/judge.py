"""Judges a run: compares what each place says of every single sale.

It has no side effects.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from streams.domain.document_status import FAILED, SUCCEEDED, Status, is_failure
from streams.domain.sale_status import SaleStatus
from streams.local.simulator.ledger import Standing

Offence: TypeAlias = Literal["lost", "wrong", "twice", "undecided"]
OFFENCES: Sequence[Offence] = ("lost", "wrong", "twice", "undecided")
_ENDS = {*SUCCEEDED.values(), *FAILED.values()}
LARGEST_MB = 400
"""Resident, of one worker, at any moment."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The decision that a sale has to get."""

    status: Literal["SYNC_SUCCESS", "SYNC_FAILED", "CANCELLED"] | None
    """None: the point of sale itself does not know what it committed, so either may be right."""
    stored: bool = False
    """Failed, and an older version is held."""
    breaks: tuple[str, str] | None = None
    """Failed because of this alone: wire field and rule."""


@dataclass(frozen=True, slots=True)
class Junk:
    """A record that is not ours."""

    topic: str
    dead_letters: bool | None
    """Whether it has to be a dead letter of each reader, or must be none. None: it is not known whether the broker took
    it."""

    @property
    def readers(self) -> Sequence[str]:
        return ("sale-status", "journal") if self.topic == "sale-status" else (self.topic,)


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    local_invoice_id: str
    pharmacy_code: str
    status: str
    national_id: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the stores and topics have after everything has come to rest."""

    rows: Mapping[int, Row]
    expected: Mapping[int, Expected]
    stored: Mapping[tuple[str, str], Standing]
    """By pharmacy and invoice code."""
    bodies: Mapping[int, str | None]
    """SHA-256 of the body that each row makes now; None where it breaks a rule."""
    published: Sequence[SaleStatus]
    """`sale-status`, repeats and all."""
    task_logs: Sequence[Mapping[str, Any]]
    sync_failures: Sequence[Mapping[str, Any]]
    junk: Mapping[str, Junk]
    """By key."""
    dead_letters: Sequence[tuple[str, str]]
    """Key and reader."""
    forged: Set[str] = frozenset()
    """Event ids of decisions that nobody made: the journal keeps what the topic says, so it may have these."""
    planted: Sequence[str] = ()
    """Own codes of sales that were committed with something wrong in them."""
    unplayed: Sequence[str] = ()
    """Kinds of faults that were planned and never seen to happen, or of which no worker said what it has to say."""
    unacknowledged: Mapping[str, int] = field(default_factory=dict)
    """Topic -> events that no group has committed."""
    uncaptured: Sequence[int] = ()
    """Sales whose last change never came to Kafka."""
    leaks: Sequence[str] = ()
    stalls: Sequence[str] = ()
    mistakes: Sequence[str] = ()
    """What workers said of mistakes of their own, or ends that nobody asked for."""
    peak_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    offence: Offence
    sale: int
    words: str


@dataclass(frozen=True, slots=True)
class Verdict:
    sales: int
    findings: Sequence[Finding]
    others: Sequence[str]
    """What else is not as promised."""
    documents: str = "sales"
    """What was judged."""

    @property
    def right(self) -> bool:
        return not self.findings and not self.others

    def line(self, faults: int, kinds: int) -> str:
        counts = {offence: len({f.sale for f in self.findings if f.offence == offence}) for offence in OFFENCES}
        words = ", ".join(f"{offence} {count}" for offence, count in counts.items())
        return f"{words} of {self.sales} {self.documents}; {faults} faults of {kinds} kinds"


def judge(evidence: Evidence, documents: str = "sales") -> Verdict:
    """Judge the documents of one type; `documents` is what people call many of them."""
    published: dict[int, list[SaleStatus]] = defaultdict(list)
    for status in evidence.published:
        published[status.id].append(status)
    logged = {str(entry["_id"]) for entry in evidence.task_logs}
    failures = {str(entry["_id"]): entry for entry in evidence.sync_failures}
    findings = [
        finding
        for row in evidence.rows.values()
        for finding in _of_sale(row, evidence, published[row.id], logged, failures)
    ]
    return Verdict(len(evidence.rows), findings, list(_others(evidence, logged)), documents)


def _of_sale(
    row: Row,
    evidence: Evidence,
    published: Sequence[SaleStatus],
    logged: set[str],
    failures: Mapping[str, Mapping[str, Any]],
) -> Iterator[Finding]:
    def found(offence: Offence, words: str) -> Finding:
        return Finding(offence, row.id, words)

    document = evidence.stored.get((row.pharmacy_code, row.local_invoice_id))
    if document and (document.creates > 1 or len(document.national_ids) > 1):
        yield found("twice", f"{document.creates} POSTs accepted, {len(document.national_ids)} documents")
    if row.status not in _ENDS:
        yield found("undecided", f"its row says {row.status}")
        return
    expected = evidence.expected.get(row.id, Expected(None))
    if expected.status not in (None, row.status):
        yield found("wrong", f"it ended as {row.status}, not as {expected.status}")
    latest = max(published, key=lambda status: status.attempt, default=None)
    if latest is None:
        yield found("lost", "its row has an end that was never told")
        return
    yield from _of_end(row, expected, evidence, document, latest)
    yield from _of_published(row, published, latest)
    for event_id in sorted({status.event_id for status in published} - logged):
        yield found("lost", f"the journal lacks its decision {event_id}")
    if is_failure(latest.status):
        entry = failures.get(latest.event_id)
        if entry is None:
            yield found("lost", "sync_failures lacks its failure")
        elif not entry.get("reason"):
            yield found("wrong", "its entry in sync_failures has no reason")
        elif latest.status == "SYNC_FAILED" and _is_refusal(latest) and not entry.get("payload"):
            yield found("lost", "its entry in sync_failures lacks what was sent")


def _of_end(
    row: Row, expected: Expected, evidence: Evidence, document: Standing | None, latest: SaleStatus
) -> Iterator[Finding]:
    """Compare the row with the national system."""
    reason = latest.reason.code if latest.reason else None
    national_id = document.national_ids[-1] if document else None
    if row.status == "SYNC_SUCCESS":
        if document is None:
            yield Finding("lost", row.id, "its row says SYNC_SUCCESS, and the national system does not hold it")
            return
        if row.national_id != national_id and not (row.national_id is None and reason == "id_unknown"):
            yield Finding("wrong", row.id, f"its row says {row.national_id}, the national system {national_id}")
        body = evidence.bodies.get(row.id)
        if expected.status is not None and body != document.body_sha256:
            yield Finding("wrong", row.id, "the national system holds another version than its row")
        return
    if row.status == "CANCELLED":
        if document is not None:
            words = f"its row says CANCELLED, and the national system holds it as {national_id}"
            yield Finding("wrong", row.id, words)
        return
    if not row.message or reason is None:
        yield Finding("wrong", row.id, "it failed without a reason")
    if row.status == "CANCEL_FAILED":
        if document is None:
            yield Finding("wrong", row.id, "its row says CANCEL_FAILED, and the national system does not hold it")
        return
    broken = [(detail.field, detail.rule) for detail in latest.reason.details] if latest.reason else []
    if expected.breaks is not None and broken != [expected.breaks]:
        yield Finding("wrong", row.id, f"it failed for {reason} {broken}, not for {expected.breaks}")
    if document is not None and not (reason == "older_version_stored" and row.national_id == national_id):
        yield Finding("wrong", row.id, f"its row says SYNC_FAILED, and the national system holds it as {national_id}")
    if document is None and reason == "older_version_stored":
        yield Finding("wrong", row.id, "it is said that an older version is held, and none is")
    if document is None and expected.stored:
        yield Finding("lost", row.id, "its older version is not held any more")


def _is_refusal(status: SaleStatus) -> bool:
    return status.reason is not None and status.reason.code == "api_refused"


def _of_published(row: Row, published: Sequence[SaleStatus], latest: SaleStatus) -> Iterator[Finding]:
    """Compare `sale-status` with itself, and with the row."""
    decisions: dict[int, set[tuple[Status, str | None]]] = defaultdict(set)
    for status in published:
        decisions[status.attempt].add((status.status, status.national_invoice_id))
        if (status.local_invoice_id, status.pharmacy_code) != (row.local_invoice_id, row.pharmacy_code):
            yield Finding("wrong", row.id, f"told as {status.pharmacy_code}/{status.local_invoice_id}")
    for attempt, decided in sorted(decisions.items()):
        if len(decided) > 1:
            yield Finding("wrong", row.id, f"two decisions of attempt {attempt}: {sorted(map(str, decided))}")
    if (latest.status, latest.national_invoice_id) != (row.status, row.national_id):
        what = f"{latest.status} {latest.national_invoice_id} (attempt {latest.attempt})"
        yield Finding("wrong", row.id, f"last told: {what}; its row: {row.status} {row.national_id}")


def _others(evidence: Evidence, logged: set[str]) -> Iterator[str]:
    known = {(row.pharmacy_code, row.local_invoice_id) for row in evidence.rows.values()}
    for pharmacy, code in sorted(evidence.stored.keys() - known):
        yield f"the national system holds {pharmacy}/{code}, which no row is"
    ids = [str(entry["_id"]) for entry in evidence.task_logs]
    published = {status.event_id for status in evidence.published}
    if never_published := len(logged - published - evidence.forged):
        yield f"{never_published} entries of the journal were never told"
    if len(ids) != len(logged):
        yield f"{len(ids) - len(logged)} decisions stand twice in the journal"
    for status in evidence.published:
        if status.id not in evidence.rows:
            yield f"told of sale {status.id}, which there is none of"
    codes = {row.local_invoice_id for row in evidence.rows.values()}
    yield from (f"sale {code} was committed and is no row any more" for code in evidence.planted if code not in codes)
    yield from _of_letters(evidence)
    yield from (f"never seen to happen: {kind}" for kind in evidence.unplayed)
    for topic, count in evidence.unacknowledged.items():
        if count:
            yield f"{count} events of {topic} are not acknowledged"
    if evidence.uncaptured:
        yield f"the last change of {len(evidence.uncaptured)} rows was not captured: {list(evidence.uncaptured)[:10]}"
    yield from (f"leak: {leak}" for leak in evidence.leaks)
    yield from (f"stall: {stall}" for stall in evidence.stalls)
    yield from evidence.mistakes
    if evidence.peak_mb > LARGEST_MB:
        yield f"a worker took {evidence.peak_mb:.0f} MB, {LARGEST_MB} at most"


def _of_letters(evidence: Evidence) -> Iterator[str]:
    letters = Counter(evidence.dead_letters)
    for key, junk in evidence.junk.items():
        for reader in junk.readers:
            if junk.dead_letters is True and not letters[(key, reader)]:
                yield f"{key}, written to {junk.topic}, is no dead letter of {reader}"
            if junk.dead_letters is False and letters[(key, reader)]:
                yield f"{key}, written to {junk.topic}, is a dead letter of {reader}, and can be read"
    for key, reader in sorted(letters):
        if key not in evidence.junk:
            yield f"a dead letter of {reader} that is no junk: {key}"
        elif reader not in evidence.junk[key].readers:
            yield f"{key}, written to {evidence.junk[key].topic}, is a dead letter of {reader}"
