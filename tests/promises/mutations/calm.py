"""Calm days, parts that fail by themselves, and the end of what stands still."""

from __future__ import annotations

from tests.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=4,
        breaks="a quiet night after a restart ends the worker",
        file="streams/standing.py",
        old="    return None if read is None or isinstance(read, NextToRead) else read + 1",
        new="    return None if read is None else read + 1",
        test="tests/unit/test_quiet_days.py::test_a_quiet_night_after_a_restart_is_no_stall",
    ),
    Mutation(
        promise=1,
        breaks="a worker whose log nobody reads stands still for ever",
        file="streams/ending.py",
        old="""    end_within(_LAST_WORDS)
    log.error(""",
        new="    log.error(",
        test="tests/unit/test_watchdog.py::test_it_ends_though_nobody_reads_its_log",
    ),
    Mutation(
        promise=1,
        breaks="a worker that stood still ends with 0, and its supervisor does not start it again",
        file="streams/ending.py",
        old="    atexit.register(end, code)  # Faust itself would say 0\n",
        new="",
        test="tests/unit/test_watchdog.py::test_it_ends_with_its_code_whatever_hangs",
    ),
    Mutation(
        promise=1,
        breaks="a line of the log that cannot be written keeps what stands still from its end",
        file="streams/vitals.py",
        old="""        end_in_order(self._settings.drain_timeout + SHUTDOWN_AFTER_DRAIN)
        for still in stalled:""",
        new="""        log.error("watchdog.ends", what=len(stalled))
        end_in_order(self._settings.drain_timeout + SHUTDOWN_AFTER_DRAIN)
        for still in stalled:""",
        test="tests/unit/test_vitals.py::test_a_line_that_cannot_be_written_keeps_nobody_from_the_end",
    ),
    Mutation(
        promise=1,
        breaks='a finding with the key "event" breaks the line about the end',
        file="streams/vitals.py",
        old="                    seen=dict(still.seen),",
        new="                    **still.seen,",
        test="tests/unit/test_vitals.py::test_each_kind_of_finding_ends_the_worker_with_a_line",
    ),
    Mutation(
        promise=1,
        breaks="a watchdog that cannot look watches nobody, for ever",
        file="streams/vitals.py",
        old="                if blind >= self._settings.watchdog_after:  # nobody would see the worker stand still",
        new="                if blind >= 10**9:",
        test="tests/unit/test_vitals.py::test_a_watchdog_that_cannot_look_says_so_and_ends_the_worker_in_the_same_time",
    ),
    Mutation(
        promise=5,
        breaks="one uncommitted insert of a till stops the retries of all shops",
        file="streams/due.py",
        old="            more = await self._sweeping(self._sweep)",
        new="            more = await self._sweep()",
        test="tests/contract/test_due_poison.py::test_a_part_that_fails_is_said_once_and_what_is_due_is_fed",
    ),
    Mutation(
        promise=5,
        breaks="one account that raises stops the retries of all shops",
        file="streams/due.py",
        old="            await self._releasing(self._release_mended_shops)",
        new="            await self._release_mended_shops()",
        test="tests/contract/test_due_poison.py::test_a_part_that_fails_is_said_once_and_what_is_due_is_fed",
    ),
    Mutation(
        promise=5,
        breaks="one message that cannot be sent keeps all that are due from being fed",
        file="streams/due.py",
        old="            fed = await halved(self._send_all, [item for item in due if item.id in late])",
        new="            fed = [await self._send(item) for item in due if item.id in late]",
        test="tests/contract/test_due_poison.py::test_one_message_that_cannot_be_sent_keeps_no_other",
    ),
    Mutation(
        promise=5,
        breaks="a shop whose account raises keeps the other shops waiting",
        file="streams/due.py",
        old="        released = await halved(partial(self._release, reasons), shops)",
        new="        released = await self._release(reasons, shops)",
        test="tests/contract/test_due_poison.py::test_a_shop_whose_account_raises_keeps_no_other_waiting",
    ),
    Mutation(
        promise=3,
        breaks="where nobody knows how far the events are worked through, all of them are taken for lost",
        file="streams/due.py",
        old="            self._unseen_before = 0 if seen is None else seen",
        new="            self._unseen_before = 2**62 if seen is None else seen",
        test="tests/contract/test_due_poison.py::test_progress_that_cannot_be_told_takes_nothing_for_lost",
    ),
    Mutation(
        promise=5,
        breaks="one row that a till keeps locked keeps everybody from being told what is due",
        file="streams/stores/schedule.py",
        old="""            if is_away(error):
                raise""",
        new="            raise",
        test="tests/contract/test_due_poison.py::test_a_sale_that_a_till_keeps_locked_stops_no_other_retry",
    ),
    Mutation(
        promise=5,
        breaks="one row of ours that is locked keeps all that are due from being fed",
        file="streams/stores/schedule.py",
        old="            for result in await halved(put_off, part):",
        new="            for result in await put_off(part):",
        test="tests/contract/test_due_poison.py::test_a_row_of_ours_that_is_locked_holds_up_itself_alone",
    ),
    Mutation(
        promise=1,
        breaks="what one part raises ends the scheduler",
        file="streams/guard.py",
        old="        except Exception as error:",
        new="        except KeyboardInterrupt as error:",
        test="tests/contract/test_due_poison.py::test_it_runs_on_whatever_its_lock_raises",
    ),
    Mutation(
        promise=1,
        breaks="a connector's task that has failed is not restarted",
        file="streams/operators/connector_care.py",
        old="""                if is_mine:
                    await self._restart(api)""",
        new="                pass",
        test="tests/unit/test_connector_care.py::test_a_task_that_has_failed_is_said_and_restarted_after_five_minutes",
    ),
    Mutation(
        promise=5,
        breaks="a connector's task is restarted without end, until the database locks its account",
        file="streams/operators/connector_care.py",
        old="                self._pause = min(2 * self._pause, max(LONGEST_PAUSE, self._restart_after))",
        new="                self._pause = self._restart_after",
        test="tests/unit/test_connector_care.py::test_one_that_fails_again_and_again_is_restarted_ever_more_seldom",
    ),
    Mutation(
        promise=5,
        breaks="every worker restarts what has failed",
        file="streams/operators/connector_care.py",
        old="""                if is_mine:
                    await self._restart(api)""",
        new="                await self._restart(api)",
        test="tests/unit/test_connector_care.py::test_another_worker_that_has_the_lock_restarts_it",
    ),
    Mutation(
        promise=5,
        breaks="tasks that run are restarted too",
        file="streams/operators/connect_api.py",
        old='/restart?includeTasks=true&onlyFailed=true")',
        new='/restart?includeTasks=true&onlyFailed=false")',
        test="tests/unit/test_connector_care.py::test_only_what_has_failed_is_restarted",
    ),
    Mutation(
        promise=5,
        breaks="a worker has as many files as old programs can bear, and the page's visitors take those of the sales",
        file="streams/open_files.py",
        old="        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))",
        new="        resource.getrlimit(resource.RLIMIT_NOFILE)",
        test="tests/unit/test_web_server.py::test_h3_the_limit_of_open_files_is_raised_at_the_start",
    ),
)
