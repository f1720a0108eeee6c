"""``faust -A streams.app topics``: creates the pipeline's topics, for installations without Kafka Connect."""

from __future__ import annotations

from collections.abc import Sequence

import click

from streams.documents.document import DocumentType
from streams.operators.command_line import JSON, run
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from streams.operators.terminal import show_json
from streams.settings import Settings


def topics(settings: Settings, document_types: Sequence[DocumentType]) -> click.Group:
    """Return the command for Faust's command line."""

    @click.group("topics")
    def group() -> None:
        """Create the pipeline's topics. `connectors deploy` creates the same ones; with CAPTURE=polling this is all.

        A failure is printed on stderr, with the action to take; the exit code is then 1, and 2 for wrong usage or
        settings.
        """

    @group.command("deploy")
    @click.option("--dry-run", is_flag=True, help="Only say which topics are missing or differ; create none.")
    @JSON
    def deploy_command(dry_run: bool, as_json: bool) -> None:
        """Create the missing topics, with their partitions, copies and retention, and say how existing ones differ.

        Running it again changes nothing. Existing topics are never changed; each difference is reported with the
        command that removes it.

        Exit codes: 0 all topics exist; 1 a problem, which is printed on stderr, or with --dry-run a topic is missing;
        2 wrong usage or settings.
        """
        lines: list[str] = []

        async def work() -> int:
            wanted = pipeline_topics(settings, document_types)
            async with open_topics(settings) as admin:
                existing = await admin.find()
                await admin.ensure(wanted, lines.append if as_json else click.echo, create=not dry_run)
            missing = [topic.name for topic in wanted if topic.name not in existing]
            if as_json:
                show_json(
                    {"created": [] if dry_run else missing, "missing": missing if dry_run else [], "lines": lines}
                )
            return 1 if dry_run and missing else 0

        run(work())

    return group
