"""Visitors of the page: what they take from the sales, and what is shown to whom."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=5,
        breaks="connections that say nothing take all the files that the sales need",
        file="streams/runtime/web_server.py",
        old="""            self.forget(longest)
            longest.end()""",
        new="            self.forget(longest)",
        test="tests/unit/test_web_server.py::test_h3_connections_that_say_nothing_leave_room_for_those_that_ask",
    ),
    Mutation(
        promise=5,
        breaks="there is no end to the connections that are served at once",
        file="streams/runtime/web_server.py",
        old="""            if longest is None:
                return False""",
        new="""            if longest is None:
                return True""",
        test="tests/unit/test_web_server.py::test_h3_where_all_are_served_the_next_is_closed_at_once_and_no_request_is_cut",
    ),
    Mutation(
        promise=5,
        breaks="a head that never comes keeps its connection for ever",
        file="streams/runtime/web_server.py",
        old="        connection.ends_after(self._bounds.head)",
        new="        connection.ends_after(None)",
        test="tests/unit/test_web_server.py::test_h3_a_head_that_does_not_come_is_not_waited_for",
    ),
    Mutation(
        promise=5,
        breaks="what a request has packed is unpacked, a thousand times as large",
        file="streams/runtime/web_server.py",
        old="            auto_decompress=False,",
        new="            auto_decompress=True,",
        test="tests/unit/test_web_server.py::test_c2_what_is_packed_stays_packed",
    ),
    Mutation(
        promise=5,
        breaks="a request that hangs keeps its connection for ever",
        file="streams/runtime/web_server.py",
        old="        connection.ends_after(self._bounds.request)",
        new="        connection.ends_after(None)",
        test="tests/unit/test_web_server.py::test_h3_a_connection_that_is_idle_ends_and_so_does_a_request",
    ),
    Mutation(
        promise=7,
        breaks="Faust's own pages show the world what nobody needs to see",
        file="streams/runtime/web_server.py",
        old="    default_blueprints = ()",
        new="    default_blueprints = Web.default_blueprints",
        test="tests/unit/test_web_server.py::test_l_fausts_own_pages_are_not_served",
    ),
    Mutation(
        promise=5,
        breaks="a request names the codec that its body is read in",
        file="streams/operators/page/form.py",
        old="    if len(types) != 1 or not _TYPE.fullmatch(types[0].strip()) or encodings:",
        new="    if encodings:",
        test="tests/page/test_hostile_requests.py::test_c2_a_body_of_another_kind_is_refused_unread",
    ),
    Mutation(
        promise=5,
        breaks="a body without an end is taken into memory",
        file="streams/operators/page/form.py",
        old="""                if len(body) > MOST_BYTES:
                    raise UnreadableForm(413)
""",
        new="",
        test="tests/page/test_hostile_requests.py::test_c2_no_more_is_taken_than_a_form_has",
    ),
    Mutation(
        promise=5,
        breaks="a body is read before it is known who sends it",
        file="streams/operators/page/page.py",
        old="""            request[PERSON] = self.access.who(request)
            if request.method""",
        new="""            await request.content.read()
            request[PERSON] = self.access.who(request)
            if request.method""",
        test="tests/page/test_hostile_requests.py::test_c2_whoever_has_no_business_here_is_answered_before_the_body_comes",
    ),
    Mutation(
        promise=5,
        breaks="strangers who send slowly take all the connections of the page",
        file="streams/operators/page/page.py",
        old="""        if strangers and self._strangers >= _MOST_STRANGERS:
            raise Busy
""",
        new="",
        test="tests/page/test_hostile_requests.py::test_c2_strangers_who_send_slowly_leave_room_for_all_others",
    ),
    Mutation(
        promise=5,
        breaks="one person's questions keep everybody's screens waiting",
        file="streams/operators/page/query_cache.py",
        old="        if mine.questions >= self._queue_of_each or sum",
        new="        if sum",
        test="tests/page/test_shared.py::test_m4_four_hundred_questions_of_one_person_are_answered_busy_and_others_go_on",
    ),
    Mutation(
        promise=5,
        breaks="the database is asked what nobody waits for any more",
        file="streams/operators/page/query_cache.py",
        old="""        asked.task.cancel()
        if self._asked.get(key) is asked:""",
        new="        if self._asked.get(key) is asked:",
        test="tests/page/test_shared.py::test_m4_what_nobody_waits_for_any_more_is_not_asked",
    ),
    Mutation(
        promise=7,
        breaks="whoever asks from this machine gets in without a code, a proxy's whole world too",
        file="streams/operators/page/access.py",
        old="        return Person(name, signed_in=True) if name else None",
        new='        return Person(name or "anybody", signed_in=True)',
        test="tests/page/test_sign_in.py::test_m5_without_a_token_this_machine_has_to_know_the_workers_code",
    ),
    Mutation(
        promise=7,
        breaks="where no code is set, other machines are asked for the worker's own",
        file="streams/operators/page/access.py",
        old="""        if self._set is None and not (peer is not None and peer.is_loopback and _is_direct(request)):
            raise Forbidden("closed")
