"""Prometheus' own checker, from Debian's package."""

from __future__ import annotations

from pathlib import Path

from tests.debian_binary import debian_binary


def promtool() -> Path:
    """Find promtool, or raise `PackagesMissing` where Debian's packages cannot be had."""
    return debian_binary("prometheus", "usr/bin/promtool")
