# SPDX-License-Identifier: Apache-2.0
"""suspend and resume: the guest's memory goes to the host's disk and comes back.

Both take a time in proportion to that memory. A delete does not wait for them: it interrupts them and removes the
result.
"""

from kilonova.compute.operation import Job, Operation, Step
from kilonova.compute.operations import look
from kilonova.compute.operations.create import plug_network
from kilonova.objects.states import Verb
from kilonova.virt.capabilities import MEMORY


async def save(job: Job) -> None:
    await MEMORY.of(job.tools.driver).suspend(job.instance.id)


async def restore(job: Job) -> None:
    await MEMORY.of(job.tools.driver).resume(job.instance.id)


SUSPEND = Operation(
    Verb.SUSPEND,
    (
        Step(
            "save",
            save,
            interruptible=True,
            no_return="The memory of the guest is being saved: resume the server when the action has ended.",
        ),
    ),
    needs=MEMORY,
    look=look.at_disks,
)
RESUME = Operation(
    Verb.RESUME,
    (
        Step("network", plug_network),
        Step(
            "restore",
            restore,
            interruptible=True,
            no_return="The memory of the guest is being restored: suspend the server again when the action has ended.",
        ),
    ),
    needs=MEMORY,
)
