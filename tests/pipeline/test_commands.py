"""The commands as a person runs them, on the local stack with a worker: what they do leads to its end, and is shown."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from streams.local.processes import free_port
from streams.reasons import Code
from tests.pipeline.pipeline import QUICK, Pipeline


async def faust(pipeline: Pipeline, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "streams.app", *arguments],
            cwd=pipeline.stack.folder,
            env={**os.environ, **pipeline.stack.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    ended = await asyncio.to_thread(run)
    return ended.returncode, ended.stdout, ended.stderr


async def shown(pipeline: Pipeline, *arguments: str) -> Any:
    code, out, err = await faust(pipeline, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


async def test_resend_leads_a_failed_sale_whose_cause_is_mended_to_its_success(pipeline: Pipeline) -> None:
    sales = pipeline.seller.sell(3)
    wrong = sales[0].id
    pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = '' WHERE sales_invoice_id = ?", wrong)
    pipeline.execute("UPDATE SalesInvoices SET customer_name = 'Lê Thị Riêng' WHERE id = ?", wrong)
    port = free_port()
    pipeline.workers.append(pipeline.stack.start_worker("worker", QUICK, web_port=port))
    await pipeline.until_decided()
    listed = await shown(pipeline, "failures")
    assert listed["counts"] == {Code.RULES_BROKEN: 1}
    [failed] = listed["sales"]
    assert failed["id"] == wrong

    pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = 'LO1' WHERE sales_invoice_id = ?", wrong)
    dry = await shown(pipeline, "resend", "--reason", Code.RULES_BROKEN)
    assert (dry["dry_run"], dry["would"]) == (True, 1)
    assert pipeline.rows()[wrong].status == "SYNC_FAILED", "a dry run changes nothing"
    done = await shown(pipeline, "resend", "--invoice", failed["own_code"], "--as", "Lan", "--yes")
    assert done["done"] == [wrong]
    await pipeline.until(lambda: pipeline.counts() == {"SYNC_SUCCESS": 3}, "all are accepted")

    async def told() -> bool:
        history = (await shown(pipeline, "lookup", failed["own_code"]))["history"]
        return [decision["status"] for decision in history] == ["SYNC_SUCCESS", "SYNC_FAILED"]

    await pipeline.until(told, "its history has both decisions")
    looked_up = await shown(pipeline, "lookup", failed["own_code"])
    assert looked_up["national"] == {"answer": "held", "national_id": looked_up["national_id"]}
    assert [(each["action"], each["actor"]) for each in looked_up["actions"]] == [("send_again", "Lan")]
    for form in ((), ("--json",)):
        _, out, _ = await faust(pipeline, "lookup", failed["own_code"], *form)
        assert failed["own_code"] in out
        assert "Riêng" not in out
        _, out, _ = await faust(pipeline, "lookup", failed["own_code"], "--personal", *form)
        assert "Lê Thị Riêng" in out

    now = await shown(pipeline, "status", "--worker", f"http://127.0.0.1:{port}")
    assert (now["sent_today"], now["failed"]["total"], now["waiting"]["total"], now["goes_out"]) == (3, 0, 0, True)
    _, out, _ = await faust(pipeline, "tail", "--no-follow", "--invoice", failed["own_code"], "--json")
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["SYNC_FAILED", "SYNC_SUCCESS"]
    code, out, err = await faust(pipeline, "resend", "--invoice", "no-such", "--yes")
    assert (code, out) == (1, "")
    assert err == "no-such: there is no such invoice.\n"
    await pipeline.assert_both_sides_agree()


async def test_dead_letters_go_back_once_each(pipeline: Pipeline) -> None:
    pipeline.start_worker()
    for number in range(3):
        await pipeline.produce(b"no JSON", key=b"change")
        await pipeline.produce(b"nonsense %d" % number, key=b"retry", topic="sale-retry")

    async def dead(count: int) -> bool:
        return len(await pipeline.records("sale-dead-letter")) == count

    await pipeline.until(lambda: dead(6), "none of them can be read")
    dry = await shown(pipeline, "replay")
    assert (dry["dry_run"], dry["chosen"]) == (True, 6)
    assert await dead(6), "a dry run sends nothing"
    some = await shown(pipeline, "replay", "--topic", "sale-retry", "--yes")
    assert (some["chosen"], some["left"]) == (3, 3)
    await pipeline.until(lambda: dead(9), "they still cannot be read, and come back as new ones")
    values = [record.value for record in await pipeline.records("sale-retry")]
    assert {value: values.count(value) for value in values} == {b"nonsense %d" % n: 2 for n in range(3)}

    # In another process, which knows of the first one's work by the broker alone.
    rest = await shown(pipeline, "replay")
    assert (rest["chosen"], rest["replayed_before"]) == (6, 3)
    await asyncio.to_thread(pipeline.workers[0].terminate, 30)
    last = await shown(pipeline, "replay", "--yes")
    assert (last["chosen"], last["replayed_before"]) == (6, 3)
    nothing = await shown(pipeline, "replay", "--yes")
    assert (nothing["chosen"], nothing["replayed_before"]) == (0, 9)
