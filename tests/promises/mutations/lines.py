"""What stands in the log, and what does not."""

from __future__ import annotations

from tests.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=7,
        breaks="the value of a library's error stands in the line that the library writes",
        file="streams/foreign_lines.py",
        old="            text = _without(text, error)",
        new="            text = text or str(error)",
        test="tests/unit/test_foreign_lines.py::test_m7_a_foreign_errors_value_is_in_no_line",
    ),
    Mutation(
        promise=7,
        breaks="asyncio's line about a task has what the task was given",
        file="streams/foreign_lines.py",
        old="            text = _of_asyncio(text)",
        new="            text = text.strip()",
        test="tests/unit/test_foreign_lines.py::test_m7_nor_in_asyncios_lines",
    ),
    Mutation(
        promise=7,
        breaks="Python writes the value of an error that nobody caught to stderr",
        file="streams/foreign_lines.py",
        old="    sys.excepthook = uncaught\n",
        new="",
        test="tests/unit/test_foreign_lines.py::test_m7_nor_in_what_nobody_caught",
    ),
    Mutation(
        promise=7,
        breaks="a text from outside steers the terminal that shows the log",
        file="streams/harmless.py",
        old='    return _STEERS.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)',
        new="    return text",
        test="tests/unit/test_logs.py::test_l_what_steers_a_terminal_is_written_out",
    ),
    Mutation(
        promise=7,
        breaks="a value of a line begins another line, which nobody wrote",
        file="streams/harmless.py",
        old='    return escaped(text).replace("\\n", "\\\\n").replace("\\t", "\\\\t")',
        new="    return escaped(text)",
        test="tests/unit/test_logs.py::test_l_no_value_makes_a_line_of_its_own",
    ),
    Mutation(
        promise=7,
        breaks="a secret with a quotation mark stands in the log as JSON writes it",
        file="streams/logs.py",
        old="            words |= {written for word in words for written in _written(word)}",
        new="            words |= set()",
        test="tests/unit/test_logs.py::test_l_a_secret_is_masked_however_a_line_writes_it",
    ),
    Mutation(
        promise=7,
        breaks="where a long value is cut, half of a secret is left",
        file="streams/logs.py",
        old="bounded(self.without(value), _LONGEST_TRACE if name in _TRACES else LONGEST)",
        new="bounded(value, _LONGEST_TRACE if name in _TRACES else LONGEST)",
        test="tests/unit/test_logs.py::test_l_a_value_is_no_longer_than_a_person_reads_and_no_half_of_a_secret_is_left",
    ),
    Mutation(
        promise=7,
        breaks="the text of an error that is none of ours stands in the log",
        file="streams/stores/isolate.py",
        old="    return str(error) if isinstance(error, StoreError) else type(error).__name__",
        new="    return str(error)",
        test="tests/contract/test_due_poison.py::test_a_part_that_fails_is_said_once_and_what_is_due_is_fed",
    ),
)
