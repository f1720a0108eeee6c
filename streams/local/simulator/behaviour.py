"""How the simulated API behaves when nothing is wrong: where the published facts leave a choice."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat


class Behaviour(BaseModel):
    """Every setting can be changed while the simulator runs. Defaults: as documented."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: NonNegativeFloat = 50
    """Between a request read and its document accepted."""

    jwt_tokens: bool = False
    """Tokens are JWTs with `sub` and `exp`, else opaque."""
    token_lifetime_s: PositiveFloat = 3600
    login_answer: Literal["documented", "field"] = "documented"
    wrong_credentials: Literal["400", "401", "200"] = "400"
    """200: with `code` ≠ 200 and `data` null."""
    cookies: bool = False
    """A log-in sets a cookie, which a client must not carry into another shop's calls."""

    accepted_answer: Literal["documented", "field", "no_id"] = "documented"
    code_as: Literal["number", "string"] = "number"
    message_field: Literal["mess", "message"] = "mess"
    refusal_answer: Literal["400", "400_text", "200"] = "400"
    """200: with `code` 400 in the body."""
    second_create: Literal["refuse", "replace", "another"] = "refuse"
    """What a second POST of a code that is held does; another: one more document exists."""
    replace_missing: Literal["404", "refuse", "create"] = "404"
    """What a PUT of a code that is not held does."""
    withdraw_missing: Literal["404", "refuse", "accept"] = "404"
    """What a DELETE of a code that is not held does."""

    look_up: Literal["offered", "405", "501"] = "offered"
    without_look_up: frozenset[str] = frozenset()
    """Kinds that have none: their GET is answered by the web server, as any path that there is not."""
    look_up_answer: Literal["bare", "data", "list"] = "bare"
    """The object itself, under `data`, or under `data` as a list of one."""
    look_up_id: Literal["national_field", "national_only", "own_field", "none"] = "national_field"
    """Beside our own code; alone; in the place of our own code; not at all."""
    look_up_missing: Literal["404", "200_code", "null", "empty"] = "404"

    known_pharmacies: frozenset[str] | None = None
    """The only `ma_co_so` that are not refused; null: all."""
    refused_drugs: frozenset[str] = frozenset()
    """`ma_thuoc` whose documents are refused."""
    refused_values: frozenset[Literal["own_drug_codes", "fractions", "zeros"]] = frozenset()
    """What the description allows in lines and the API may refuse all the same: a `ma_thuoc` that does not begin with
    DQG, a `so_luong` that is not whole, one that is not above zero."""
    required_line_fields: frozenset[str] = frozenset()
    """Required beyond the published rules: field clients always send `so_dang_ky`."""
    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    refusals_name_customer: bool = False
    """The API's own words may name a customer: whoever logs or passes them on leaks."""
