# SPDX-License-Identifier: Apache-2.0
"""Mutants of the failpoints, and of the fake machine whose guests outlive its service."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

OF_CONDUCTOR = "tests/unit/conductor/test_failpoints.py"
DURABLE = "tests/unit/virt/test_durable_fake.py::test_the_next_process_finds_each_guest_as_the_last_call_left_it"

MUTANTS_OF_CRASHES: Sequence[Mutant] = (
    one(
        "a failpoint after a transaction is reached when it is committed",
        f"{OF_CONDUCTOR}::test_a_transaction_breaks_before_it_begins_and_after_it_is_committed",
        "db/breakable.py",
        "        result = await self._db.write(fn, *args, **kwargs)\n",
        '        self._failpoints.hit(f"write.{name}.done")\n'
        "        result = await self._db.write(fn, *args, **kwargs)\n",
    ),
    one(
        "a failpoint of a reply is reached when its message was handled",
        f"{OF_CONDUCTOR}::test_a_message_that_changes_something_breaks_before_and_after_it",
        "rpc/breakable.py",
        "            reply = await handler(subject, payload)\n",
        '            self._hit("wake", "reply.wake")\n            reply = await handler(subject, payload)\n',
    ),
    one(
        "each leg has a failpoint after its end",
        "tests/unit/compute/test_failpoints.py::test_a_create_reaches_all_its_failpoints",
        "compute/runner.py",
        '        self._failpoints.hit(f"leg.{run.operation.name}.done")\n',
        "",
    ),
    one(
        "a call that changed a guest returns when the machine has the change",
        DURABLE,
        "virt/fake/calls.py",
        "            if changes and instance_id is not None:\n                self.hypervisor.changed(instance_id)\n",
        "            pass\n",
    ),
    one(
        "a guest that shuts itself down is off for the next process, too",
        DURABLE,
        "virt/fake/machine.py",
        "            guest.switch_off()\n        self.changed(instance_id)\n",
        "            guest.switch_off()\n",
    ),
)
