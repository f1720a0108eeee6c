"""Tests the commands on the local stack with a worker, up to the decision that they lead to.

They run in this process; `tests/servers/test_command_line.py` runs them as processes of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.documents import DOCUMENT_TYPES
from streams.domain.reasons import Code
from streams.local.processes import Process, free_port
from streams.local.simulator import presets
from streams.local.stack import CHANGE_TOPIC, LocalStack
from streams.operators.commands import commands
from streams.settings import Settings
from tests.pipeline.pipeline import QUICK, Pipeline


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Run one stack for all of these tests; each looks at its own sales."""
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


async def faust(pipeline: Pipeline, name: str, *arguments: str) -> Result:
    environment = {key.lower(): value for key, value in pipeline.stack.environment.items()}
    settings = Settings(_env_file=None, **environment)  # type: ignore[arg-type]
    command = next(command for command in commands(settings, DOCUMENT_TYPES) if command.name == name)
    return await asyncio.to_thread(CliRunner().invoke, command, [str(each) for each in arguments])


async def shown(pipeline: Pipeline, *arguments: str) -> Any:
    ended = await faust(pipeline, *arguments, "--json")
    assert (ended.exit_code, ended.stderr) == (0, ""), (ended, ended.output[-1400:])
    return json.loads(ended.stdout)


async def all_read(pipeline: Pipeline) -> bool:
    return not any((await pipeline.unfinished_offsets()).values())


async def test_resend_sends_a_corrected_failed_sale_successfully(pipeline: Pipeline) -> None:
    before = json.loads((await faust(pipeline, "status", "--json")).stdout)  # and exit code 1: no worker runs
    sales = pipeline.seller.sell(3)
    wrong = sales[0].id
    pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = '' WHERE sales_invoice_id = ?", wrong)
    pipeline.execute("UPDATE SalesInvoices SET customer_name = 'Lê Thị Riêng' WHERE id = ?", wrong)
    port = free_port()
    pipeline.workers.append(pipeline.stack.start_worker("resends", QUICK, web_port=port))
    await pipeline.until_decided()
    listed = await shown(pipeline, "failures")
    assert listed["counts"] == {Code.RULES_BROKEN: 1}
    [failed] = listed["sales"]
    assert failed["id"] == wrong
    broken = failed["particulars"]["broken_rules"]
    assert {(each["field"].rpartition(".")[2], each["rule"]) for each in broken} == {("so_lo", "required")}
    assert "lot number is required" in (await faust(pipeline, "failures")).stdout

    pipeline.execute("UPDATE SalesInvoiceDetails SET lot_number = 'LO1' WHERE sales_invoice_id = ?", wrong)
    dry = await shown(pipeline, "resend", "--reason", Code.RULES_BROKEN)
    assert (dry["dry_run"], dry["would"]) == (True, 1)
    assert pipeline.rows()[wrong].status == "SYNC_FAILED", "a dry run changes nothing"
    done = await shown(pipeline, "resend", "--invoice", failed["document_code"], "--as", "Lan", "--yes")
    assert done["done"] == [wrong]
    await pipeline.until(lambda: pipeline.rows()[wrong].status == "SYNC_SUCCESS", "it is accepted")

    async def has_both_decisions() -> bool:
        history = (await shown(pipeline, "lookup", failed["document_code"]))["history"]
        return [decision["status"] for decision in history] == ["SYNC_SUCCESS", "SYNC_FAILED"]

    await pipeline.until(has_both_decisions, "its history has both decisions")
    looked_up = await shown(pipeline, "lookup", failed["document_code"])
    assert looked_up["national"] == {"answer": "stored", "national_id": looked_up["national_id"]}
    assert [(each["action"], each["actor"]) for each in looked_up["actions"]] == [("send_again", "Lan")]
    for form in ((), ("--json",)):
        out = (await faust(pipeline, "lookup", failed["document_code"], *form)).stdout
        assert failed["document_code"] in out
        assert "Riêng" not in out
        assert "Lê Thị Riêng" in (await faust(pipeline, "lookup", failed["document_code"], "--personal", *form)).stdout

    now = await shown(pipeline, "status", "--worker", f"http://127.0.0.1:{port}")
    assert now["sent_today"] - before["sent_today"] == 3
    assert (now["failed"]["total"], now["waiting"]["total"], now["goes_out"]) == (0, 0, True)
    assert 0 <= now["capture"][CHANGE_TOPIC]["delay_s"] < 30
    assert now["connector"] == {
        "level": "skipped",
        "what": "Kafka Connect is not used: CAPTURE=polling, or the local stack",
    }
    assert "s from commit to Kafka, the newest change" in (await faust(pipeline, "status")).stdout
    tailed = await faust(pipeline, "tail", "--no-follow", "--invoice", failed["document_code"], "--json")
    assert [json.loads(line)["status"] for line in tailed.stdout.splitlines()] == ["SYNC_FAILED", "SYNC_SUCCESS"]
    none = await faust(pipeline, "resend", "--invoice", "no-such", "--yes")
    assert (none.exit_code, none.stdout, none.stderr) == (1, "", "no-such: there is no such invoice.\n")
    await pipeline.assert_both_sides_agree()


