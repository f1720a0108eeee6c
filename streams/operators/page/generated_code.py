"""The access code that a worker generates if PAGE_TOKEN is not set.

Only the worker's account on its machine can read it. The address of a request alone proves nothing, since a proxy on
this machine may forward requests from anywhere.
"""

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
    """Return the file of the code.

    It is in the folder that systemd creates for the service, or else in a private folder of this account below the
    folder for temporary files. The service is named after the web server's port or, with several databases, after the
    folder of the settings, in which both the service and the commands are run.
    """
    for service in (str(settings.web_port), Path.cwd().name):
        service_folder = run / f"pharmacy-sale-streams-{service}"
        if _is_private_folder(service_folder):
            return service_folder / "page-code"
    return Path(tempfile.gettempdir()) / f"{settings.deployment}-{os.getuid()}-page" / f"code-{settings.web_port}"


def read_code(file: Path) -> str | None:
    """Return the code; None: no worker has generated one, or another account could have written or read the file."""
    try:
        with open(file, opener=_open_without_links) as opened:
            state = os.fstat(opened.fileno())
            if not (_is_private_folder(file.parent) and _is_private(state) and stat.S_ISREG(state.st_mode)):
                return None
            return opened.read(200).strip() or None
    except (OSError, ValueError):
        return None


def make_code(file: Path) -> str:
    """Return the code in the file, so that a restart signs nobody out, or else a new one, which is written there.

    If it cannot be written, nobody can read it, so nobody can sign in; that is logged.
    """
    if code := read_code(file):
        return code
    code = secrets.token_urlsafe(18)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if not _is_private_folder(file.parent):
            raise PermissionError(0, "its folder belongs to another account, or other accounts may write there")
        new.unlink(missing_ok=True)
        with open(new, "x", opener=_create_private) as opened:
            opened.write(f"{code}\n")
        new.replace(file)
    except OSError as error:
        action = "set PAGE_TOKEN, or allow the worker's account to write there"
        log.error("page.no_code", file=str(file), error=error.strerror, action=action)
    return code


def _is_private_folder(folder: Path) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and _is_private(state)


def _is_private(state: os.stat_result) -> bool:
    return state.st_uid == os.getuid() and not state.st_mode & 0o077


def _open_without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _create_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
