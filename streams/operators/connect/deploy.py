"""From a file to a connector that runs. Done again, it changes nothing."""

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
from streams.operators.connect.wait_until_running import describe, until_running
from streams.settings import Settings


async def deploy(
    settings: Settings, document_types: Sequence[DocumentType], path: Path, patience: float, tell: Report
) -> None:
    """Each step says what it did in a line; `patience`: seconds until it runs.

    Raises `Problem`; what was done until then is harmless, and done again.
    """
    file = read_connector_file(path)
    tell(f"{file.name}: {file.plugin}, from {path}")
    for note in [*file.warnings, *check_topic_names(file.config, change_topics(settings, document_types))]:
        tell(f"warning: {note}")
    async with ConnectApi(settings.connect_url, patience=patience) as api:
        version, cluster = await api.about()
        tell(f"Kafka Connect {version} at {api.address}")
        await _make_topics(settings, document_types, file, cluster, tell)
        await apply(api, file, patience, tell)


async def _make_topics(
    settings: Settings,
    document_types: Sequence[DocumentType],
    file: ConnectorFile,
    cluster_of_connect: str,
    tell: Report,
) -> None:
    async with open_topics(settings) as topics:
        if await topics.cluster() not in (cluster_of_connect, None):
            tell(
                "warning: Kafka Connect works with another Kafka cluster than the one of KAFKA_BOOTSTRAP_SERVERS: the "
                "workers will not see what it writes. Correct one of the two."
            )
        await topics.ensure([*pipeline_topics(settings, document_types), *history_topic(file.config)], tell)


async def apply(api: ConnectApi, file: ConnectorFile, patience: float, tell: Report) -> None:
    """Validated, put where it differs, and waited for."""
    errors = await api.validate(file.config)
    if errors:
        raise Problem(
            *(f"{file.path}: {error}" for error in errors),
            f"{file.name}: not applied. Correct what is named above, and deploy again.",
        )
    tell("configuration: valid")
    before = await api.status(file.name)
    changed = await api.config(file.name) != file.config
    if changed:
        await api.put_config(file.name, file.config)
    tell(f"configuration: {'applied' if changed else 'unchanged'}")
    secrets = plain_secrets(file.config)
    status = await until_running(api, file.name, before=before, changed=changed, patience=patience, secrets=secrets)
    for line in describe(status, secrets):
        tell(line)
