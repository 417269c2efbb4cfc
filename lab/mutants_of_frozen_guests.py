# SPDX-License-Identifier: Apache-2.0
"""Mechanisms that keep guests that do not answer from holding up others, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

TESTS = "tests/unit/virt/test_many_stuck_guests.py"
CALLS = "virt/libvirt/connection/guest_calls.py"

MUTANTS_OF_FROZEN_GUESTS: Sequence[Mutant] = (
    one(
        "the pool of requests that a QEMU must answer",
        TESTS,
        CALLS,
        'about=("guest", instance_id), pool=self.connection.requests)',
        'about=("guest", instance_id))',
    ),
    one(
        "the pool of requests for copies of disks",
        TESTS,
        CALLS,
        'self.in_doubt.run(("guest", instance_id), fn, pool=self.connection.requests)',
        'self.in_doubt.run(("guest", instance_id), fn)',
    ),
    one(
        "reads that wait for the end of a power-off",
        TESTS,
        CALLS,
        "        while (end := self._ends.get(instance_id)) is not None:\n            await end.wait()\n",
        "",
    ),
    one(
        "the pool of power-offs",
        TESTS,
        CALLS,
        "self.in_doubt.run(key, fn, deadline_s=deadline_s, pool=self.connection.ends)",
        "self.in_doubt.run(key, fn, deadline_s=deadline_s)",
    ),
)
