# SPDX-License-Identifier: Apache-2.0
"""evacuate: the guest of a server whose host was given up is built again, on another host.

The steps are those of a create.  A server that was stopped stays stopped.
"""

from dataclasses import replace

from kilonova.compute.operation import Job, Operation
from kilonova.compute.operations import create
from kilonova.compute.operations.create import CREATE
from kilonova.objects.states import PowerState, Verb


async def start(job: Job) -> None:
    """Start the guest if it should run."""
    if job.instance.desired_power is not PowerState.SHUTDOWN:
        await create.start(job)


EVACUATE = Operation(
    Verb.EVACUATE,
    (*CREATE.steps[:-1], replace(CREATE.steps[-1], ensure=start)),
    clean_up=True,
    heavy=True,
    after_cancel="ERROR, on no host: it can be evacuated again",
)
