"""What the national API may be picky about is refused or changed visibly."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=1,
        breaks="a line without a drug code vanishes, and its sale is sent without it",
        file="streams/documents/sale.py",
        old="    lines, replaced = _without_empty_dosage(lines, options.empty_dosage)\n",
        new="""    lines = [line for line in lines if line["drug_code"]] or lines
    lines, replaced = _without_empty_dosage(lines, options.empty_dosage)
""",
        test="tests/unit/test_picky_rules.py"
        "::test_a_line_without_a_drug_code_is_named_and_the_document_is_not_sent_without_it",
    ),
    Mutation(
        promise=1,
        breaks="a refusal by the API does not name the line that may be why",
        file="streams/pipeline/body_remarks.py",
        old="            details = (*reason.details, *body.replaced, *body.doubtful)\n",
        new="            details = (*reason.details, *body.replaced)\n",
        test="tests/contract/doubt/test_picky_api.py::test_a_fraction_is_sent_and_named_once_the_api_refuses_it",
    ),
    Mutation(
        promise=2,
        breaks="a line with a quantity of zero is sent",
        file="streams/documents/wire_format.py",
        old="    if amount == 0:\n",
        new="    if amount is None:\n",
        test="tests/unit/test_picky_rules.py::test_a_quantity_of_zero_breaks_a_rule_and_its_line_is_named",
    ),
    Mutation(
        promise=2,
        breaks="a fractional quantity is sent although the settings refuse it",
        file="streams/documents/document.py",
        old='        return cls(settings.empty_dosage, settings.fractional_quantities == "send")\n',
        new="        return cls(settings.empty_dosage)\n",
        test="tests/unit/test_picky_rules.py::test_the_options_of_bodies_are_those_of_the_settings",
    ),
    Mutation(
        promise=2,
        breaks="an empty dosage is replaced, and nothing says so",
        file="streams/documents/sale.py",
        old="        replaced=replaced,\n",
        new="",
        test="tests/unit/test_picky_rules.py::test_an_empty_dosage_is_refused_or_replaced_and_never_sent",
    ),
    Mutation(
        promise=2,
        breaks="what was sent in place of an empty dosage is not published",
        file="streams/pipeline/body_remarks.py",
        old="        case Accepted(reason=reason) if body.replaced:\n",
        new="        case Accepted(reason=reason) if body.replaced is None:\n",
        test="tests/contract/doubt/test_picky_api.py"
        "::test_an_empty_dosage_is_sent_as_the_settings_say_and_the_row_says_so",
    ),
    Mutation(
        promise=3,
        breaks="a sale with a replaced dosage counts as edited when its acceptance is written back",
        file="streams/worker.py",
        old="        decisions = DecisionWriter(self._db, self._known_types, settings.zone, self._columns)\n",
        new="""        from dataclasses import replace

        from streams.documents.document import BodyOptions

        plain = {name: replace(each, options=BodyOptions()) for name, each in self._known_types.items()}
        decisions = DecisionWriter(self._db, plain, settings.zone, self._columns)
""",
        test="tests/pipeline/test_picky_api.py::test_what_the_settings_replace_or_refuse_is_said_and_decided_once",
    ),
    Mutation(
        promise=5,
        breaks="a receipt that is never decided holds up the sales of its shop forever",
        file="streams/pipeline/document_order.py",
        old="        if not self._earlier or waited_s >= self._limit:\n",
        new="        if not self._earlier:\n",
        test="tests/contract/stores/test_earlier_documents.py::test_a_document_waits_until_the_limit_and_no_longer",
    ),
)
