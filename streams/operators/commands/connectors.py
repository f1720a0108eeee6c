"""``faust -A streams.app connectors``: puts the Debezium connector into Kafka Connect, and looks after it there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from streams.documents.document import DocumentType
from streams.operators import Problem, Report
from streams.operators.command_line import JSON, run
from streams.operators.connect.api import ConnectApi, ConnectorStatus, NotThere, TaskState
from streams.operators.connect.deploy import deploy
from streams.operators.connect.masking import plain_secrets, reasons
from streams.operators.connect.topic_setup import ExistingTopic, history_topic, open_topics, pipeline_topics
from streams.operators.connect.wait_until_running import describe, until_running
from streams.operators.terminal import show_json
from streams.settings import Settings

_FILE = Path("connectors/pharmacy-sales.json")
_NAME = click.option("--name", default=_FILE.stem, show_default=True, help="Of the connector.")
_TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=15),  # less than a state needs to settle
    default=60.0,
    show_default=True,
    help="Seconds until it must run.",
)


def connectors(settings: Settings, document_types: Sequence[DocumentType]) -> click.Group:
    """The command, for Faust's command line."""

    @click.group("connectors")
    def group() -> None:
        """Put the Debezium connector into Kafka Connect (CONNECT_URL), and look after it.

        What fails is said on stderr, with its remedy; the exit code is 1 then, and 2 for wrong usage or settings.
        """

    @group.command("deploy")
    @click.option(
        "--file",
        "path",
        type=click.Path(path_type=Path),
        default=_FILE,
        show_default=True,
        help="JSON map of texts; the connector is called as the file.",
    )
    @_TIMEOUT
    @JSON
    def deploy_command(path: Path, timeout: float, as_json: bool) -> None:
        """Make the topics, validate the configuration, apply it where it differs, wait until it runs.

        Done again it changes nothing. Topics that are there already are never repartitioned; what differs is said.

        Exit codes: 0 it runs; 1 it does not, or trouble, said on stderr; 2 wrong usage or settings.
        """
        with _told(path.stem, as_json) as tell:
            run(deploy(settings, document_types, path, timeout, tell))

    @group.command("status")
    @_NAME
    @JSON
    def status_command(name: str, as_json: bool) -> None:
        """Show the connector, its tasks and the topics.

        Exit codes: 0 all run and are there; 1 they do not, or trouble, said on stderr; 2 wrong usage or settings.
        """
        run(_status(settings, document_types, name, as_json))

    @group.command("restart")
    @_NAME
    @_TIMEOUT
    @JSON
    def restart_command(name: str, timeout: float, as_json: bool) -> None:
        """Restart the connector and its tasks, and wait until they run. It goes on where it stopped.

        Exit codes: 0 they run; 1 they do not, or trouble, said on stderr; 2 wrong usage or settings.
        """
        with _told(name, as_json) as tell:
            run(_restart(settings, name, timeout, tell))

    @group.command("remove")
    @_NAME
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @JSON
    def remove_command(name: str, yes: bool, as_json: bool) -> None:
        """Take the connector out of Kafka Connect. Topics and offsets stay.

        Exit codes: 0 it is not there any more; 1 trouble, said on stderr; 2 wrong usage or settings.
        """
        if as_json and not yes:
            raise click.UsageError("--json goes with --yes: what asks back is no JSON")
        with _told(name, as_json) as tell:
            run(_remove(settings, name, tell, sure=yes))

    return group


@contextmanager
def _told(name: str, as_json: bool) -> Iterator[Report]:
    """For what is told line by line: all of it as one JSON object, once it is done."""
    lines: list[str] = []
    yield lines.append if as_json else click.echo
    if as_json:
        show_json({"name": name, "told": lines})


async def _status(settings: Settings, document_types: Sequence[DocumentType], name: str, as_json: bool) -> None:
    async with ConnectApi(settings.connect_url, patience=10) as api:
        config = await api.config(name)
        # What was removed keeps a status for a moment.
        status = None if config is None else await api.status(name)
    config = config or {}
    async with open_topics(settings) as topics:
        there = await topics.find()
    names = [topic.name for topic in [*pipeline_topics(settings, document_types), *history_topic(config)]]
    found = {topic: there.get(topic) for topic in names}
    secrets = plain_secrets(config)
    runs = status is not None and status.runs and None not in found.values()
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
        else "is missing. Make it: `connectors deploy`"
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


async def _restart(settings: Settings, name: str, patience: float, tell: Report) -> None:
    async with ConnectApi(settings.connect_url, patience=patience) as api:
        before = await api.status(name)
        secrets = plain_secrets(await api.config(name) or {})
        try:
            await api.restart(name)
        except NotThere:
            raise Problem(f"{name}: is not deployed. Deploy it: `connectors deploy`.") from None
        tell(f"{name}: restart asked for")
        status = await until_running(api, name, before=before, changed=True, patience=patience, secrets=secrets)
    for line in describe(status, secrets):
        tell(f"{name}: {line}")


async def _remove(settings: Settings, name: str, tell: Report, *, sure: bool) -> None:
    if not sure:
        if not sys.stdin.isatty():
            raise Problem(f"{name}: not removed: it is asked first, and there is nobody to answer. Say --yes.")
        click.confirm(f"Remove {name}? No new sale is captured from then on", abort=True)
    async with ConnectApi(settings.connect_url, patience=60) as api:
        try:
            await api.delete(name)
        except NotThere:
            tell(f"{name}: is not deployed; nothing to remove")
            return
    tell(f"{name}: removed. What stays: its topics, and its offsets: deployed again it goes on where it stopped.")
    tell(
        "SQL Server's CDC goes on capturing: what is sold meanwhile is read when the connector is deployed again, "
        "within CDC's retention. What that no longer holds, the workers' scheduler finds, later (SWEEP_AFTER)."
    )
