"""Tests that docs/giving-up.md takes back everything that the scripts, commands and units create."""

from __future__ import annotations

import re

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.kafka.topics import change_topics, own_topics
from tests.contract.stores.databases import settings_for
from tests.support.connector_files import CONFIG, SQL, script
from tests.support.repository import ROOT

PAGE = (ROOT / "docs/giving-up.md").read_text(encoding="utf-8")
REHEARSAL = (ROOT / "docs/rehearsal.md").read_text(encoding="utf-8")


def removed_topics(page: str) -> list[str]:
    """Return the patterns of the topics that the page deletes."""
    return re.findall(r"kafka-topics\.sh .*--delete .*--topic '([^']+)'", page)


def is_removed(topic: str, page: str) -> bool:
    return any(re.fullmatch(pattern, topic) for pattern in removed_topics(page))


def test_every_topic_and_group_of_workers_and_connector_is_removed() -> None:
    settings = settings_for()
    connect = re.findall(r"STORAGE_TOPIC: (\S+)", (ROOT / "docs/compose/servers.yml").read_text(encoding="utf-8"))
    assert len(connect) == 3
    history = CONFIG["schema.history.internal.kafka.topic"]
    heartbeat = f"__debezium-heartbeat.{CONFIG['topic.prefix']}"
    created = [*change_topics(settings, DOCUMENT_TYPES), *own_topics(settings), *connect, history, heartbeat]
    assert [topic for topic in created if not is_removed(topic, PAGE)] == []
    groups = re.findall(r"--delete --group (\S+)", PAGE)
    assert groups == [settings.deployment, f"{settings.deployment}-journal"]


@pytest.mark.parametrize("topic", ["sales", "sale-status-2", "pharmacy.other.dbo.SalesInvoices", "__consumer_offsets"])
def test_no_topic_of_another_program_is_removed(topic: str) -> None:
    assert not is_removed(topic, PAGE)
    assert not is_removed(topic, REHEARSAL)


def test_cleaning_up_after_a_rehearsal_removes_its_topics_and_groups_and_not_productions() -> None:
    rehearsal = settings_for(topic_prefix="rehearsal", sales_change_topic="rehearsal.chain_rehearsal.dbo.SalesInvoices")
    for topic in (*change_topics(rehearsal, DOCUMENT_TYPES), *own_topics(rehearsal)):
        assert is_removed(topic, REHEARSAL), topic
    for topic in (*change_topics(settings_for(), DOCUMENT_TYPES), *own_topics(settings_for())):
        assert not is_removed(topic, REHEARSAL), topic
    for group in (rehearsal.deployment, f"{rehearsal.deployment}-journal"):
        assert f"--group {group}" in REHEARSAL
    assert f"mongosh {rehearsal.journal_database} " in REHEARSAL


@pytest.mark.parametrize("page", [PAGE, REHEARSAL], ids=["giving up", "rehearsal"])
def test_every_script_that_a_page_runs_exists_with_its_variables(page: str) -> None:
    runs = re.findall(r"(?m)^PS> sqlcmd .* -i (\S+)$", page)
    assert runs
    for line in re.findall(r"(?m)^PS> sqlcmd .*$", page):
        name = line.rsplit(" ", 1)[1]
        assert (SQL / name).is_file()
        for variable in set(re.findall(r"\$\((\w+)\)", script(name))):
            assert f"-v {variable}=" in line or f"$env:{variable} = " in page, (line, variable)


def test_units_folders_and_accounts_of_the_installation_are_removed() -> None:
    guide = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    units = {path.name for path in (ROOT / "docs/systemd").iterdir()} | {"kafka.service"}
    assert all(f"/etc/systemd/system/{unit}" in PAGE for unit in units)
    for account in re.findall(r"useradd --system .* (\S+)\n", guide):
        assert f"userdel {account}" in PAGE
    for folder in ("/opt/pharmacy-sale-streams", "/etc/pharmacy-sale-streams", "/var/lib/pharmacy-rehearsal"):
        assert folder in re.findall(r"rm -rf (.*)", PAGE)[0]
    for login in re.findall(r'\$env:(?:WORKER|DEBEZIUM)_LOGIN = "(\w+)"', guide):
        assert f"DROP LOGIN {login};" in PAGE
    [rule] = re.findall(r'New-NetFirewallRule -DisplayName "([^"]+)"', guide)
    assert f'Remove-NetFirewallRule -DisplayName "{rule}"' in PAGE
