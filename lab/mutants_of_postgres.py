# SPDX-License-Identifier: Apache-2.0
"""Mutants of the engine on PostgreSQL."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

BOTH = "tests/contract/test_database.py"
POSTGRES = "tests/contract/test_postgres.py"
INTERLEAVING = "tests/contract/test_interleaving.py"
CONTENTION = "tests/contract/test_contention.py"
COMMANDS = "tests/contract/test_db_commands.py"

MUTANTS_OF_POSTGRES: Sequence[Mutant] = (
    one(
        "writes that see each other",
        f"{BOTH}::test_a_condition_over_rows_of_others_holds",
        "db/postgres/session.py",
        '_BEGIN_WRITE.format("SERIALIZABLE", mode)',
        '_BEGIN_WRITE.format("READ COMMITTED", mode)',
    ),
    one(
        "a read of one snapshot",
        f"{BOTH}::test_a_read_is_one_snapshot",
        "db/postgres/session.py",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
    ),
    one(
        "alone after a conflict",
        f"{CONTENTION}::test_many_creates_at_once_are_all_placed_and_counted",
        "db/postgres/contention.py",
        "return self._noted or",
        "return False and",
    ),
    one(
        "creates of a project wait for each other",
        f"{CONTENTION}::test_creates_of_one_project_wait_for_each_other_and_none_runs_again",
        "conductor/idempotency.py",
        "@locks_usage_of(_project)\n",
        "",
    ),
    one(
        "a limit waits for creates",
        f"{INTERLEAVING}::test_two_at_once_are_as_one_after_the_other",
        "conductor/quota.py",
        "write_quotas.locked_usage(tx, request.project_id)",
        "read_quotas.usage(tx, request.project_id)",
    ),
    one(
        "a limit of the project in one statement",
        "tests/unit/conductor/test_quota.py::test_a_recorded_limit_counts_before_the_configured_one",
        "db/writers/quotas.py",
        "most = sa.func.coalesce(own, of_all, default)",
        "most = default",
    ),
    one(
        "statements are prepared again after an upgrade",
        f"{POSTGRES}::test_an_upgrade_that_widens_a_column_is_not_seen",
        "db/postgres/connection.py",
        "        failure.is_disconnect = True\n",
        "        pass\n",
    ),
    one(
        "serial numbers of 64 bits",
        f"{COMMANDS}::test_notifications_have_more_serial_numbers_than_31_bits_count",
        "db/migrations/versions/0027_large_numbers.py",
        'op.execute("ALTER SEQUENCE notifications_serial_seq AS bigint")',
        "pass",
    ),
    one(
        "memory of a project in 64 bits",
        "tests/unit/conductor/test_quota.py::test_the_servers_of_a_project_use_more_memory_than_31_bits_count",
        "db/writers/quotas.py",
        "type_=quota_usages.c[name].type)",
        "type_=sa.Integer)",
    ),
    one(
        "no character zero",
        "tests/unit/api/test_body.py::test_the_character_zero_is_refused_with_its_place",
        "api/http/body.py",
        "        return path if _NUL in value else None\n",
        "        return None\n",
    ),
    one(
        "no action is passed over",
        f"{INTERLEAVING}::test_two_at_once_are_as_one_after_the_other",
        "db/readers/work.py",
        "_TO_PLACE = _OF_ID.add_columns(_NUMBER.scalar_subquery())",
        "_TO_PLACE = _OF_ID.add_columns(_NUMBER.scalar_subquery()).with_for_update(of=actions, skip_locked=True)",
    ),
    one(
        "the end of a wait for an answer",
        f"{POSTGRES}::test_a_server_that_never_answers_again_keeps_no_worker",
        "db/postgres/turn.py",
        "used.shutdown(socket.SHUT_RDWR)",
        "used.fileno()",
    ),
    one(
        "the outcome of a commit",
        f"{POSTGRES}::test_a_commit_without_an_answer_that_was_done_is_a_success",
        "db/postgres/database.py",
        'if status == "committed":',
        'if status == "":',
    ),
    one(
        "no guess after a crash",
        f"{POSTGRES}::test_after_a_crash_nobody_guesses_the_outcome_of_a_commit",
        "db/postgres/database.py",
        "if server_run(connection) != of.server_run:",
        'if server_run(connection) == "":',
    ),
    one(
        "a failure that a function swallowed",
        f"{POSTGRES}::test_a_function_that_swallows_a_failure_is_not_committed",
        "db/postgres/session.py",
        'if answer != "COMMIT":',
        'if answer == "":',
    ),
    one(
        "a conflict within one item of a batch",
        f"{POSTGRES}::test_a_row_of_another_in_a_savepoint_runs_the_whole_transaction_again",
        "db/savepoints.py",
        "if isinstance(exc, IntegrityError) and runs_again(tx):",
        "if isinstance(exc, IntegrityError) and not runs_again(tx):",
    ),
    one(
        "numbers after the copied ones",
        f"{COMMANDS}::test_one_box_becomes_a_fleet",
        "db/postgres/transfer.py",
        "    _set_sequence(table, target)\n",
        "",
    ),
)
