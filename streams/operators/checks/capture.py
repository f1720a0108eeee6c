"""Checks of SQL Server's change data capture: that it is on, runs, and captures the table as it is now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from streams.documents.document import DocumentType
from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.stores.capture_setup import Capture, CapturedColumn

_ABOUT = "change data capture"
_SCRIPT = "connectors/sql/10_capture_on.sql"
_MIN_RETENTION_DAYS = 14
_AGAIN = f"Disable this instance (sys.sp_cdc_disable_table), then run {_SCRIPT} again; after closing time."


def judge_capture(capture: Capture | None, document_type: DocumentType) -> Iterator[Finding]:
    if capture is None:
        yield skipped(_ABOUT, "not examined: this server is not SQL Server")
        return
    if capture.database is False:
        yield error(_ABOUT, "is off in this database", f"A sysadmin runs {_SCRIPT}.")
        return
    if capture.table is False:
        yield error(_ABOUT, f"does not capture dbo.{document_type.table}", f"A sysadmin runs {_SCRIPT}.")
    if capture.snapshots is False:
        yield warning(_ABOUT, "snapshot isolation is not allowed in this database", f"A sysadmin runs {_SCRIPT}.")
    if capture.job is False:
        yield error(_ABOUT, "its capture job does not run", f"Start SQL Server Agent, then run {_SCRIPT} again.")
    if capture.kept_days is not None and capture.kept_days < _MIN_RETENTION_DAYS:
        what = f"keeps changes for {capture.kept_days:g} days: a connector that is stopped for longer misses sales"
        yield warning(_ABOUT, what, f"{_SCRIPT} sets {_MIN_RETENTION_DAYS} days.")
    if capture.job is None:
        why = "this login may not see its job; connectors/README.md, Is it working?, says how to examine it"
        yield skipped(f"{_ABOUT}: job", why)
    if capture.columns is None:
        why = "this login may not see them; connectors/sql/00_check.sql examines them as a sysadmin"
        yield skipped(f"{_ABOUT}: instances", why)
    else:
        yield from _instances(capture.columns, document_type)
    if capture.database and capture.table and capture.job is not False:
        what = f"captures dbo.{document_type.table}; TRUNCATE TABLE is refused for it (4711), DELETE works"
        yield ok(_ABOUT, what)


def _instances(columns: Sequence[CapturedColumn], document_type: DocumentType) -> Iterator[Finding]:
    by_instance: dict[str, list[CapturedColumn]] = defaultdict(list)
    for column in columns:
        by_instance[column.instance].append(column)
    for instance, captured in by_instance.items():
        about, table = f"{_ABOUT}: instance {instance}", captured[0].table
        own_name = instance.lower().startswith(f"dbo_{document_type.table}_".lower())
        is_for_this = table is not None and table.lower() == document_type.table.lower()
        if table is None or (captured[0].is_ours and own_name and not is_for_this):
            what = "captures a table that is not there any more: it was renamed or made again"
            yield error(about, what, f"Run {_SCRIPT}, then sys.sp_cdc_disable_table for this instance.")
        elif captured[0].is_ours and is_for_this:
            yield from _columns(about, captured, document_type)


def _columns(about: str, captured: Sequence[CapturedColumn], document_type: DocumentType) -> Iterator[Finding]:
    names = {column.column.lower() for column in captured}
    wanted = ("id", document_type.document_code_column, "pharmacy_code", "shop_pharmacy_code", "status")
    if missing := [name for name in wanted if name not in names]:
        yield error(about, f"does not capture {', '.join(missing)}", _AGAIN)
    if outdated := [column.column for column in captured if column.is_outdated]:
        what = f"captures {', '.join(outdated)} with an earlier type or length: longer values stop it (2628, 8115)"
        yield error(about, what, _AGAIN)
