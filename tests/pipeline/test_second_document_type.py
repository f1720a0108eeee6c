"""Tests that a made-up document type, defined in one file, goes the whole path together with the sales."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from streams.local.processes import Process, free_port
from streams.local.simulator.kinds import Field, Kind
from tests.pipeline.loan_slip import TABLES
from tests.pipeline.pipeline import QUICK, Pipeline

TOPIC = "pharmacy.chain.dbo.LoanSlips"


async def test_a_second_document_type_goes_the_whole_path(pipeline: Pipeline) -> None:
    for table in TABLES:
        pipeline.execute(table)
    await pipeline.control.add_kind(
        Kind(
            name="loan_slip",
            path="/api/lien_thong/phieu_muon",
            document_code_field="ma_phieu_muon",
            national_id_field="ma_phieu_muon_quoc_gia",
            id_prefix="PM_QG_",
            fields=(
                Field(name="ma_phieu_muon", required=True),
                Field(name="ma_co_so", required=True),
                Field(name="ngay_muon", type="day", required=True),
            ),
            lines_field="chi_tiet",
            line_fields=(Field(name="ma_thuoc", required=True), Field(name="so_luong", type="number", required=True)),
        )
    )
    [sale] = pipeline.seller.sell(1)
    _add_loan(pipeline, 1, sale.pharmacy_code, sale.shop, quantity="2.50")
    _add_loan(pipeline, 2, sale.pharmacy_code, sale.shop, quantity="-1")  # breaks a rule
    _add_loan(pipeline, 3, sale.pharmacy_code, sale.shop, quantity="7")  # its event is lost
    for id_ in (1, 2):
        await pipeline.produce(_event(id_, sale.pharmacy_code, sale.shop), topic=TOPIC)  # which makes the topic
    pipeline.workers.append(_worker(pipeline))

    def loans() -> dict[int, tuple[str, str | None, str | None]]:
        rows = pipeline.database.execute("SELECT id, status, national_loan_id, sync_response_message FROM LoanSlips")
        return {row[0]: (row[1], row[2], row[3]) for row in rows.fetchall()}

    await pipeline.until(
        lambda: (
            {i: status for i, (status, _, _) in loans().items()}
            == {1: "SYNC_SUCCESS", 2: "SYNC_FAILED", 3: "SYNC_SUCCESS"}
        ),
        "every loan has its end",
    )
    await pipeline.until_decided()
    stored = {document.code: document for document in await pipeline.control.standing() if document.kind == "loan_slip"}
    assert {code: s.national_ids for code, s in stored.items()} == {
        "PM-1": [loans()[1][1]],
        "PM-3": [loans()[3][1]],
    }
    assert "so_luong" in (loans()[2][2] or "")
    published = {(s.document, s.id): s for s in await pipeline.statuses()}
    assert published["loan_slip", 1].local_invoice_id == "PM-1"
    assert published["sale", sale.id].status == "SYNC_SUCCESS"
    await pipeline.until(
        lambda: {e["document"] for e in pipeline.journal("task_logs")} == {"sale", "loan_slip"}, "the journal has both"
    )


def _worker(pipeline: Pipeline) -> Process:
    stack, port = pipeline.stack, str(free_port())
    return Process(
        "loans",
        [sys.executable, "-m", "faust", "-A", "tests.pipeline.app_with_loans", "worker", "--web-port", port],
        log=stack.folder / "logs" / "loans.log",
        environment={**stack.environment, **QUICK, "WEB_PORT": port},
        folder=Path(__file__).parents[2],
    )


def _add_loan(pipeline: Pipeline, id_: int, pharmacy: str, shop: str, *, quantity: str) -> None:
    pipeline.execute(
        "INSERT INTO LoanSlips (id, local_loan_id, pharmacy_code, shop_pharmacy_code, loan_date, status) "
        "VALUES (?, ?, ?, ?, '2026-01-15 10:00:00', 'PENDING_SYNC')",
        id_,
        f"PM-{id_}",
        pharmacy,
        shop,
    )
    pipeline.execute(
        "INSERT INTO LoanSlipDetails (loan_slip_id, drug_code, quantity) VALUES (?, 'T01', ?)", id_, quantity
    )


def _event(id_: int, pharmacy: str, shop: str) -> bytes:
    after: dict[str, Any] = {
        "id": id_,
        "local_loan_id": f"PM-{id_}",
        "pharmacy_code": pharmacy,
        "shop_pharmacy_code": shop,
        "status": "PENDING_SYNC",
    }
    source = {"db": "chain", "table": "LoanSlips", "ts_ms": int(time.time() * 1000)}
    return json.dumps({"op": "c", "before": None, "after": after, "source": source}).encode()
