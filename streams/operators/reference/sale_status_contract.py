"""Writes the public contract of `sale-status` from its model.

``python -m streams.operators.reference.sale_status_contract docs/contract`` writes two files:
``sale-status.schema.json`` (JSON Schema 2020-12) and ``asyncapi.json`` (AsyncAPI 3.0). A test checks that they are
up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from streams.domain.reasons import REASON_TEXTS
from streams.domain.sale_status import SaleStatus

_KEY = {"type": "string", "description": "<pharmacy_code>/<local_invoice_id>, UTF-8", "examples": ["79-00001/HD-1"]}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a message."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SaleStatus.model_json_schema(mode="serialization"),
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document of the topic."""
    codes = "\n".join(f"- `{code.value}`: {texts.en}" for code, texts in REASON_TEXTS.items())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pharmacy sale streams",
            "version": "1.0.0",
            "description": "Decisions about sales, purchase receipts and goods issues: `document` says which. "
            "Delivered at least once: drop repeats by `event_id`. "
            "Fields are only ever added, so ignore fields that you do not know.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "saleStatus": {
                "address": "sale-status",
                "messages": {"saleStatus": {"$ref": "#/components/messages/saleStatus"}},
                "bindings": {"kafka": {"topic": "sale-status"}},
            }
        },
        "operations": {
            "sendSaleStatus": {
                "action": "send",
                "channel": {"$ref": "#/channels/saleStatus"},
                "summary": "One decision about one attempt at one document.",
            }
        },
        "components": {
            "messages": {
                "saleStatus": {
                    "title": "SaleStatus",
                    "contentType": "application/json",
                    "description": f"Values of `reason.code`:\n{codes}",
                    "payload": {"$ref": "#/components/schemas/SaleStatus"},
                    "bindings": {"kafka": {"key": _KEY}},
                }
            },
            "schemas": _schemas(),
        },
    }


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{model}"
    schema = SaleStatus.model_json_schema(mode="serialization", ref_template=template)
    return {**schema.pop("$defs"), "SaleStatus": schema}


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    documents = {"sale-status.schema.json": json_schema(), "asyncapi.json": asyncapi()}
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in documents.items()}


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs/contract"))
def main(folder: Path) -> None:
    """Write the schema and the AsyncAPI document of sale-status into FOLDER (default: docs/contract)."""
    for name, text in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