async def test_send_now_sends_one_pending_sale_and_then_all_with_a_reason(pipeline: Pipeline) -> None:
    """Without the command they would wait for an hour."""
    await pipeline.control.add_rule(presets.status(503), "create", times=3)
    pipeline.start_worker("waits", RETRY_DELAYS="[3600]", ATTEMPT_DEADLINE="4", LEASE_GRACE="1")
    sales = pipeline.seller.sell(3)
    one, *others = sorted(sale.id for sale in sales)
    await pipeline.until(lambda: all(pipeline.rows()[sale.id].message for sale in sales), "all wait, and say why")
    code = pipeline.rows()[one].local_invoice_id
    assert (await shown(pipeline, "send-now", "--invoice", code))["would"] == 1

    async def moved(ids: list[int], *which: str) -> bool:
        """Wait until the leases have ended, because until then the sales are in doubt."""
        report = await shown(pipeline, "send-now", *which, "--yes", "--as", "Lan")
        assert {each["why"] for each in report["passed_over"]} <= {"in_doubt"}
        return sorted(report["done"]) == ids

    await pipeline.until(lambda: moved([one], "--invoice", code), "it is moved")
    await pipeline.until(lambda: pipeline.rows()[one].status == "SYNC_SUCCESS", "it goes out")
    assert {pipeline.rows()[id_].status for id_ in others} == {"PENDING_SYNC"}, "the others wait on"
    assert (await shown(pipeline, "send-now", "--reason", Code.TIMED_OUT, "--yes"))["done"] == []
    await pipeline.until(lambda: moved(others, "--reason", Code.API_ERROR), "all that share the reason are moved")
    await pipeline.until_decided()
    await pipeline.assert_both_sides_agree()


async def test_a_replayed_dead_letter_sends_its_sale_successfully_and_once(pipeline: Pipeline) -> None:
    """Nothing else could bring the sale, because the sweep comes an hour later."""
    misreads = _misreads(pipeline)
    try:
        [sale] = pipeline.seller.sell(1)
        await pipeline.until(lambda: _dead_letter(pipeline, sale.id), "its event cannot be read")
    finally:
        await asyncio.to_thread(misreads.terminate, 30)
    pipeline.start_worker("mended", SWEEP_AFTER="3600")
    dry = await shown(pipeline, "replay")
    assert (dry["dry_run"], dry["chosen"]) == (True, 1)
    assert dry["groups"][0]["reason"] == "after.invoice_code: must be a non-empty string"
    await pipeline.until(lambda: all_read(pipeline), "whatever is there is read")
    assert pipeline.rows()[sale.id].status == "PENDING_SYNC"
    assert (await shown(pipeline, "replay", "--yes"))["chosen"] == 1
    await pipeline.until(lambda: pipeline.rows()[sale.id].status == "SYNC_SUCCESS", "it goes out")
    again = await shown(pipeline, "replay", "--yes")
    assert (again["chosen"], again["replayed_before"]) == (0, 1)

    # As a replay does that is killed between sending and remembering.
    letter = await _dead_letter(pipeline, sale.id)
    await pipeline.produce(letter.value, key=letter.key)
    await pipeline.until(lambda: all_read(pipeline), "the repeat is read")
    code = pipeline.rows()[sale.id].local_invoice_id
    assert [seen.call for seen in await pipeline.control.requests(code)] == ["create"]
    assert [
        has_both_decisions.status
        for has_both_decisions in await pipeline.statuses()
        if has_both_decisions.id == sale.id
    ] == ["SYNC_SUCCESS"]
    await pipeline.assert_both_sides_agree()


