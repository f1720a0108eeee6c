"""Checks of the triggers on a table that decisions are written into."""

from __future__ import annotations

from collections.abc import Iterator

from streams.operators.checks import Finding, ok, warning
from streams.stores.triggers import Triggers

_ASK = "Ask the vendor whether it is right when one statement changes many rows, and under the worker's login"


def judge_triggers(found: Triggers | None, table: str, *, rows_per_update: int) -> Iterator[Finding]:
    """Judge the triggers of the table; None: there is nothing to judge. `rows_per_update`: WRITE_BACK_ROWS."""
    if found is None:
        return
    about = f"sales database: triggers on dbo.{table}"
    if not found.visible and not found.hidden:
        yield ok(about, "none runs when a result is written")
        return
    names = ", ".join(trigger.name for trigger in found.visible)
    hidden = f"{found.hidden} whose names this login may not see" if found.hidden else ""
    what = f"run when a result is written: {names or hidden}"
    reaching = [trigger.name for trigger in found.visible if trigger.reaches_out]
    if reaching:
        what += f"; {', '.join(reaching)} may use another database, where the worker's login has no rights (916)"
    if rows_per_update == 1 and not reaching:
        yield ok(about, f"{what}; WRITE_BACK_ROWS=1, so each runs for one row")
        return
    at_once = f"; up to {rows_per_update} rows are changed by one statement" if rows_per_update > 1 else ""
    unsure = ". If it is not, or you are not sure: WRITE_BACK_ROWS=1." if rows_per_update > 1 else "."
    yield warning(about, f"{what}{at_once}", f"{_ASK}{unsure}")
