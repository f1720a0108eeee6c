"""The tools that check compose files, in an environment of their own, and what a compose file says."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from streams.local.cache import cache_folder, made_once
from tests.support.repository import ROOT

LOCK = ROOT / ".ci/compose-check.lock"
PINNED = re.compile(r"[\w./-]+:\d[\w.-]*\.\d[\w.-]*|mcr\.microsoft\.com/mssql/server:2022-CU\d+-ubuntu-22\.04")
"""An image that is pinned to one version."""


def compose_tools() -> Path:
    """Install check-jsonschema in an environment of its own, because it needs a newer click than Faust allows. Return
    the folder of its programs.
    """
    place = cache_folder() / f"compose-check-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    ready = place.with_suffix(".ready")

    def make() -> None:
        uv, python = str(Path(sys.executable).parent / "uv"), str(place / "bin/python")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(LOCK)]
        subprocess.run(install, check=True)
        ready.touch()

    made_once(ready, make)
    return place / "bin"


def loaded(tools: Path, text: str) -> dict[str, Any]:
    """Return what the text of a compose file says."""
    read = "import json, sys; from ruamel.yaml import YAML; json.dump(YAML(typ='safe').load(sys.stdin), sys.stdout)"
    ran = subprocess.run([str(tools / "python"), "-c", read], input=text, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(ran.stdout)
    return document
