"""What the API accepted, call by call, and what stands now: the judge of lost and doubled documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO, TypeAlias

from pydantic_core import to_json

Accepted: TypeAlias = Literal["create", "replace", "withdraw"]
Key: TypeAlias = tuple[str, str, str]
"""Kind, ma_co_so, the pharmacy's own code."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted call. `at`: seconds since the epoch."""

    seq: int
    at: float
    call: Accepted
    kind: str
    ma_co_so: str
    code: str
    national_id: str
    account: str
    body_sha256: str
    """Of the raw body, 64 hex digits; of nothing for a withdrawal."""
    new_document: bool
    """The call made a document exist that did not exist before."""


@dataclass(slots=True)
class Standing:
    """What the API holds for one code now."""

    kind: str
    ma_co_so: str
    code: str
    body_sha256: str
    creates: int = 0
    """POSTs accepted since it was last withdrawn; above 1: sent twice."""
    national_ids: list[str] = field(default_factory=list)
    """One for each document that exists; above one: doubled. The last one is what a look-up shows."""


@dataclass(frozen=True, slots=True)
class Summary:
    accepted: int
    """POSTs that were accepted, ever."""
    replaced: int
    withdrawn: int
    twice: int
    """Codes for which more than one POST was accepted (a withdrawal in between makes it no repeat)."""
    codes: int
    """Codes that are held now."""
    met_held: int
    """POSTs of a code that was held already, accepted or refused, since the simulator started."""


class Ledger:
    """In memory; with a `path` also in a JSONL file, so that a restarted simulator holds what it held.

    An entry is in the file before its call is answered. Raises `ValueError` for a file it did not write.
    """

    def __init__(self, clock: Callable[[], float], path: Path | None = None) -> None:
        self._clock = clock
        self._entries: list[Entry] = []
        self._held: dict[Key, Standing] = {}
        self._counts: dict[Accepted, int] = {"create": 0, "replace": 0, "withdraw": 0}
        self._twice: set[Key] = set()
        self._met_held = 0
        self._file: TextIO | None = None
        if path is not None:
            self._restore(path)
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def held(self, key: Key) -> Standing | None:
        return self._held.get(key)

    def count_met_held(self) -> None:
        """Count a POST of a code that is held already."""
        self._met_held += 1

    def accept(
        self, call: Accepted, key: Key, *, id_prefix: str, account: str, body_sha256: str, new_document: bool
    ) -> Entry:
        """Records the call. A new document gets the next national id, else the id that is held stays."""
        seq = len(self._entries) + 1
        standing = self._held.get(key)
        national_id = f"{id_prefix}{seq:08d}" if new_document or standing is None else standing.national_ids[-1]
        entry = Entry(seq, self._clock(), call, *key, national_id, account, body_sha256, new_document)
        self._apply(entry)
        if self._file is not None:
            self._file.write(to_json(entry).decode() + "\n")
        return entry

    def entries(self, code: str | None = None) -> list[Entry]:
        return [entry for entry in self._entries if code is None or entry.code == code]

    def standing(self, code: str | None = None) -> Iterable[Standing]:
        return [standing for standing in self._held.values() if code is None or standing.code == code]

    def summary(self) -> Summary:
        return Summary(
            accepted=self._counts["create"],
            replaced=self._counts["replace"],
            withdrawn=self._counts["withdraw"],
            twice=len(self._twice),
            codes=len(self._held),
            met_held=self._met_held,
        )

    def _apply(self, entry: Entry) -> None:
        key = (entry.kind, entry.ma_co_so, entry.code)
        self._entries.append(entry)
        self._counts[entry.call] += 1
        if entry.call == "withdraw":
            self._held.pop(key, None)
            return
        standing = self._held.setdefault(key, Standing(*key, entry.body_sha256))
        standing.body_sha256 = entry.body_sha256
        if entry.new_document:
            standing.national_ids.append(entry.national_id)
        if entry.call == "create":
            standing.creates += 1
            if standing.creates > 1:
                self._twice.add(key)

    def _restore(self, path: Path) -> None:
        """A half-written last line was never answered: it is cut off."""
        if not path.exists():
            return
        raw = path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            path.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: not an entry of a simulator's ledger") from error
            self._apply(entry)
