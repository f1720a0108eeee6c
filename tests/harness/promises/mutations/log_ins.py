"""Mutations of log-ins: what is a refused password, and how often a shop logs in."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=6,
        breaks="a text about maintenance at the log-in counts as a wrong password",
        file="streams/national_api/login_answers.py",
        old="""    if subject(text) is Subject.TRANSIENT or is_markup(text):
        return False
""",
        new="",
        test="tests/unit/test_answers.py::test_every_line_of_the_log_in_table_has_its_outcome",
    ),
    Mutation(
        promise=6,
        breaks="a gateway's page at the log-in counts as a wrong password",
        file="streams/national_api/login_answers.py",
        old="    if by_http and is_empty(answer):",
        new="    if by_http:",
        test="tests/unit/test_answers.py::test_every_line_of_the_log_in_table_has_its_outcome",
    ),
    Mutation(
        promise=5,
        breaks="a text that is none counts as a token",
        file="streams/national_api/login_answers.py",
        old="        and not (is_placeholder(token) or is_markup(token))",
        new="        and not is_markup(token)",
        test="tests/unit/test_answers.py::test_every_line_of_the_log_in_table_has_its_outcome",
    ),
    Mutation(
        promise=3,
        breaks="a POST that was answered about the token is repeated without a look-up",
        file="streams/national_api/client.py",
        old='            if method == "POST" and isinstance(result, Answer):',
        new='            if method == "NONE" and isinstance(result, Answer):',
        test="tests/contract/doubt/test_answers_of_others.py::test_an_expired_token_in_any_form_of_the_api_is_renewed_after_a_look_up",
    ),
    Mutation(
        promise=1,
        breaks="a token that the API does not take is not dropped, so no fresh one is fetched",
        file="streams/national_api/tokens.py",
        old="        session.known, session.rejected, session.worked = None, token, False",
        new="        session.rejected, session.worked = token, False",
        test="tests/contract/doubt/test_answers_of_others.py::test_an_expired_token_in_any_form_of_the_api_is_renewed_after_a_look_up",
    ),
    Mutation(
        promise=5,
        breaks="one body that is always answered about the token logs its shop in without a bound",
        file="streams/national_api/tokens.py",
        old="        if len(recent) >= (_RENEWALS if proven and session.worked else 1):",
        new="        if len(recent) >= 1_000:",
        test="tests/contract/test_log_in.py::test_a_body_whose_token_is_never_accepted_causes_few_log_ins",
    ),
    Mutation(
        promise=5,
        breaks="a log-in that fails is tried again with each sale, until the account is locked",
        file="streams/national_api/tokens.py",
        old="session.backoff_until = self._clock() + max(backoff, min(result.wait_s or 0.0, _MAX_RETRY_AFTER))",
        new="session.backoff_until = self._clock()",
        test="tests/contract/test_log_in.py::test_the_pause_after_a_failed_log_in_grows",
    ),
    Mutation(
        promise=6,
        breaks="a log-in answer with Retry-After is not obeyed",
        file="streams/national_api/tokens.py",
        old="session.backoff_until = self._clock() + max(backoff, min(result.wait_s or 0.0, _MAX_RETRY_AFTER))",
        new="session.backoff_until = self._clock() + backoff",
        test="tests/contract/test_log_in.py::test_retry_after_in_a_log_in_answer_is_obeyed",
    ),
    Mutation(
        promise=5,
        breaks="a token that was rejected is taken again when Redis has it once more",
        file="streams/national_api/tokens.py",
        old="        if known is None or known == session.rejected:",
        new="        if known is None:",
        test="tests/contract/test_log_in.py::test_a_rejected_token_that_returns_with_redis_is_not_used",
    ),
    Mutation(
        promise=5,
        breaks="a token out of Redis is not checked as one out of an answer is",
        file="streams/national_api/token_cache.py",
        old="    return Token(SecretStr(token), until) if isinstance(token, str) and is_a_token(token) else None",
        new="    return Token(SecretStr(token), until) if isinstance(token, str) else None",
        test="tests/contract/test_token_cache.py::test_a_value_that_no_worker_wrote_is_ignored",
    ),
    Mutation(
        promise=1,
        breaks="a refusal out of Redis is believed until the year 287,000",
        file="streams/national_api/token_cache.py",
        old="        return known if 0 < known.until - self._clock() <= max_life else None",
        new="        return known if 0 < min(max_life, known.until - self._clock()) else None",
        test="tests/contract/test_token_cache.py::test_a_value_that_no_worker_wrote_is_ignored",
    ),
    Mutation(
        promise=5,
        breaks="deep JSON in Redis keeps a shop from logging in",
        file="streams/national_api/token_cache.py",
        old="KeyError, OverflowError, RecursionError):",
        new="KeyError, OverflowError):",
        test="tests/contract/test_token_cache.py::test_a_value_that_no_worker_wrote_is_ignored",
    ),
    Mutation(
        promise=5,
        breaks="what is no text in Redis keeps a shop from logging in",
        file="streams/national_api/token_cache.py",
        old="    except (ValueError, TypeError,",
        new="    except (json.JSONDecodeError, TypeError,",
        test="tests/contract/test_token_cache.py::test_a_value_that_no_worker_wrote_is_ignored",
    ),
    Mutation(
        promise=5,
        breaks="a key of another type is taken for Redis being away",
        file="streams/national_api/token_cache.py",
        old='str(error).startswith("WRONGTYPE"):',
        new='str(error).startswith("NOTHING"):',
        test="tests/contract/test_token_cache.py::test_a_key_of_another_type_affects_one_shop_and_is_no_outage",
    ),
)
