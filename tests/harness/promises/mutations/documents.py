"""Receipts and issues, carried as sales are."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=1,
        breaks="a web server that has no look-up for receipts is called without end, so one in doubt has none",
        file="streams/national_api/answers.py",
        old="    if answer.status == 404 and not endpoint.look_up_is_known:\n",
        new="    if answer.status == 404 and endpoint.look_up_is_known is None:\n",
        test="tests/contract/doubt/test_other_types.py::test_a_put_replaces_a_look_up_that_the_web_server_does_not_have",
    ),
    Mutation(
        promise=1,
        breaks="a receipt that one worker does not carry becomes a dead letter there",
        file="streams/pipeline/intake.py",
        old="request.document_type not in self._known_types:\n",
        new="request.document_type not in self._senders:\n",
        test="tests/pipeline/test_carried_types.py::test_a_retry_of_a_document_type_that_is_not_carried_is_skipped",
    ),
    Mutation(
        promise=2,
        breaks="a type that the national system does not know is sent",
        file="streams/documents/wire_format.py",
        old="        if number not in values:\n",
        new="        if number is None:\n",
        test="tests/unit/test_stock_documents.py::test_any_other_type_breaks_a_rule",
    ),
    Mutation(
        promise=2,
        breaks="an issue without notes is sent, and one whose notes are empty lacks them",
        file="streams/documents/goods_issue.py",
        old='    ghi_chu: EmptyOrText500 = Field(validation_alias="notes")\n',
        new='    ghi_chu: Optional500 = Field(None, validation_alias="notes")\n',
        test="tests/unit/test_stock_documents.py::test_notes_of_an_issue_have_to_be_there_and_may_be_empty",
    ),
    Mutation(
        promise=2,
        breaks="a sale's history has the decisions about a receipt with the same code",
        file="streams/stores/journal.py",
        old='"local_invoice_id": document_code, "document": document_type}',
        new='"local_invoice_id": document_code}',
        test="tests/contract/stores/test_journal.py::test_a_receipt_with_the_codes_of_a_sale_has_a_history_of_its_own",
    ),
    Mutation(
        promise=5,
        breaks="a type without tables is carried, and its errors are everybody's",
        file="streams/pipeline/carried_types.py",
        old="        self.all.remove(document_type)\n",
        new="",
        test="tests/pipeline/test_carried_types.py::test_a_document_type_without_tables_is_not_carried_and_the_others_are",
    ),
    Mutation(
        promise=5,
        breaks="sales wait until the topics of receipts are made",
        file="streams/kafka/faust_overrides/app.py",
        old="        return [topic for topic in optional if topic not in existing]\n",
        new="        return []\n",
        test="tests/servers/test_start.py::test_a_document_type_without_its_topic_is_not_carried_and_sales_are",
    ),
)