""",
        new="",
        test="tests/page/test_door.py::test_nobody_else_is",
    ),
    Mutation(
        promise=7,
        breaks="a session's cookie goes over plain HTTP too",
        file="streams/operators/page/access.py",
        old='samesite="Strict", secure=secure)',
        new='samesite="Strict", secure=False)',
        test="tests/page/test_sign_in.py::test_m6_behind_tls_only_tls",
    ),
    Mutation(
        promise=7,
        breaks="a code that others could read, or have put there, opens the page",
        file="streams/operators/page/generated_code.py",
        old="            if not (_is_ours(file.parent) and _is_private(state) and stat.S_ISREG(state.st_mode)):",
        new="            if not stat.S_ISREG(state.st_mode):",
        test="tests/page/test_sign_in.py::test_m5_a_code_that_others_could_know_or_have_made_is_none",
    ),
    Mutation(
        promise=7,
        breaks="whoever has a network of IPv6 guesses the code as often as they like",
        file="streams/operators/page/sign_in_attempts.py",
        old="_NETWORK_OF_ONE = 64",
        new="_NETWORK_OF_ONE = 128",
        test="tests/page/test_sign_in.py::test_m6_twenty_thousand_tries_from_one_network_are_as_few_as_those_of_one_address",
    ),
    Mutation(
        promise=7,
        breaks="guessing the code takes no time",
        file="streams/operators/page/sign_in_attempts.py",
        old="        wait = max(0.0, full_at - now - _AT_ONCE * _EVERY)",
        new="        wait = 0.0",
        test="tests/page/test_sign_in.py::test_m6_after_five_wrong_codes_the_right_one_only_takes_longer",
    ),
    Mutation(
        promise=5,
        breaks="whoever connects in a crowd gives way before it could ask",
        file="streams/runtime/web_server.py",
        old="                if since <= latest:",
        new="                if since <= latest + self._bounds.grace:",
        test="tests/unit/test_web_server.py::test_h3_of_many_at_a_stroke_each_that_was_let_in_gets_the_time_to_ask",
    ),
    Mutation(
        promise=5,
        breaks="an answer that nobody takes keeps its connection, and its memory, for ever",
        file="streams/runtime/web_server.py",
        old="            connection.ends_after(self._bounds.idle)",
        new="            connection.ends_after(None)",
        test="tests/unit/test_web_server.py::test_h3_an_answer_that_is_not_taken_keeps_nothing",
    ),
    Mutation(
        promise=5,
        breaks="a request that hangs holds up the end of its worker for a minute",
        file="streams/runtime/web_server.py",
        old="            shutdown_timeout=bounds.shutdown,\n",
        new="",
        test="tests/unit/test_web_server.py::test_h3_a_request_that_hangs_does_not_hold_up_the_end",
    ),
    Mutation(
        promise=5,
        breaks="a body that says it is packed is read",
        file="streams/operators/page/form.py",
        old="not _TYPE.fullmatch(types[0].strip()) or encodings:",
        new="not _TYPE.fullmatch(types[0].strip()):",
        test="tests/page/test_hostile_requests.py::test_c2_what_is_packed_is_not_unpacked",
    ),
    Mutation(
        promise=5,
        breaks="a form of sixty thousand fields is taken apart",
        file="streams/operators/page/form.py",
        old=", max_num_fields=_MOST_FIELDS",
        new="",
        test="tests/page/test_hostile_requests.py::test_c2_what_is_no_form_is_not_understood",
    ),
    Mutation(
        promise=5,
        breaks="a body that never comes is waited for as long as its connection lasts",
        file="streams/operators/page/form.py",
        old="        async with asyncio.timeout(patience):",
        new="        async with asyncio.timeout(None):",
        test="tests/page/test_hostile_requests.py::test_c2_a_body_that_does_not_come_is_not_waited_for",
    ),
    Mutation(
        promise=5,
        breaks="whoever clicks often enough takes all connections to the database",
        file="streams/operators/page/actions.py",
        old="""        if self._at_work >= _DEEDS_AT_ONCE:
            raise Busy
""",
        new="",
        test="tests/page/test_hostile_requests.py::test_m4_three_deeds_at_once_and_who_comes_then_is_told_to_come_again",
    ),
    Mutation(
        promise=7,
        breaks="the worker's own code stands where every account of its machine reads it",
        file="streams/operators/page/generated_code.py",
        old="    return os.open(path, flags | os.O_NOFOLLOW, 0o600)",
        new="    return os.open(path, flags | os.O_NOFOLLOW, 0o644)",
        test="tests/page/test_sign_in.py::test_m5_the_code_stands_where_nobody_else_reads_it_and_outlives_a_restart",
    ),
    Mutation(
        promise=7,
        breaks="whoever may write beside the worker's code leads it to one that they know",
        file="streams/operators/page/generated_code.py",
        old="    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)",
        new="    return os.open(path, flags | os.O_NONBLOCK)",
        test="tests/page/test_sign_in.py::test_m5_a_code_that_others_could_know_or_have_made_is_none",
    ),
    Mutation(
        promise=5,
        breaks="whoever guesses keeps as many requests waiting as they like",
        file="streams/operators/page/sign_in_attempts.py",
        old="        if wait > _PATIENCE:",
        new="        if wait < 0:",
        test="tests/page/test_sign_in.py::test_m6_after_five_wrong_codes_the_right_one_only_takes_longer",
    ),
    Mutation(
        promise=5,
        breaks="each address that ever tried a code is remembered for ever",
        file="streams/operators/page/sign_in_attempts.py",
        old="        while len(self._full_at) > _ADDRESSES:",
        new="        while not self._full_at:",
        test="tests/page/test_sign_in.py::test_m6_no_more_addresses_are_remembered_than_so_many",
    ),
    Mutation(
        promise=5,
        breaks="who signs in often with the right code has to wait like one who guesses",
        file="streams/operators/page/sign_in_attempts.py",
        old="            self._full_at[key] -= _EVERY",
        new="            self._full_at[key] -= 0",
        test="tests/page/test_sign_in.py::test_m6_the_right_code_costs_no_try",
    ),
)
