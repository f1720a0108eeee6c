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
        test="tests/unit/test_isolation.py::test_whatever_one_row_raises_stands_alone",
    ),
    Mutation(
        promise=5,
        breaks="a right that is missing is taken for the trouble of each row",
        file="streams/stores/isolation.py",
        old="    await wait_for_database([no_item])\n",
        new="",
        test="tests/unit/test_isolation.py::test_what_is_raised_for_no_row_too_is_no_rows_trouble",
    ),
    Mutation(
        promise=5,
        breaks="whoever asks what is due waits for the one row, and nobody is fed",
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
        breaks="a body that was refused and never mended stays in dbo.SaleSync for ever",
        file="streams/stores/retention.py",
        old="    ids = await db.transaction(find)",
        new="    ids: list[int] = []",
        test="tests/contract/stores/test_claims.py::test_what_nobody_mends_is_forgotten_after_its_time",
    ),
    Mutation(
        promise=2,
        breaks="whoever may write to sale-status ends any sale, and the true end is no news any more",
        file="streams/stores/decisions.py",
        old='"WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 BETWEEN published_attempt AND attempt - 1"',
        new='"WHERE document_type = ? AND id IN ({ids}) AND {attempt} - 1 >= published_attempt"',
        test="tests/contract/stores/test_claims.py::test_a_decision_of_an_attempt_that_nobody_claimed_is_passed_over",
    ),
    Mutation(
        promise=2,
        breaks="a true decision is lost beside a forged one of the same sale",
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
        breaks="what was decided about another house's sale of the same id ends ours",
        file="streams/pipeline/source_database.py",
        old="        if database == self._known or _folded(database) == self._database:",
        new="        if database:",
        test="tests/unit/test_source_database.py::test_another_one_is_counted_each_time_and_said_once",
    ),
    Mutation(
        promise=5,
        breaks="one message with a number beyond its column stops the journal of all shops",
        file="streams/domain/status_message.py",
        old="    if fields := _out_of_bounds(status):",
        new="    if fields := []:",
        test="tests/unit/test_published_statuses.py::test_a_number_or_text_beyond_its_column_cannot_be_read",
    ),
    Mutation(
        promise=5,
        breaks="one header that is no UTF-8 ends the journal and the write-back, after each restart too",
        file="streams/domain/status_message.py",
        old="    except UnicodeDecodeError:",
        new="    except KeyError:",
        test="tests/unit/test_published_statuses.py::test_a_header_that_is_no_hash_cannot_be_read",
    ),
    Mutation(
        promise=5,
        breaks="one message of sale-retry with a number beyond its column is claimed together with others",
        file="streams/domain/retry_message.py",
        old="    attempt: Annotated[int, Field(ge=0, lt=2**31 - 1)]",
        new="    attempt: Annotated[int, Field(ge=0)]",
        test="tests/unit/test_published_statuses.py::test_a_message_of_sale_retry_has_bounds_too",
    ),
    Mutation(
        promise=4,
        breaks="one GroupAuthorizationFailedError, and it runs on with the client that it closed itself",
        file="streams/pipeline/journal_writer.py",
        old="        journal = self._make_journal()",
        new="""        journal = self.__dict__.setdefault("_journal", None) or self._make_journal()
        self.__dict__["_journal"] = journal""",
        test="tests/unit/test_journal_writer.py::test_after_its_consumer_was_refused_it_runs_again_with_clients_of_its_own",
    ),
    Mutation(
        promise=5,
        breaks="one decision that cannot be kept stops the journal of all shops",
        file="streams/pipeline/journal_writer.py",
        old="lambda: bisect_failures(partial(self._append, journal), statuses, _UNAVAILABLE)",
        new="lambda: self._append(journal, statuses)",
        test="tests/unit/test_journal_writer.py::test_a_decision_that_cannot_be_kept_stands_alone",
    ),
    Mutation(
        promise=5,
        breaks="one refusal that cannot be read stops the journal of all shops",
        file="streams/pipeline/journal_writer.py",
        old="""                    if not await self._decisions.answers():
                        raise result.error""",
        new="                    raise result.error",
        test="tests/unit/test_journal_writer.py::test_a_refusal_that_cannot_be_read_leaves_one_decision_without_its_body",
    ),
    Mutation(
        promise=1,
        breaks="a decision whose body is too large for MongoDB is in no journal",
        file="streams/stores/journal.py",
        old=" for document, _ in refused if left_out[-1] in document]",
        new=" for document, _ in refused if not left_out]",
        test="tests/unit/test_journal_errors.py::test_too_large_for_mongo_is_kept_without_its_body",
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
        test="tests/unit/test_journal_errors.py::test_a_server_that_takes_nothing_is_waited_for",
    ),
    Mutation(
        promise=5,
        breaks="what our producer cannot send is tried for ever in silence, and its partition stands",
        file="streams/kafka/dead_letters.py",
        old="            except MessageSizeTooLargeError:",
        new="""            except MessageSizeTooLargeError:
                raise""",
        test="tests/unit/test_dead_letter.py::test_too_large_to_bury_goes_without_its_value",
    ),
    Mutation(
        promise=5,
        breaks="a reason that is too large keeps its message from being buried",
        file="streams/kafka/dead_letters.py",
        old='            "reason": why[:_MAX_REASON_LENGTH],',
        new='            "reason": why,',
        test="tests/unit/test_dead_letter.py::test_a_reason_is_never_too_large",
    ),
    Mutation(
        promise=5,
        breaks="a key that is too large keeps its message from being buried",
        file="streams/kafka/dead_letters.py",
        old="                if key is not None and len(key) > _MAX_KEY_LENGTH:",
        new="                if key is None:",
        test="tests/unit/test_dead_letter.py::test_a_key_that_is_too_large_is_left_out_too",
    ),
    Mutation(
        promise=1,
        breaks="a dead letter is tried again in silence",
        file="streams/kafka/dead_letters.py",
        old="                before_sleep=report,\n",
        new="",
        test="tests/unit/test_dead_letter.py::test_nothing_is_tried_again_in_silence",
    ),
    Mutation(
        promise=1,
        breaks="a store that is killed and started again loses a decision that came between",
        file="streams/stores/journal.py",
        old="            refused = await self._try_insert(collection, [document for document, _ in refused])\n",
        new="",
        test="tests/unit/test_journal_errors.py::test_a_server_that_comes_back_amid_it_has_refused_no_document",
    ),
    Mutation(
        promise=2,
        breaks="a letter without its value goes back as a tombstone, which says that the row is gone",
        file="streams/operators/commands/replay.py",
        old="""            (letter.is_complete or self.dismiss)
            and self.topic""",
        new="            self.topic",
        test="tests/unit/test_dead_letter.py::test_what_was_left_out_is_never_put_back_but_may_be_crossed_off",
    ),
    Mutation(
        promise=2,
        breaks="a forged dead letter is put into any topic of ours, with the operator's rights",
        file="streams/operators/commands/replay.py",
        old="""        if original is not None and (original.key, original.value) == (letter.key, letter.value):
            verified.append(replace(letter, headers=original.headers))""",
        new="""        if original is not None:
            verified.append(replace(letter, headers=original.headers))""",
        test="tests/unit/test_replayed.py::test_what_does_not_stand_at_its_place_is_not_put_back",
    ),
    Mutation(
        promise=2,
        breaks="a dead letter is put back with the headers that it says of itself",
        file="streams/operators/commands/replay.py",
        old="            verified.append(replace(letter, headers=original.headers))",
        new="            verified.append(letter)",
        test="tests/unit/test_replayed.py::test_what_does_not_stand_at_its_place_is_not_put_back",
    ),
    Mutation(
        promise=2,
        breaks="a dead letter whose message is gone is put back unasked",
        file="streams/operators/commands/replay.py",
        old="        elif options.without_original:",
        new="        elif letter.is_complete:",
        test="tests/unit/test_replayed.py::test_what_does_not_stand_at_its_place_is_not_put_back",
    ),
    Mutation(
        promise=1,
        breaks="what comes in a topic that was made anew is dropped until its offsets are the old ones",
        file="streams/kafka/faust_overrides/transport.py",
        old="        sought = {**sought, **await self._from_the_beginning(sought)}\n",
        new="",
        test="tests/unit/test_recreated_topic.py::test_where_more_was_committed_than_there_is_it_is_read_from_the_beginning",
    ),
    Mutation(
        promise=1,
        breaks="what comes in a topic that was made anew under a worker is dropped without a word",
        file="streams/kafka/faust_overrides/transport.py",
        old="""        if not below:
            return records
""",
        new="""        if below or not below:
            return records
""",
        test="tests/unit/test_recreated_topic.py::test_made_anew_while_it_is_read_it_is_joined_anew_and_nothing_old_is_committed",
    ),
    Mutation(
        promise=7,
        breaks="another house's decisions stand in our journal, under the codes of our own sales",
        file="streams/pipeline/journal_writer.py",
        old="            if self._takes(status.source_database):",
        new="            if status.source_database:",
        test="tests/unit/test_journal_writer.py::test_what_was_decided_about_another_database_is_not_kept",
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
        breaks="an accepted end takes the words of a later refusal that is still to be told",
        file="streams/stores/retention.py",
        old="AND refused_attempt <= published_attempt AND (",
        new="AND (",
        test="tests/contract/stores/test_claims.py::test_what_a_later_attempt_has_kept_and_not_told_yet_stays",
    ),
)
