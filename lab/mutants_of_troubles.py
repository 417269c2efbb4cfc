# SPDX-License-Identifier: Apache-2.0
"""Mutants of what a fleet does when its database, its clocks or its messages are wrong."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

FAILOVER = "tests/contract/test_postgres_failover.py"
CLOCKS = "tests/live/test_clocks.py::test_a_fleet_whose_clocks_are_wrong_by_minutes"

MUTANTS_OF_TROUBLES: Sequence[Mutant] = (
    one(
        "a former primary is refused",
        f"{FAILOVER}::test_a_former_primary_that_runs_again_is_not_written",
        "db/postgres/connection.py",
        "if 0 < found < self._newest:",
        "if 0 < found < 0:",
    ),
    one(
        "no outcome is read on another server",
        f"{FAILOVER}::test_the_outcome_of_a_commit_is_not_read_on_another_server",
        "db/postgres/database.py",
        "if server_run(connection) != of.server_run:",
        'if server_run(connection) == "":',
    ),
    one(
        "reads of a read-only server",
        "tests/contract/test_postgres.py::test_a_read_only_server_accepts_nothing_and_says_why",
        "db/postgres/connection.py",
        "contextlib.suppress(psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.DiskFull)",
        "contextlib.suppress(psycopg.errors.DiskFull)",
    ),
    one(
        "the doctor tries a write",
        "tests/live/test_postgres_disk_full.py::test_a_full_disk_refuses_new_work_and_loses_nothing",
        "db/postgres/checks.py",
        "        write_trial(connection)\n",
        "",
    ),
    one(
        "the time of the database",
        CLOCKS,
        "base/fleet_clock.py",
        "return self._machine.now() - self._ahead",
        "return self._machine.now()",
    ),
    one(
        "a host compares its clock",
        CLOCKS,
        "conductor/host_endpoint.py",
        ", now=self._clock.now())",
        ")",
    ),
    one(
        "a number that SQLite cannot store",
        "tests/contract/test_database.py::test_a_number_that_cannot_be_stored_is_the_callers_mistake",
        "db/sqlite.py",
        'if isinstance(exc, OverflowError) and "SQLite INTEGER" in str(exc):',
        "if isinstance(exc, ZeroDivisionError):",
    ),
    one(
        "a process ends although a thread is in the way",
        "tests/unit/base/test_program.py::test_a_process_ends_whatever_its_threads_do",
        "base/program.py",
        "        os._exit(_flushed(status))",
        "        sys.exit(_flushed(status))",
    ),
)
