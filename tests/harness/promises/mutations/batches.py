"""One bad row, decision or message among good ones, and what others put there."""

from __future__ import annotations

from tests.harness.promises.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        promise=5,
        breaks="an error that nobody thought of takes its whole batch with it",
        file="streams/stores/isolation.py",
        old="""    except Exception as error:
        if is_unavailable(error) or isinstance(error, unavailable):""",
        new="""    except StoreError as error:
        if is_unavailable(error) or isinstance(error, unavailable):""",
        test="tests/unit/test_isolation.py::test_any_error_of_one_row_affects_only_that_row",
    ),
    Mutation(
        promise=5,
        breaks="a missing right is blamed on each row",
        file="streams/stores/isolation.py",
        old="    await wait_for_database([no_item])\n",
        new="",
        test="tests/unit/test_isolation.py::test_an_error_that_comes_without_any_row_is_not_blamed_on_the_rows",
    ),
    Mutation(
        promise=5,
        breaks="the query for due documents waits for the one row, and nothing is enqueued",
        file="streams/stores/isolation.py",
        old="    return isinstance(error, StoreUnavailable) and not (error.is_lock or error.is_time_out)",
        new="    return isinstance(error, StoreUnavailable)",
        test="tests/contract/test_scheduler_isolation.py::test_a_sale_that_a_till_keeps_locked_stops_no_other_retry",
    ),
    Mutation(
        promise=5,
        breaks="half a letter in one row keeps its batch from being read",
        file="streams/stores/lenient_decoding.py",
        old='    return None if raw is None else raw.decode(encoding, "replace")',
        new="    return None if raw is None else raw.decode(encoding)",
        test="tests/contract/stores/test_poison.py::test_half_an_emoji_is_a_broken_rule_of_its_own_sale",
    ),
    Mutation(
        promise=7,
        breaks="a name that was erased, corrected and accepted stays in dbo.SaleSync",
        file="streams/stores/retention.py",
        old="    if accepted:",
        new="    if not accepted:",
        test="tests/contract/stores/test_claims.py::test_an_accepted_end_leaves_nothing_of_what_was_refused",
    ),
    Mutation(
        promise=7,
        breaks="a body that was refused and never corrected stays in dbo.SaleSync forever",
        file="streams/stores/retention.py",
        old="    ids = await db.transaction(find)",
        new="    ids: list[int] = []",
        test="tests/contract/stores/test_claims.py::test_what_nobody_mends_is_forgotten_after_its_time",
    ),
    Mutation(
        promise=2,
        breaks="a forged message on sale-status gives any sale a final decision, and the true one is ignored",
        file="streams/stores/decisions.py",
        old='"WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 BETWEEN published_attempt AND attempt - 1"',
        new='"WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 >= published_attempt"',
        test="tests/contract/stores/test_claims.py::test_a_decision_of_an_attempt_that_nobody_claimed_is_passed_over",
    ),
    Mutation(
        promise=2,
        breaks="a true decision is lost together with a forged one of the same sale",
        file="streams/stores/decisions.py",
        old="        return written | await self.apply(document_type, genuine) if genuine else written",
        new="        return written",
        test="tests/contract/stores/test_claims.py::test_a_true_decision_that_comes_with_a_forged_one_counts",
    ),
    Mutation(
        promise=1,
        breaks="a row that cannot be read never gets a reason",
        file="streams/pipeline/open_documents.py",
        old="        return [instead.get(id_, each) for id_, each in zip(ids, found, strict=True)]",
        new="        return found",
        test="tests/contract/stores/test_poison.py::test_a_row_that_cannot_be_read_gets_a_reason_and_the_others_go_out",
    ),
    Mutation(
        promise=1,
        breaks="a row that breaks our own code never gets a reason",
        file="streams/pipeline/sender.py",
        old="""        except Exception as error:
            # A mistake of ours, which concerns this document alone.""",
        new="""        except KeyboardInterrupt as error:
            # A mistake of ours, which concerns this document alone.""",
        test="tests/contract/stores/test_poison.py::test_a_row_that_breaks_transform_itself_stands_alone",
    ),
    Mutation(
        promise=5,
        breaks="an error that is none of the database's is raised to all that were written together",
        file="streams/pipeline/write_back.py",
        old="            results = await bisect_failures(partial(self._apply, document_type), items)",
        new="            results = list(await self._apply(document_type, items))",
        test="tests/contract/stores/test_write_back.py::test_whatever_one_decision_raises_it_stands_aside_alone",
    ),
    Mutation(
        promise=2,
        breaks="a decision about another company's sale with the same id becomes that of ours",
        file="streams/pipeline/source_database.py",
        old="        if database == self._known or _folded(database) == self._database:",
        new="        if database:",
        test="tests/unit/test_source_database.py::test_a_message_about_another_database_is_counted_each_time_and_logged_once",
    ),
    Mutation(
        promise=5,
        breaks="one message with a number beyond its column stops the journal of all shops",
        file="streams/domain/status_message.py",
        old="    if fields := _out_of_bounds(status):",
        new="    if fields := []:",
        test="tests/unit/test_published_statuses.py::test_a_status_with_a_value_beyond_its_column_cannot_be_read",
    ),
    Mutation(
        promise=5,
        breaks="one header that is no UTF-8 ends the journal and the write-back, after each restart too",
        file="streams/domain/status_message.py",
        old="    except UnicodeDecodeError:",
        new="    except KeyError:",
        test="tests/unit/test_published_statuses.py::test_a_status_with_a_header_that_is_not_a_hash_cannot_be_read",
    ),
    Mutation(
        promise=5,
        breaks="one message of sale-retry with a number beyond its column is claimed together with others",
        file="streams/domain/retry_message.py",
        old="    attempt: Annotated[int, Field(ge=0, lt=2**31 - 1)]",
        new="    attempt: Annotated[int, Field(ge=0)]",
        test="tests/unit/test_published_statuses.py::test_a_retry_message_with_a_number_beyond_its_column_cannot_be_read",
    ),
    Mutation(
        promise=4,
        breaks="one GroupAuthorizationFailedError, and it runs on with the client that it closed itself",
        file="streams/pipeline/journal_writer.py",
        old="        journal = self._make_journal()",
        new="""        journal = self.__dict__.setdefault("_journal", None) or self._make_journal()
        self.__dict__["_journal"] = journal""",
        test="tests/unit/test_journal_writer.py::test_the_journal_runs_again_with_new_clients_after_its_consumer_was_refused",
    ),
    Mutation(
        promise=5,
        breaks="one decision that cannot be kept stops the journal of all shops",
        file="streams/pipeline/journal_writer.py",
        old="lambda: bisect_failures(partial(self._append, journal), statuses, _UNAVAILABLE)",
        new="lambda: self._append(journal, statuses)",
        test="tests/unit/test_journal_writer.py::test_a_decision_that_cannot_be_stored_affects_no_other",
    ),
    Mutation(
        promise=5,
        breaks="one refusal that cannot be read stops the journal of all shops",
        file="streams/pipeline/journal_writer.py",
        old="""                    if not await self._decisions.answers():
                        raise result.error""",
        new="                    raise result.error",
        test="tests/unit/test_journal_writer.py::test_an_unreadable_refusal_leaves_only_its_decision_without_a_body",
    ),
    Mutation(
        promise=1,
        breaks="a decision whose body is too large for MongoDB is in no journal",
        file="streams/stores/journal.py",
        old=" for document, _ in refused if left_out[-1] in document]",
        new=" for document, _ in refused if not left_out]",
        test="tests/unit/test_journal_errors.py::test_a_document_too_large_for_mongodb_is_stored_without_its_body",
    ),
    Mutation(
        promise=1,
        breaks="every decision is buried while MongoDB's disk is full",
        file="streams/stores/journal.py",
        old="""        if refused:
            await self._verify_accepts_writes()
            refused = await self._try_insert(collection, [document for document, _ in refused])
        if refused:
            await self._verify_accepts_writes()
""",
        new="",
        test="tests/unit/test_journal_errors.py::test_the_journal_waits_for_a_server_that_accepts_nothing",
    ),
    Mutation(
        promise=5,
        breaks="a message that our producer cannot send is tried forever without a log line, and its partition stalls",
        file="streams/kafka/dead_letters.py",
        old="            except MessageSizeTooLargeError:",
        new="""            except MessageSizeTooLargeError:
                raise""",
        test="tests/unit/test_dead_letter.py::test_a_message_that_is_too_large_becomes_a_dead_letter_without_its_value",
    ),
    Mutation(
        promise=5,
        breaks="a reason that is too large keeps its message from being buried",
        file="streams/kafka/dead_letters.py",
        old='            "reason": why[:_MAX_REASON_LENGTH],',
        new='            "reason": why,',
        test="tests/unit/test_dead_letter.py::test_the_reason_of_a_dead_letter_is_shortened",
    ),
    Mutation(
        promise=5,
        breaks="a key that is too large keeps its message from being buried",
        file="streams/kafka/dead_letters.py",
        old="                if key is not None and len(key) > _MAX_KEY_LENGTH:",
        new="                if key is None:",
        test="tests/unit/test_dead_letter.py::test_a_dead_letter_leaves_out_a_key_that_is_too_large",
    ),
    Mutation(
        promise=1,
        breaks="a dead letter is tried again in silence",
        file="streams/kafka/dead_letters.py",
        old="                before_sleep=report,\n",
        new="",
        test="tests/unit/test_dead_letter.py::test_every_retry_of_a_dead_letter_is_logged",
    ),
    Mutation(
        promise=1,
        breaks="a store that is killed and started again loses a decision that came between",
        file="streams/stores/journal.py",
        old="            refused = await self._try_insert(collection, [document for document, _ in refused])\n",
        new="",
        test="tests/unit/test_journal_errors.py::test_a_server_that_returns_meanwhile_has_refused_no_document",
    ),
    Mutation(
        promise=2,
        breaks="a letter without its value goes back as a tombstone, which says that the row is gone",
        file="streams/operators/commands/replay.py",
        old="""            (letter.is_complete or self.dismiss)
            and self.topic""",
        new="            self.topic",
        test="tests/unit/test_dead_letter.py::test_a_dead_letter_without_its_value_is_never_replayed_but_may_be_dismissed",
    ),
    Mutation(
        promise=2,
        breaks="a forged dead letter is put into any topic of ours, with the operator's rights",
        file="streams/operators/commands/replay.py",
        old="""        if original is not None and (original.key, original.value) == (letter.key, letter.value):
            verified.append(replace(letter, headers=original.headers))""",
        new="""        if original is not None:
            verified.append(replace(letter, headers=original.headers))""",
        test="tests/unit/test_replayed.py::test_a_dead_letter_that_differs_from_its_original_is_not_replayed",
    ),
    Mutation(
        promise=2,
        breaks="a dead letter is put back with the headers that it says of itself",
        file="streams/operators/commands/replay.py",
        old="            verified.append(replace(letter, headers=original.headers))",
        new="            verified.append(letter)",
        test="tests/unit/test_replayed.py::test_a_dead_letter_that_differs_from_its_original_is_not_replayed",
    ),
    Mutation(
        promise=2,
        breaks="a dead letter whose message is gone is put back unasked",
        file="streams/operators/commands/replay.py",
        old="        elif options.without_original:",
        new="        elif letter.is_complete:",
        test="tests/unit/test_replayed.py::test_a_dead_letter_that_differs_from_its_original_is_not_replayed",
    ),
    Mutation(
        promise=1,
        breaks="records of a recreated topic are dropped until its offsets reach the old ones",
        file="streams/kafka/faust_overrides/transport.py",
        old="        sought = {**sought, **await self._from_the_beginning(sought)}\n",
        new="",
        test="tests/unit/test_recreated_topic.py::test_a_partition_with_a_commit_beyond_its_end_is_read_from_its_start",
    ),
    Mutation(
        promise=1,
        breaks="records of a topic that was recreated under a worker are dropped without a log line",
        file="streams/kafka/faust_overrides/transport.py",
        old="""        if not below:
            return records
""",
        new="""        if below or not below:
            return records
""",
        test="tests/unit/test_recreated_topic.py::test_a_topic_that_is_recreated_while_it_is_read_is_rejoined_without_committing_old_offsets",
    ),
    Mutation(
        promise=7,
        breaks="our journal has another company's decisions, under the codes of our own sales",
        file="streams/pipeline/journal_writer.py",
        old="            if self._takes(status.source_database):",
        new="            if status.source_database:",
        test="tests/unit/test_journal_writer.py::test_a_decision_about_another_database_is_not_stored",
    ),
    Mutation(
        promise=2,
        breaks="what another house's connector or worker says is taken for our own",
        file="streams/pipeline/intake.py",
        old="        if not self.source_database_filter.takes(event.message.topic, message.status.source_database):",
        new="        if not message.status.source_database:",
        test="tests/pipeline/test_poison.py::test_messages_that_nobody_can_read_stop_nobody",
    ),
    Mutation(
        promise=2,
        breaks="what another house's connector or worker says is taken for our own",
        file="streams/pipeline/intake.py",
        old=" and not is_ours(event.message.topic, request.database):",
        new=" and not request.database:",
        test="tests/pipeline/test_poison.py::test_messages_that_nobody_can_read_stop_nobody",
    ),
    Mutation(
        promise=1,
        breaks="an accepted decision takes the text of a later refusal that is not yet published",
        file="streams/stores/retention.py",
        old="AND refused_attempt <= published_attempt AND (",
        new="AND (",
        test="tests/contract/stores/test_claims.py::test_what_a_later_attempt_has_kept_and_not_told_yet_stays",
    ),
)