async def test_each_dead_letter_is_replayed_once_or_dismissed(pipeline: Pipeline) -> None:
    there, before = (
        len(await pipeline.records("sale-dead-letter")),
        (await shown(pipeline, "replay"))["replayed_before"],
    )
    pipeline.start_worker("buries")
    for number in range(3):
        await pipeline.produce(b"no JSON", key=b"change")
        await pipeline.produce(b"nonsense %d" % number, key=b"retry", topic="sale-retry")

    async def dead(count: int) -> bool:
        return len(await pipeline.records("sale-dead-letter")) - there == count

    await pipeline.until(lambda: dead(6), "none of them can be read")
    dry = await shown(pipeline, "replay")
    assert (dry["dry_run"], dry["chosen"]) == (True, 6)
    assert await dead(6), "a dry run sends nothing"
    some = await shown(pipeline, "replay", "--topic", "sale-retry", "--yes")
    assert (some["chosen"], some["left"]) == (3, 3)
    await pipeline.until(lambda: dead(9), "they still cannot be read, and come back as new ones")
    values = [record.value for record in await pipeline.records("sale-retry") if record.key == b"retry"]
    assert {value: values.count(value) for value in values} == {b"nonsense %d" % n: 2 for n in range(3)}

    # In another process, which knows of the first one's work by the broker alone.
    rest = await shown(pipeline, "replay")
    assert (rest["chosen"], rest["replayed_before"] - before) == (6, 3)
    await asyncio.to_thread(pipeline.workers[0].terminate, 30)
    end_offsets = [len(await pipeline.records(topic)) for topic in (CHANGE_TOPIC, "sale-retry")]
    dismissed = await shown(pipeline, "replay", "--topic", "sale-retry", "--dismiss", "--yes")
    assert (dismissed["action"], dismissed["chosen"]) == ("dismiss", 3)
    assert [len(await pipeline.records(topic)) for topic in (CHANGE_TOPIC, "sale-retry")] == end_offsets, (
        "nothing is sent"
    )
    last = await shown(pipeline, "replay", "--yes")
    assert (last["chosen"], last["replayed_before"] - before) == (3, 6)
    nothing = await shown(pipeline, "replay", "--yes")
    assert (nothing["chosen"], nothing["replayed_before"] - before) == (0, 9)


async def test_m2_a_forged_dead_letter_is_not_replayed(pipeline: Pipeline) -> None:
    """Otherwise an account that may only write to sale-dead-letter could make the operator write to any topic of
    ours.
    """
    await shown(pipeline, "replay", "--dismiss", "--yes")  # what other tests have left there
    await pipeline.produce(b"what really stands there", key=b"key", topic="sale-retry", headers={"attempt": "7"})
    real = (await pipeline.records("sale-retry"))[-1]
    for record in await pipeline.records("sale-retry"):
        real = record if record.value == b"what really stands there" else real
    place = {"topic": "sale-retry", "partition": str(real.partition), "offset": str(real.offset)}
    forged: list[tuple[bytes, bytes, dict[str, str]]] = [
        (b"forged", b"key", place),
        (b"what really stands there", b"another", place),
        (b"forged", b"key", {"topic": "sale-status"}),
        (b"forged", b"key", {"topic": "sale-status", "partition": "0", "offset": "-1"}),
        (b"forged", b"key", {"topic": "sale-status", "partition": "0", "offset": "x"}),
        (b"forged", b"key", {"topic": "sale-status", "partition": "0", "offset": "999999999"}),
        (b"forged", b"key", {"topic": "sale-status", "partition": "999", "offset": "0"}),
        (b"forged", b"key", {"topic": "somebody-elses", "partition": "0", "offset": "0"}),
    ]
    for value, key, headers in forged:
        await pipeline.produce(value, key=key, topic="sale-dead-letter", headers=headers)

    async def there() -> dict[str, int]:
        return {topic: len(await pipeline.records(topic)) for topic in (CHANGE_TOPIC, "sale-retry", "sale-status")}

    before = await there()
    for arguments in ((), ("--yes",)):
        said = await shown(pipeline, "replay", *arguments)
        assert (said["chosen"], said["different"], said["gone"], said["foreign"]) == (0, 5, 2, 1)
    assert await there() == before, "nothing is put"
    assert "differ from the message at the position that they name" in (await faust(pipeline, "replay")).stdout

    await pipeline.produce(b"what really stands there", key=b"key", topic="sale-dead-letter", headers=place)
    assert (await shown(pipeline, "replay", "--yes"))["chosen"] == 1, "the real one goes back"
    assert await there() == before | {"sale-retry": before["sale-retry"] + 1}
    twice = [each for each in await pipeline.records("sale-retry") if each.value == b"what really stands there"]
    assert [dict(each.headers) for each in twice] == [{"attempt": b"7"}] * 2, "with what it had"

    replayed = await shown(pipeline, "replay", "--without-original", "--yes")
    assert (replayed["chosen"], replayed["gone"], replayed["different"]) == (2, 0, 5), "as the operator says"
    assert (await shown(pipeline, "replay", "--dismiss", "--yes"))["chosen"] == 5


async def _dead_letter(pipeline: Pipeline, id_: int) -> Any:
    """Return the dead letter of a sale's change event, if there is one."""
    for record in await pipeline.records("sale-dead-letter"):
        if record.value and json.loads(record.value)["after"]["id"] == id_:
            return record
    return None


def _misreads(pipeline: Pipeline) -> Process:
    port = str(free_port())
    return Process(
        "misreads",
        [sys.executable, "-m", "faust", "-A", "tests.pipeline.app_that_misreads", "worker", "--web-port", port],
        log=pipeline.stack.folder / "logs" / "misreads.log",
        environment={**pipeline.stack.environment, **QUICK, "WEB_PORT": port, "SWEEP_AFTER": "3600"},
        folder=Path(__file__).parents[2],
    )
