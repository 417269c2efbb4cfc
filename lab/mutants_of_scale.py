# SPDX-License-Identifier: Apache-2.0
"""Mutants of what a large fleet needs: attempts after an outage, and indexes."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

METHODS = "tests/unit/rpcapi/test_method.py"
NATS = "tests/contract/test_nats_bus.py"

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
)
