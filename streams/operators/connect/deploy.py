"""Deploys a connector from its file and waits until it runs. Repeating a deployment changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streams.documents.document import DocumentType
from streams.kafka.topics import change_topics
from streams.operators import Problem, Report
from streams.operators.connect.api import ConnectApi
from streams.operators.connect.connector_file import ConnectorFile, read_connector_file
from streams.operators.connect.masking import plain_secrets
from streams.operators.connect.topic_names import check_topic_names
from streams.operators.connect.topic_setup import history_topic, open_topics, pipeline_topics
from streams.operators.connect.wait_until_running import describe, wait_until_running
from streams.pipeline.carried_types import required_types
from streams.settings import Settings


async def deploy(
    settings: Settings, document_types: Sequence[DocumentType], path: Path, timeout_s: float, report: Report
) -> None:
    """Create the topics, set the configuration, and wait until the connector runs, for at most `timeout_s` seconds.

    Each step reports what it did in a line. Raises `Problem`; what was done before is harmless and can be repeated.
    """
    file = read_connector_file(path)
    report(f"{file.name}: {file.plugin}, from {path}")
    required = change_topics(settings, required_types(settings, document_types))
    optional = [topic for topic in change_topics(settings, document_types) if topic not in required]
    for note in [*file.warnings, *check_topic_names(file.config, required, optional)]:
        report(f"warning: {note}")
    async with ConnectApi(settings.connect_url, rebalance_timeout=timeout_s) as api:
        version, cluster = await api.about()
        report(f"Kafka Connect {version} at {api.address}")
        await _create_topics(settings, document_types, file, cluster, report)
        await apply(api, file, timeout_s, report)


async def _create_topics(
    settings: Settings,
    document_types: Sequence[DocumentType],
    file: ConnectorFile,
    cluster_of_connect: str,
    report: Report,
) -> None:
    async with open_topics(settings) as topics:
        if await topics.cluster() not in (cluster_of_connect, None):
            report(
                "warning: Kafka Connect uses another Kafka cluster than that of KAFKA_BOOTSTRAP_SERVERS: the workers "
                "will not see what it writes. Correct one of the two."
            )
        await topics.ensure([*pipeline_topics(settings, document_types), *history_topic(file.config)], report)


async def apply(api: ConnectApi, file: ConnectorFile, timeout_s: float, report: Report) -> None:
    """Validate the configuration, set it if it differs, and wait until the connector runs. Raises `Problem`."""
    errors = await api.validate(file.config)
    if errors:
        raise Problem(
            *(f"{file.path}: {error}" for error in errors),
            f"{file.name}: not applied. Correct the errors above, and deploy again.",
        )
    report("configuration: valid")
    before = await api.status(file.name)
    changed = await api.config(file.name) != file.config
    if changed:
        await api.put_config(file.name, file.config)
    report(f"configuration: {'applied' if changed else 'unchanged'}")
    secrets = plain_secrets(file.config)
    status = await wait_until_running(
        api, file.name, before=before, changed=changed, timeout_s=timeout_s, secrets=secrets
    )
    for line in describe(status, secrets):
        report(line)
