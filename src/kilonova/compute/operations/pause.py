# SPDX-License-Identifier: Apache-2.0
"""pause and unpause: the guest's processors are stopped, its memory stays."""

from kilonova.compute.operation import Job, Operation, Step
from kilonova.objects.states import Verb


async def pause(job: Job) -> None:
    await job.tools.driver.pause(job.instance.id)


async def unpause(job: Job) -> None:
    await job.tools.driver.unpause(job.instance.id)


PAUSE = Operation(
    Verb.PAUSE,
    (Step("pause", pause, no_return="The guest is being paused: unpause it when the action has ended."),),
)
UNPAUSE = Operation(
    Verb.UNPAUSE,
    (Step("unpause", unpause, no_return="The guest is being unpaused: pause it when the action has ended."),),
)
