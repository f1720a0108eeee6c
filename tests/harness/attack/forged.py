"""Attacks with forged cookies and headers: nobody is signed in by them, and nobody gets another address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from random import Random

from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from streams.operators.page.access import FORM, SESSION, Access
from streams.operators.page.page import PREFIX
from streams.operators.person_name import MAX_NAME_LENGTH
from tests.harness.attack.arena import Arena, Suite, listening
from tests.harness.attack.payloads import steering
from tests.harness.attack.site import House, served, status_of, visited

_GUESSES = ("", "0", "secret", "page", "mot-ma-truy-cap-dai", "the page's sessions", SESSION)
_NOT_HERS = (
    "192.0.2.7",
    "10.0.0.1",
    "127.0.0.1",
    "::1",
    "localhost",
    "unknown",
    "",
    "1.1.1.1, 127.0.0.1",
    "[::1]:80",
    "\x01",
    "'",
)
_WHO = (
    "X-Forwarded-User",
    "X-User",
    "X-Remote-User",
    "Remote-User",
    "X-Auth-Request-User",
    "Authorization",
    "X-WebAuth-User",
)
_WHENCE = (
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Via",
    "X-Forwarded-Host",
)


async def run(arena: Arena) -> None:
    with listening(arena.seen) as lines:
        async with (
            served(arena.folder, arena.seen, page_user_header="X-User", page_trusted_proxies=("10.0.0.0/8",)) as house,
            visited(house) as visitor,
        ):
            await house.point_of_sale.sell(1, status="SYNC_FAILED")
            real = next(each.value for each in visitor.session.cookie_jar if each.key == SESSION)
            out = await _signed_out(house)
            before = house.contents()
            for number in arena.numbers:
                rng = arena.random(number)
                headers = _headers(rng, real, out)
                problem = await _attempt(rng, house, headers)
                if problem is None and house.contents() != before:
                    problem = "the database is changed"
                errors = [line for line in lines.take() if '"level":"error"' in line]
                arena.judge(number, problem or (errors[0] if errors else None), headers)
            if (await visitor.get())[0].status != 200:
                raise AssertionError("the real session is none any more, so that the forged ones prove nothing")


async def _signed_out(house: House) -> str:
    async with visited(house) as visitor:
        value = next(each.value for each in visitor.session.cookie_jar if each.key == SESSION)
        await visitor.post("sign-out", {"form": await visitor.form()})
        return value


def _headers(rng: Random, real: str, out: str) -> list[tuple[str, str]]:
    headers = [("Cookie", f"{SESSION}={_forged(rng, real, out)}{rng.choice(('', f'; {FORM}=' + 'a' * 43))}")]
    names = ("Lan", "admin", f"Bearer {real}", "Basic TGFuOkxhbg==", "x" * (MAX_NAME_LENGTH + 1))
    headers += [(rng.choice(_WHO), rng.choice(names)) for _ in range(rng.randrange(3))]
    headers += [(rng.choice(_WHENCE), rng.choice(_NOT_HERS)) for _ in range(rng.randrange(3))]
    return headers


def _forged(rng: Random, real: str, out: str) -> str:
    words, _, signature = real.partition(".")
    made_up = json.dumps(
        rng.choice((["Lan", 2**40, "id"], ["Lan", 2**40], {"name": "Lan"}, "Lan", [1, 2, 3], None))
    ).encode()
    match rng.randrange(14):
        case 0:
            return out
        case 1:
            return f"{words}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}"
        case 2:
            at = rng.randrange(len(words))
            return f"{words[:at]}{'0' if words[at] != '0' else '1'}{words[at + 1 :]}.{signature}"
        case 3:
            return f"{made_up.hex()}.{signature}"
        case 4:
            key = rng.choice(_GUESSES).encode()
            return f"{made_up.hex()}.{hmac.digest(key, made_up, 'sha256').hex()}"
        case 5:
            key = hashlib.scrypt(
                rng.choice(_GUESSES).encode(), salt=b"the page's sessions", n=2**10, r=8, p=1, dklen=32
            )
            return f"{made_up.hex()}.{hmac.digest(key, made_up, 'sha256').hex()}"
        case 6:
            return f"{made_up.hex()}.{hashlib.sha256(made_up).hexdigest()}"
        case 7:
            return rng.choice(
                (words, f"{words}.", f".{signature}", ".", "", f"{signature}.{words}", f"{words}..{signature}")
            )
        case 8:
            return f"{base64.urlsafe_b64encode(made_up).decode()}.{signature}"
        case 9:
            return f"{words[: rng.randrange(1, len(words))]}.{signature}"
        case 10:
            return f"{words.upper()}.{signature[::-1]}"
        case 11:
            return "".join(letter for letter in steering(rng, 60) if letter not in "\r\n\x00")
        case 12:
            return f'"{words}.{signature}x"'
        case _:
            return f"{words}{made_up.hex()}.{signature}"


async def _attempt(rng: Random, house: House, headers: list[tuple[str, str]]) -> str | None:
    if rng.random() < 0.3:
        return await _as_somebody_elses_address(house, headers)
    post = rng.random() < 0.4
    path = rng.choice(("", "failures", "sale/1", "shops", "waiting", "sale?code=HD-1"))
    body = b"form=" + b"a" * 43 + b"&action=again&id=1" if post else b""
    lines = [f"{'POST' if post else 'GET'} {PREFIX}{'send' if post else path} HTTP/1.1", f"Host: {house.host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if post:
        lines += [
            f"Origin: {house.origin}",
            f"Content-Length: {len(body)}",
            "Content-Type: application/x-www-form-urlencoded",
        ]
    head = "\r\n".join([*lines, "Connection: close", "", ""])
    answer = await house.raw(head.encode("utf-8", "surrogatepass") + body)
    status = status_of(answer)
    if status not in (400, 401, 403):
        return f"it is answered {status}"
    return "it shows a sale" if b">HD-1<" in answer else None


async def _as_somebody_elses_address(house: House, headers: list[tuple[str, str]]) -> str | None:
    """Try codes under forged addresses, which must give no more tries."""
    readable = [(name, value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")) for name, value in headers]
    access = Access(house.settings)
    peer = "192.0.2.99"
    for _ in range(12):
        request = make_mocked_request("POST", f"{PREFIX}sign-in", CIMultiDict([("Host", house.host), *readable]))
        last = access.sign_in_delay(request.clone(remote=peer))
    if last is not None:
        return "twelve codes in a row are looked at"
    if house.access.identify(
        make_mocked_request("GET", PREFIX, CIMultiDict([("Host", house.host), *readable])).clone(remote=peer)
    ):
        return "somebody is signed in"
    plain = make_mocked_request("POST", f"{PREFIX}sign-in", {"Host": house.host})
    if access.sign_in_delay(plain.clone(remote=peer)) is not None:
        return "the tries are counted for another address"
    return (
        None if access.sign_in_delay(plain.clone(remote="192.0.2.100")) == 0 else "another address has to wait for them"
    )


SUITE = Suite("forged", "sessions, users and addresses, by made-up cookies and headers", 350, run, 0.2)
