"""The access code that a worker makes for itself where nobody has set one: to read it one must be on its machine, as
its account. That a request comes from this machine proves nothing, since a proxy on it may let the whole world in."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

import structlog

from streams.settings import Settings

log = structlog.get_logger(__name__)

_RUN = Path("/run")


def code_file(settings: Settings, run: Path = _RUN) -> Path:
    """In the folder that systemd makes for the service, else in a folder of this account's own for temporary files."""
    of_the_service = run / f"pharmacy-sale-streams-{settings.web_port}"
    if _is_ours(of_the_service):
        return of_the_service / "page-code"
    return Path(tempfile.gettempdir()) / f"{settings.app_id}-{os.getuid()}-page" / f"code-{settings.web_port}"


def read_code(file: Path) -> str | None:
    """None: no worker has made one, or others could have put it there or read it."""
    try:
        with open(file, opener=_unfollowed) as opened:
            state = os.fstat(opened.fileno())
            if not (_is_ours(file.parent) and _is_private(state) and stat.S_ISREG(state.st_mode)):
                return None
            return opened.read(200).strip() or None
    except (OSError, ValueError):
        return None


def make_code(file: Path) -> str:
    """The one that stands there, so that a restart signs nobody out; else a new one. Where it cannot be written nobody
    knows it, and nobody gets in."""
    if code := read_code(file):
        return code
    code = secrets.token_urlsafe(18)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(file.parent):
            raise PermissionError(0, "its folder belongs to somebody else, or others may write there")
        new.unlink(missing_ok=True)
        with open(new, "x", opener=_private) as opened:
            opened.write(f"{code}\n")
        new.replace(file)
    except OSError as error:
        action = "set PAGE_TOKEN, or see to it that the worker's account can write there"
        log.error("page.no_code", file=str(file), error=error.strerror, action=action)
    return code


def _is_ours(folder: Path) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and _is_private(state)


def _is_private(state: os.stat_result) -> bool:
    return state.st_uid == os.getuid() and not state.st_mode & 0o077


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
