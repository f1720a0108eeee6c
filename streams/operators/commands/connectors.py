"""``faust -A streams.app connectors``: deploys the Debezium connector to Kafka Connect and manages it there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from streams.documents.document import DocumentType
from streams.operators import Problem, Report
from streams.operators.command_line import JSON, run
from streams.operators.connect.api import ConnectApi, ConnectorNotFound, ConnectorStatus, TaskState
from streams.operators.connect.connector_file import CONNECTOR
from streams.operators.connect.deploy import deploy
from streams.operators.connect.masking import plain_secrets, reasons
from streams.operators.connect.topic_setup import ExistingTopic, history_topic, open_topics, pipeline_topics
from streams.operators.connect.wait_until_running import describe, wait_until_running
from streams.operators.terminal import show_json
from streams.pipeline.carried_types import required_types
from streams.settings import Settings

_FILE = Path(f"connectors/{CONNECTOR}.json")
_NAME = click.option("--name", default=CONNECTOR, show_default=True, help="Name of the connector.")
_TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=15),  # a status needs up to 10 s to settle
    default=60.0,
    show_default=True,
    help="Seconds within which it must run.",
)


def connectors(settings: Settings, document_types: Sequence[DocumentType]) -> click.Group:
    """Return the command for Faust's command line."""

    @click.group("connectors")
    def group() -> None:
        """Deploy the Debezium connector to Kafka Connect (CONNECT_URL), and manage it.

        A failure is printed on stderr, with the action to take; the exit code is then 1, and 2 for wrong usage or
        settings.
        """

    @group.command("deploy")
    @click.option(
        "--file",
        "path",
        type=click.Path(path_type=Path),
        default=_FILE,
        show_default=True,
        help="JSON object of strings; the connector has the name of the file.",
    )
    @_TIMEOUT
    @JSON
    def deploy_command(path: Path, timeout: float, as_json: bool) -> None:
        """Create the topics, validate the configuration, apply it if it differs, and wait until the connector runs.

        Running it again changes nothing. Existing topics are never repartitioned; differences are reported.

        Exit codes: 0 it runs; 1 it does not, or a problem, which is printed on stderr; 2 wrong usage or settings.
        """
        with _reporting(path.stem, as_json) as report:
            run(deploy(settings, document_types, path, timeout, report))

    @group.command("status")
    @_NAME
    @JSON
    def status_command(name: str, as_json: bool) -> None:
        """Show the connector, its tasks and the topics.

        Exit codes: 0 everything runs and exists; 1 it does not, or a problem, which is printed on stderr; 2 wrong
        usage or settings.
        """
        run(_status(settings, document_types, name, as_json))

    @group.command("restart")
    @_NAME
    @_TIMEOUT
    @JSON
    def restart_command(name: str, timeout: float, as_json: bool) -> None:
        """Restart the connector and its tasks, and wait until they run. It continues where it stopped.

        Exit codes: 0 they run; 1 they do not, or a problem, which is printed on stderr; 2 wrong usage or settings.
        """
        with _reporting(name, as_json) as report:
            run(_restart(settings, name, timeout, report))

    @group.command("remove")
    @_NAME
    @click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
    @JSON
    def remove_command(name: str, yes: bool, as_json: bool) -> None:
        """Remove the connector from Kafka Connect. Its topics and offsets are kept.

        Exit codes: 0 it no longer exists; 1 a problem, which is printed on stderr; 2 wrong usage or settings.
        """
        if as_json and not yes:
            raise click.UsageError("--json needs --yes: a question for confirmation is not JSON")
        with _reporting(name, as_json) as report:
            run(_remove(settings, name, report, is_confirmed=yes))

    return group


@contextmanager
def _reporting(name: str, as_json: bool) -> Iterator[Report]:
    """Yield a function that prints a line, or collects it for one JSON object that is printed at the end."""
    lines: list[str] = []
    yield lines.append if as_json else click.echo
    if as_json:
        show_json({"name": name, "lines": lines})


async def _status(settings: Settings, document_types: Sequence[DocumentType], name: str, as_json: bool) -> None:
    async with ConnectApi(settings.connect_url, rebalance_timeout=10) as api:
        config = await api.config(name)
        # Kafka Connect still has a status for a moment after a connector was removed.
        status = None if config is None else await api.status(name)
    config = config or {}
    async with open_topics(settings) as topics:
        existing = await topics.find()
    names = [topic.name for topic in [*pipeline_topics(settings, document_types), *history_topic(config)]]
    found = {topic: existing.get(topic) for topic in names}
    secrets = plain_secrets(config)
    required = {topic.name for topic in pipeline_topics(settings, required_types(settings, document_types))}
    runs = status is not None and status.runs and all(found[topic] for topic in names if topic in required)
    if as_json:
        show_json(_as_json(status, found, secrets, runs))
    else:
        lines = describe(status, secrets) if status else ["is not deployed. Deploy it: `connectors deploy`"]
        for line in [*(f"{name}: {line}" for line in lines), *map(_topic_line, found, found.values())]:
            click.echo(line)
    if not runs:
        raise SystemExit(1)


def _topic_line(name: str, found: ExistingTopic | None) -> str:
    return f"topic {name}: " + (
        f"partitions {found.partitions}, copies {found.replication}"
        if found
        else "is missing. Create it: `connectors deploy`"
    )


def _as_json(
    status: ConnectorStatus | None, topics: dict[str, ExistingTopic | None], secrets: Sequence[str], runs: bool
) -> dict[str, object]:
    def part(state: TaskState) -> dict[str, object]:
        return {"state": state.state, "worker": state.worker, "reasons": reasons(state.trace, secrets)}

    return {
        "connector": part(status.connector) if status else None,
        "tasks": [{"id": number, **part(task)} for number, task in sorted(status.tasks.items())] if status else [],
        "topics": [{"name": name, "partitions": found.partitions if found else None} for name, found in topics.items()],
        "runs": runs,
    }


async def _restart(settings: Settings, name: str, timeout_s: float, report: Report) -> None:
    async with ConnectApi(settings.connect_url, rebalance_timeout=timeout_s) as api:
        before = await api.status(name)
        secrets = plain_secrets(await api.config(name) or {})
        try:
            await api.restart(name)
        except ConnectorNotFound:
            raise Problem(f"{name}: is not deployed. Deploy it: `connectors deploy`.") from None
        report(f"{name}: restart requested")
        status = await wait_until_running(api, name, before=before, changed=True, timeout_s=timeout_s, secrets=secrets)
    for line in describe(status, secrets):
        report(f"{name}: {line}")


async def _remove(settings: Settings, name: str, report: Report, *, is_confirmed: bool) -> None:
    if not is_confirmed:
        if not sys.stdin.isatty():
            raise Problem(f"{name}: not removed: this needs a confirmation, and stdin is not a terminal. Use --yes.")
        click.confirm(f"Remove {name}? No new sale is captured from then on", abort=True)
    async with ConnectApi(settings.connect_url, rebalance_timeout=60) as api:
        try:
            await api.delete(name)
        except ConnectorNotFound:
            report(f"{name}: is not deployed; nothing to remove")
            return
    report(f"{name}: removed. Its topics and offsets are kept: deployed again, it continues where it stopped.")
    report(
        "SQL Server's CDC goes on capturing: sales made meanwhile are read when the connector is deployed again, "
        "within CDC's retention. Older ones are found by the workers' scheduler, later (SWEEP_AFTER)."
    )
