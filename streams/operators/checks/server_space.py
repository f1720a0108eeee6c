"""Checks of the space that SQL Server has: the transaction log, the files of the data, and the volumes of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.stores.capture_state import LogUse

EXPRESS_LIMIT_MB = 10_240
_NEARLY_FULL = 0.9
_MB = 1024 * 1024
_LITTLE_MB, _VERY_LITTLE_MB = 5120, 1024


@dataclass(frozen=True, slots=True)
class Volume:
    name: str
    free_mb: int
    size_mb: int


def judge_log(log: LogUse | None, recovery_model: str) -> Finding:
    """Judge the transaction log; None: the login may not see it."""
    about = "SQL Server: transaction log"
    if log is None:
        return skipped(about, "not examined: the server does not tell this login")
    size = f"{log.used // _MB} of {log.size // _MB} MB are used"
    limit = f", of {log.limit // _MB} MB that it may have" if log.limit else ""
    if log.waits_for_capture:
        finding = error if log.is_nearly_full or log.used > _NEARLY_FULL * log.size else warning
        return finding(
            about,
            f"waits to be captured, {size}{limit}: when it is full, no till can sell (9002)",
            "Start SQL Server Agent and its capture job; in an emergency connectors/sql/90_capture_off.sql.",
        )
    if log.is_nearly_full:
        what = f"{size}{limit}, waits for {log.waits_for}: when it is full, no till can sell (9002)"
        return error(about, what, "Let the log file grow, or back the log up more often (BACKUP LOG).")
    return ok(about, f"recovery model {recovery_model}, waits for {log.waits_for}, {size}{limit}")


def judge_data_space(data_mb: int | None, limit_mb: int | None, *, is_express: bool) -> Iterator[Finding]:
    """Judge the space that the data use. `limit_mb`: of the files; None: they may grow until the disk is full."""
    about = "SQL Server: space for the data"
    if data_mb is None:
        yield skipped(about, "not examined: the server does not tell this login")
        return
    if is_express and data_mb > _NEARLY_FULL * EXPRESS_LIMIT_MB:
        what = f"{data_mb} of the {EXPRESS_LIMIT_MB} MB of Express are used: when it is full, no till can sell"
        yield error(about, what, "Remove old data, or upgrade to Standard edition.")
    elif limit_mb is not None and data_mb > _NEARLY_FULL * limit_mb:
        what = f"{data_mb} of {limit_mb} MB are used, and the files cannot grow further: then no till can sell (1105)"
        yield error(about, what, "Let the data files grow (ALTER DATABASE ... MODIFY FILE), or remove old data.")
    else:
        of = f" of the {EXPRESS_LIMIT_MB} MB of Express" if is_express else f" of {limit_mb} MB" if limit_mb else " MB"
        yield ok(about, f"{data_mb}{of} are used")


def judge_volumes(volumes: Sequence[Volume] | None) -> Iterator[Finding]:
    """Judge the volumes with files of the database; None: the login may not see them."""
    about = "SQL Server: space on the disk"
    if volumes is None:
        yield skipped(about, "not examined: the server does not tell this login")
        return
    for volume in volumes:
        what = f"{volume.name} has {volume.free_mb} of {volume.size_mb} MB free"
        if volume.free_mb < _LITTLE_MB:
            finding = error if volume.free_mb < _VERY_LITTLE_MB else warning
            action = "Free space on this disk, or enlarge it."
            yield finding(about, f"{what}: when it is full, no till can sell", action)
        else:
            yield ok(about, what)
