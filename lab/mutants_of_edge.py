# SPDX-License-Identifier: Apache-2.0
"""Mutants of the service's edge: answers that are true, the log, HTTP."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

LOCKED = "tests/unit/db/test_locked.py"
UNKNOWN = "tests/regressions/test_unknown_outcomes.py"
LIMITS = "tests/unit/api/test_http_limits.py"

MUTANTS_OF_EDGE: Sequence[Mutant] = (
    one(
        "a write that was given up",
        f"{LOCKED}::test_a_write_that_was_given_up_while_it_waited_for_the_lock_never_happens",
        "db/sqlite.py",
        "job.begun = not job.given_up",
        "job.begun = True",
    ),
    one(
        "one wait for the lock of a file",
        f"{LOCKED}::test_they_are_told_in_time_even_if_the_one_whose_turn_it_was_went_away",
        "db/sqlite.py",
        "if job.number <= last:",
        "if job.number < 0:",
    ),
    one(
        "an attempt that may have arrived",
        f"{UNKNOWN}::test_a_create_whose_reply_is_lost_is_answered_as_unknown",
        "rpcapi/caller.py",
        "unknown = unknown or isinstance(exc, RpcTimeout)",
        "unknown = False",
    ),
    one(
        "no invitation to do it twice",
        f"{UNKNOWN}::test_a_create_whose_reply_is_lost_is_answered_as_unknown",
        "api/http/faults.py",
        "_RETRY if repeatable else ()",
        "_RETRY",
    ),
    one(
        "the first answer of a key",
        "tests/service/test_api_idempotency.py::test_of_many_at_once_one_creates",
        "conductor/idempotency.py",
        "if answer is not None:",
        "if answer == 0:",
    ),
    one(
        "a log that never raises",
        "tests/unit/base/test_sink.py::test_a_full_disk_costs_lines_and_nothing_else",
        "base/sink.py",
        "            self._drop(exc.strerror or type(exc).__name__)\n",
        "            raise\n",
    ),
    one(
        "what was dropped is told",
        "tests/unit/base/test_sink.py::test_what_was_dropped_is_told_before_the_next_line",
        "base/sink.py",
        "if not (self._untold and not self._tell()):",
        "if True:",
    ),
    one(
        "the end of a head",
        f"{LIMITS}::test_a_head_without_end_is_refused",
        "api/http/http_protocol.py",
        "while self._phase is _Phase.HEAD and",
        "while not data and",
    ),
    one(
        "the time of a head",
        f"{LIMITS}::test_a_client_has_its_time_for_a_head",
        "api/http/http_protocol.py",
        "if self._waited > self._limits.head_s:",
        "if self._waited > 1e9:",
    ),
    one(
        "the time of a body",
        f"{LIMITS}::test_a_body_may_be_slow_but_not_stand_still",
        "api/http/http_protocol.py",
        "if self._patience < 0:",
        "if self._patience < -1e9:",
    ),
    one(
        "a peer's share of the connections",
        f"{LIMITS}::test_one_peer_has_so_many_connections_and_no_more",
        "api/http/connections.py",
        "len(own) >= limit and",
        "len(own) < 0 and",
    ),
    one(
        "words of a proxy",
        "tests/service/test_api_discovery.py::test_links_follow_no_header_that_only_a_proxy_may_set",
        "api/http/edge.py",
        "headers.pop(name, None)",
        "pass",
    ),
    one(
        "a damaged database",
        "tests/regressions/test_damaged_database.py",
        "db/migrate.py",
        '    if report != ["ok"]:\n',
        "    if not said:\n",
    ),
)
