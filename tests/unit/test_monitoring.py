"""Tests that alerts, dashboard and runbook name only metrics, reasons and sections that exist."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric

from streams.domain.reasons import Code
from tests.unit.expositions import exposition

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = (DOCS / "monitoring/alerts.yml").read_text(encoding="utf-8")
RUNBOOK = (DOCS / "runbook.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((DOCS / "monitoring/dashboard.json").read_text())
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}


@cache
def families() -> list[Metric]:
    return list(exposition().registry.collect())


def exported() -> set[str]:
    return {metric.name + suffix for metric in families() for suffix in _SUFFIXES.get(metric.type, ())}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def named(text: str) -> set[str]:
    return set(re.findall(r"\b(?:pharmacy|process)_\w+", text))


def alerts() -> list[str]:
    return re.findall(r"(?m)^ +- alert: (\w+)$", ALERTS)


def test_every_metric_of_the_alerts_is_exported() -> None:
    names = named(re.sub(r"(?m)^ +runbook: .*$", "", ALERTS))
    assert len(names) > 15
    assert names - exported() == set()


def test_every_metric_of_the_dashboard_is_exported() -> None:
    queried = [*queries(), *(v["definition"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query")]
    assert named(" ".join(queried)) - exported() == set()


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    seen = named(ALERTS) | named(" ".join(queries()))
    ours = [metric for metric in families() if metric.name.startswith("pharmacy_")]
    unseen = [m.name for m in ours if not {m.name + suffix for suffix in _SUFFIXES[m.type]} & seen]
    assert len(ours) > 30
    assert unseen == []


@pytest.mark.parametrize("metric", families(), ids=lambda metric: metric.name)
def test_metric_names_follow_the_conventions(metric: Metric) -> None:
    assert metric.documentation
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    if metric.name.startswith("pharmacy_") and re.search("delay|duration|age|closed_|waits|still", metric.name):
        assert metric.name.endswith("_seconds")


def test_every_reason_in_alerts_and_dashboard_exists() -> None:
    known = {code.value for code in Code} | {"none", "other"}
    text = ALERTS + " ".join(queries())
    looked_for = re.findall(r'reason(?:=|!=|=~|!~)"([^"$]+)"', text)
    assert looked_for
    assert {reason for group in looked_for for reason in group.split("|")} - known == set()


def test_every_alert_has_texts_in_both_languages_and_a_link_to_the_runbook() -> None:
    blocks = ALERTS.split("      - alert: ")[1:]
    assert len(blocks) == len(alerts()) == len(set(alerts())) > 10
    for name, block in zip(alerts(), blocks, strict=True):
        for part in ("expr: >-", "for: ", "labels: {severity: ", 'summary: "', "description: >-"):
            assert part in block, (name, part)
        for part in ("summary", "description"):
            english, vietnamese = _annotation(block, part), _annotation(block, f"{part}_vi")
            assert english.isascii(), (name, part)
            assert not vietnamese.isascii(), (name, part)
            values = re.findall(r"{{.*?}}", english)
            assert sorted(re.findall(r"{{.*?}}", vietnamese)) == sorted(values), (name, part)
        assert f"runbook: docs/runbook.md#{name.lower()}\n" in block + "\n"
        assert f"runbook_vi: docs/vi/runbook.md#{name.lower()}\n" in block + "\n"


def _annotation(block: str, name: str) -> str:
    found = re.search(rf"(?m)^ +{name}: (.*(?:\n {{12}}.*)*)", block)
    assert found is not None, name
    return found[1]


def test_the_runbook_has_one_section_for_each_alert() -> None:
    assert re.findall(r"(?m)^## (\w+)$", RUNBOOK) == alerts()
    assert re.findall(r"(?m)^## (\w+)$", (DOCS / "vi/runbook.md").read_text(encoding="utf-8")) == alerts()
    sections = re.split(r"(?m)^## ", RUNBOOK)[1:]
    for section in sections:
        assert "**Means:**" in section or "**Look at, do:**" in section, section[:40]
        assert re.search(r"\*\*(Do|Look at, do):\*\*", section), section[:40]


def test_every_alert_has_a_test_scene() -> None:
    scenes = (DOCS / "monitoring/alerts.test.yml").read_text()
    assert set(re.findall(r'alertname="(\w+)"', scenes)) == set(alerts())


def test_the_runbook_names_only_existing_sections_files_and_settings() -> None:
    anchors = {f"#{title.lower()}" for title in re.findall(r"(?m)^## (.+)$", RUNBOOK)}
    for link in re.findall(r"\]\(([^)]+)\)", RUNBOOK):
        assert link in anchors or (DOCS / link.partition("#")[0]).exists(), link
    for script in re.findall(r"connectors/sql/\w+\.sql", RUNBOOK):
        assert (DOCS.parent / script).exists(), script
    settings = (DOCS.parent / ".env.example").read_text()
    for setting in re.findall(r"`([A-Z][A-Z_]{5,})(?:=0)?`", RUNBOOK):
        assert f"{setting}=" in settings or setting.startswith(("PENDING", "SYNC")), setting


def test_every_log_event_that_the_runbook_names_exists() -> None:
    code = " ".join(path.read_text() for path in (DOCS.parent / "streams").rglob("*.py"))
    lines = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", RUNBOOK)) - {"sys.dm_cdc_log_scan_sessions"}
    assert len(lines) > 5
    assert [line for line in sorted(lines) if f'"{line}"' not in code and "waiting" not in line] == []


def test_no_panel_of_the_dashboard_overlaps_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
