# SPDX-License-Identifier: Apache-2.0
"""An operation: a list of steps.

Each step has `ensure` (make it so) and `absent` (make it not so).  Both are idempotent and derive all they need from
the job's instance record, so that running, replaying after a crash and cleaning up are the same code:

    run or replay    ensure of each step, in order
    fail or delete   absent of each step, in reverse order

The journal of steps is history for people; no decision reads it.
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
from kilonova.objects.states import DESTROYED, GIVEN_UP, PowerState
from kilonova.virt.capabilities import AnyCapability
from kilonova.virt.driver import ComputeDriver


@dataclass(frozen=True, slots=True)
class Tools:
    """What steps work with. `boot_id` identifies this boot of the machine, `seed_key` is a secret of this host (see
    kilonova.compute.seeds)."""

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
        """The token that a start by this action stores with the guest: the action, and the boot of the machine."""
        return f"{self.action.id}@{self.tools.boot_id}"

    def has_started(self, state: GuestState | None, *, on_any_boot: bool = False) -> bool:
        """Whether this action made the guest's last start. A start on an earlier boot ended with that boot. A guest
        with the token existed. Whether it ever ran is unknown when the hypervisor gave the start up, or does not know
        how the guest ended because the hypervisor itself was restarted meanwhile: neither counts as a start."""
        if state is None or state.start_token is None:
            return False
        if state.power is PowerState.SHUTDOWN and state.reason in GIVEN_UP:
            return False
        if on_any_boot:
            return state.start_token.partition("@")[0] == self.action.id
        return state.start_token == self.start_token

    def was_undone(self, state: GuestState | None) -> bool:
        """Whether an earlier attempt started the guest and powered it off again: it was undoing its work when its
        process ended."""
        off = state is not None and (state.power, state.reason) == (PowerState.SHUTDOWN, DESTROYED)
        return off and self.action.leg.repeated and self.has_started(state, on_any_boot=True)


Work = Callable[[Job], Awaitable[None]]


async def nothing(_job: Job) -> None:
    """The `absent` of a step that leaves nothing behind."""


def never(_job: Job, _state: GuestState) -> bool:
    """The `is_done` of an operation that has failed whenever one of its steps has."""
    return False


@dataclass(frozen=True, slots=True)
class Step:
    """`interruptible`: may be cancelled in the middle when the action is revoked, because it changes nothing that
    others can see before it is complete.  `no_return`: once the step has begun, the action cannot be cancelled; the
    sentence says why, and what a user can do instead."""

    name: str
    ensure: Work
    absent: Work = nothing
    interruptible: bool = False
    no_return: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is its key in the host's table of operations.  `clean_up`: the steps of a failed run are made absent
    again."""

    name: str
    steps: tuple[Step, ...]
    clean_up: bool = False
    heavy: bool = False
    """Heavy operations are limited by max_concurrent_builds."""
    copies: bool = False
    """The operation copies a whole disk: limited by max_concurrent_snapshots."""
    needs: AnyCapability | None = None
    """The capability that the driver must have: without it, no step starts."""
    look: Work = nothing
    """A check that runs before the steps and changes nothing. When it refuses, no step begins. The guest is left as it
    is, unless an earlier attempt may have begun: then the steps are made absent, as after a failure."""
    is_done: Callable[[Job, GuestState], bool] = never
    """Whether the last read of the guest shows that the request is carried out, although a check or a step has failed:
    then the action succeeds."""
    after_cancel: str = "as before"
    """What the server is after a cancel, for docs/cancel.md."""

    @property
    def no_return(self) -> str:
        """The sentence of its first step that has one; empty: it can be cancelled until it ends."""
        return next((step.no_return for step in self.steps if step.no_return), "")


def removal(of: Operation, name: str, no_return: str = "") -> Operation:
    """The operation that makes absent what another operation ensures."""
    steps = tuple(
        Step(f"remove-{step.name}", step.absent, no_return=no_return)
        for step in reversed(of.steps)
        if step.absent is not nothing
    )
    return Operation(name, steps)
