# SPDX-License-Identifier: Apache-2.0
"""What an operation is: a list of steps.

Each step has `ensure` (make it so) and `absent` (make it not so).  Both are idempotent and derive all they need from
the job's instance record, so that running, replaying after a crash and cleaning up are the same code:

    run or replay    ensure of each step, in order
    fail or delete   absent of each step, in reverse order

The journal of steps is history for people; nothing reads it to decide.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kilonova.base.clock import Clock
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.image_uploads import ImageUploads
from kilonova.config.default import DefaultSettings
from kilonova.objects.action import Action
from kilonova.objects.guest import GuestState
from kilonova.objects.instance import Instance
from kilonova.objects.states import GIVEN_UP, PowerState
from kilonova.virt.capabilities import AnyCapability
from kilonova.virt.driver import ComputeDriver


@dataclass(frozen=True, slots=True)
class Tools:
    """What steps work with.  `boot_id` tells this boot of the machine from every other, `seed_key` is a secret of this
    host's (see kilonova.compute.seeds)."""

    driver: ComputeDriver
    images: ImageCache
    uploads: ImageUploads
    clock: Clock
    settings: DefaultSettings
    boot_id: str
    seed_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """One leg of an action on one instance, as the conductor handed it out."""

    action: Action
    instance: Instance
    tools: Tools

    @property
    def start_token(self) -> str:
        """What a start by this action leaves with the guest: which action, and on which boot of the machine."""
        return f"{self.action.id}@{self.tools.boot_id}"

    def has_started(self, state: GuestState | None, *, on_any_boot: bool = False) -> bool:
        """Whether the guest's last start was this action's own; one of an earlier boot is gone with that boot.

        A guest that bears the mark was there; whether it ever ran is not known of one that the hypervisor gave up, or
        of whose end it knows nothing, since it was itself ended meanwhile: that is no start."""
        if state is None or state.start_token is None:
            return False
        if state.power is PowerState.SHUTDOWN and state.reason in GIVEN_UP:
            return False
        if on_any_boot:
            return state.start_token.partition("@")[0] == self.action.id
        return state.start_token == self.start_token


Work = Callable[[Job], Awaitable[None]]


async def nothing(_job: Job) -> None:
    """For a step that leaves nothing of its own behind."""


@dataclass(frozen=True, slots=True)
class Step:
    """`interruptible`: may be cancelled in the middle when the action is revoked, because it changes nothing that
    others can see before it is complete."""

    name: str
    ensure: Work
    absent: Work = nothing
    interruptible: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is its key in the host's table of operations.  `clean_up`: what a failed run has made is made absent
    again."""

    name: str
    steps: tuple[Step, ...]
    clean_up: bool = False
    heavy: bool = False
    """Heavy operations are limited by max_concurrent_builds."""
    copies: bool = False
    """It copies a whole disk: limited by max_concurrent_snapshots."""
    needs: AnyCapability | None = None
    """The capability that the driver must have: a driver without it starts nothing."""
    look: Work = nothing
    """Comes before the steps and changes nothing.  When it refuses, nothing is begun, and nothing is made absent: the
    guest is left as it is."""


def removal(of: Operation, name: str) -> Operation:
    """The operation that makes absent what another one ensures."""
    steps = tuple(Step(f"remove-{step.name}", step.absent) for step in reversed(of.steps) if step.absent is not nothing)
    return Operation(name, steps)
