# SPDX-License-Identifier: Apache-2.0
"""Mutants of what a large fleet needs: attempts after an outage, few statements, and few hosts per placement."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

METHODS = "tests/unit/rpcapi/test_method.py"
NATS = "tests/contract/test_nats_bus.py"
BOTH = "tests/contract/test_database.py"
POSTGRES = "tests/contract/test_postgres.py"
COST = "tests/service/test_cost_of_create.py"
BEST = "tests/unit/conductor/test_best_hosts.py"
ORDER = "tests/unit/db/test_candidates.py"

MUTANTS_OF_SCALE: Sequence[Mutant] = (
    one(
        "an attempt that was not sent is repeated soon",
        f"{METHODS}::test_the_return_of_the_bus_is_used_within_half_a_second",
        "rpcapi/caller.py",
        "return min(pause, UNSENT_S) if isinstance(exc, RpcUnavailable) else pause",
        "return pause",
    ),
    one(
        "an attempt after the deadline has a time limit",
        f"{METHODS}::test_an_attempt_after_the_deadline_is_still_a_valid_message",
        "rpcapi/caller.py",
        "left = max(LEAST_S, deadline - self._clock.monotonic())",
        "left = deadline - self._clock.monotonic()",
    ),
    one(
        "a server that is away is looked for each second",
        f"{NATS}::test_a_server_that_is_away_is_looked_for_each_second",
        "rpc/nats.py",
        "await pauses.wait(ABSENT_S if self._absent(began) else RETRY.most_s)",
        "await pauses.wait()",
    ),
    one(
        "a server that refuses is asked less often",
        f"{NATS}::test_a_server_that_refuses_is_asked_less_often",
        "rpc/nats.py",
        "return not self._lasting and self._clock",
        "return self._clock",
    ),
    one(
        "a commit that recorded nothing is not reported",
        f"{BOTH}::test_a_commit_that_has_recorded_a_notification_is_reported",
        "db/postgres/database.py",
        "for listener in self._listeners if turn.recorded else ():",
        "for listener in self._listeners:",
    ),
    one(
        "the mark of a write that was rolled back",
        f"{BOTH}::test_a_commit_that_has_recorded_a_notification_is_reported",
        "db/sqlite.py",
        "        take_recorded(connection)  # of a write that was rolled back\n",
        "",
    ),
    one(
        "a second statement is an error",
        f"{POSTGRES}::test_a_function_of_one_statement_cannot_execute_a_second_one",
        "db/postgres/session.py",
        "        if executed > 1:\n",
        "        if executed > 9:\n",
    ),
    one(
        "statements stay prepared",
        f"{POSTGRES}::test_statements_stay_prepared_after_a_read",
        "db/postgres/database.py",
        "            end_read(connection)\n",
        "",
    ),
    one(
        "all events in one statement",
        f"{COST}::test_a_create_has_few_statements_and_messages",
        "db/writers/actions.py",
        ", returns=True",
        "",
    ),
    one(
        "a fetch that finds nothing is a read",
        f"{COST}::test_a_fetch_that_finds_nothing_is_a_read_of_one_statement",
        "conductor/host_endpoint.py",
        "if not request.running and await",
        "if request.running and await",
    ),
    one(
        "all hosts when none of the best passes",
        f"{BEST}::test_the_transaction_does_not_read_all_hosts_by_itself",
        "conductor/placement/place.py",
        "        if look.left_out and not choice.hosts:\n            return ReadAll()\n",
        "",
    ),
    one(
        "hosts that can take it come first",
        f"{ORDER}::test_those_that_cannot_take_it_come_last",
        "db/readers/candidates.py",
        "sa.case((_can_take, 0), else_=1), ",
        "",
    ),
    one(
        "free resources as the scheduler weighs them",
        f"{ORDER}::test_the_scheduler_orders_them_as_it_orders_all",
        "db/readers/candidates.py",
        '_bound("ram", sa.Float) * _share("memory_mib")',
        '-_bound("ram", sa.Float) * _share("memory_mib")',
    ),
    one(
        "a success clears the failed builds",
        "tests/unit/conductor/test_reschedule.py::test_a_success_clears_the_failed_builds",
        "conductor/engine/reports.py",
        "    if work.failed_here and outcome.succeeded:\n",
        "    if False:\n",
    ),
)
