"""`python -m streams.local.simulator`: the national API simulator as a process of its own.

Prints one line of JSON, `{"url": "http://127.0.0.1:PORT"}`, once it listens. SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from pydantic import ValidationError

from streams.local.simulator import messages
from streams.local.simulator.accounts import Account, Accounts
from streams.local.simulator.api import NationalApi
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.ledger import Ledger
from streams.local.simulator.server import serving


def main(argv: Sequence[str] | None = None) -> int:
    options = _options().parse_args(argv)
    try:
        accounts = _shops(options.shops)
        behaviour = _behaviour(options.behaviour, options.latency_ms)
        ledger = Ledger(time.time, options.ledger)
    except ValueError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    # What was accepted is kept for good: it need not be looked through for what can be freed.
    gc.set_threshold(50_000, 20, 100)
    api = NationalApi(Accounts(accounts, time.time), ledger, time.time, behaviour)
    try:
        uvloop.run(_serve(api, options.host, options.port))
    except OSError as error:
        print(f"simulator: cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        ledger.close()
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m streams.local.simulator",
        description="Simulates the national pharmacy API. Prints its URL as one line of JSON once it listens; "
        "is steered over /_control/.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0: any that is free (default)")
    parser.add_argument(
        "--shops",
        type=Path,
        metavar="FILE.json",
        help='accounts: [{"usr": "…", "pwd": "…", "ma_co_so": ["…"]}, …], the last one optional; without '
        "accounts nobody is let in",
    )
    parser.add_argument("--latency-ms", type=float, help="how long every call takes at least (default: 50)")
    parser.add_argument(
        "--behaviour", metavar="JSON", default="{}", help="other settings than the default ones, as an object"
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="JSONL file of what is accepted; read again after a restart"
    )
    return parser


def _shops(path: Path | None) -> list[Account]:
    if path is None:
        return []
    try:
        return messages.ACCOUNTS.validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"--shops {path}: {error.strerror}") from error
    except ValidationError as error:
        raise ValueError(f"--shops {path}: {_words(error)}") from error


def _behaviour(text: str, latency_ms: float | None) -> Behaviour:
    try:
        settings = messages.CHANGES.validate_json(text)
        if latency_ms is not None:
            settings["latency_ms"] = latency_ms
        return Behaviour.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"--behaviour: {_words(error)}") from error


def _words(error: ValidationError) -> str:
    """Without the input: it may be a password."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False)
    )


async def _serve(api: NationalApi, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(api, host, port) as url:
        print(json.dumps({"url": url}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
