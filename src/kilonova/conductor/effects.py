# SPDX-License-Identifier: Apache-2.0
"""What accepting and ending a verb change of its instance, besides what the verb's Rule says.

Each is a pure function to columns; the transaction that accepts, or ends, applies them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kilonova.base.errors import Forbidden, InvalidInput, InvalidState
from kilonova.base.unset import given
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, PowerState, TaskState, Verb, VmState, observed
from kilonova.rpcapi.api_to_conductor import AVAILABILITY_ZONE, AcceptAction

OWNER, ADMIN = "owner", "admin"

Effect = Callable[[Instance, AcceptAction], Mapping[str, Any]]


def _reboot(instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    """Only a guest that runs can be asked; whatever else it is, it can be made to."""
    if asked.params.get("type") == "HARD":
        hard = {"task_state": TaskState.REBOOTING_HARD}
        # One that a failed rescue or unrescue has left boots its own disk.
        return {**hard, "rescue_image": None} if instance.vm_state is VmState.ERROR else hard
    if instance.vm_state is not VmState.ACTIVE:
        raise InvalidState(
            f"Cannot 'reboot' instance {instance.id} while it is in vm_state {instance.vm_state}: a hard reboot can",
            vm_state=instance.vm_state,
        )
    return {}


def _lock(instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    """Who owns a server that is locked changes nothing of that; an administrator's lock stays one, whoever locks it."""
    if instance.locked_by is not None and not asked.context.is_admin:
        return {}
    by_admin = asked.context.is_admin or instance.locked_by == ADMIN
    return {"locked_by": ADMIN if by_admin else OWNER, "locked_reason": asked.params.get("reason")}


def _unlock(instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    if instance.locked_by == ADMIN and not asked.context.is_admin:
        raise Forbidden(f"Instance {instance.id} was locked by an administrator, who alone can unlock it.")
    return {"locked_by": None, "locked_reason": None}


_RESET = {"active": VmState.ACTIVE, "error": VmState.ERROR}


def _reset_state(instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    """Active is what no longer is in ERROR: what the hypervisor has said of it last holds all the same."""
    state = _RESET.get(asked.params.get("state", ""))
    if state is None:
        raise InvalidInput("The state must be active or error.", path="os-resetState.state")
    changed: dict[str, Any] = {"vm_state": observed(state, instance.power_state), "rescue_image": None}
    return changed if state is VmState.ERROR else {**changed, "fault": None}


def _rescue(_instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    if asked.image is None:
        raise InvalidInput("A rescue needs an image to boot.", path="rescue.rescue_image_ref")
    return {"rescue_image": asked.image}


def _rebuild(_instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    """The record is the new server's from now on: whatever runs or replays makes that one and no other."""
    if asked.image is None:
        raise InvalidInput("A rebuild needs an image.", path="rebuild.imageRef")
    return {**given(asked.changes), "image": asked.image, "rescue_image": None}


def _unshelve(instance: Instance, asked: AcceptAction) -> Mapping[str, Any]:
    if instance.host is None:
        zone = {"requested_zone": asked.params[AVAILABILITY_ZONE]} if AVAILABILITY_ZONE in asked.params else {}
        return {"vm_state": VmState.SHELVED_OFFLOADED, **zone}  # which it is, whatever it has been called since
    if AVAILABILITY_ZONE in asked.params:
        raise InvalidState(
            f"Instance {instance.id} is on a host and comes off the shelf there: no availability zone can be chosen.",
            vm_state=instance.vm_state,
        )
    return {}


_EFFECTS: Mapping[Verb, Effect] = {
    Verb.REBOOT: _reboot,
    Verb.LOCK: _lock,
    Verb.UNLOCK: _unlock,
    Verb.RESET_STATE: _reset_state,
    Verb.RESCUE: _rescue,
    Verb.REBUILD: _rebuild,
    Verb.UNSHELVE: _unshelve,
}


def when_accepted(instance: Instance, asked: AcceptAction) -> dict[str, Any]:
    """The instance's columns that change with the acceptance.  Raises Forbidden, InvalidInput."""
    rule = VERBS[asked.verb]
    values: dict[str, Any] = {}
    if rule.task_state is not None:
        values["task_state"] = rule.task_state
    effect = _EFFECTS.get(asked.verb)
    return values if effect is None else values | dict(effect(instance, asked))


def ends_in(instance: Instance, verb: Verb) -> VmState:
    """Where a verb that succeeds leaves its instance, before the hypervisor's last word on it."""
    if verb is Verb.REBUILD and instance.vm_state is VmState.STOPPED:
        return VmState.STOPPED
    if verb is Verb.START and instance.vm_state in _WAITING:
        return instance.vm_state
    return VERBS[verb].ends or instance.vm_state


_WAITING = (VmState.RESCUED, VmState.RESIZED)
"""What an instance still is when it was started because its host has booted."""


def breaks(verb: Verb, power: PowerState) -> bool:
    """Whether an instance for which the verb has failed is in ERROR.  One whose unrescue was refused before anything
    was changed runs on, and is still rescued; otherwise it is neither what it was nor what it should be, as in Nova."""
    return VERBS[verb].breaks and not (verb is Verb.UNRESCUE and power is PowerState.RUNNING)


def when_ended(verb: Verb, *, succeeded: bool) -> Mapping[str, Any]:
    """The instance's columns that change with the end, besides its states."""
    if verb is (Verb.UNRESCUE if succeeded else Verb.RESCUE):
        return {"rescue_image": None}
    return {}


def desired_after(instance: Instance, verb: Verb, power: PowerState, *, succeeded: bool) -> PowerState:
    """What the guest should be once a verb has ended, given the instance before that and the hypervisor's last word.

    It follows the outcome.  A verb that failed leaves the wish as it was; but a stop or a start that failed after the
    guest was off, or ran, has come about.
    """
    wish = _wish(instance, verb)
    if wish is None or not (succeeded or (verb in (Verb.STOP, Verb.START) and power is wish)):
        return instance.desired_power
    return wish


def _wish(instance: Instance, verb: Verb) -> PowerState | None:
    match verb:
        case Verb.SUSPEND:  # it stays so when its host boots
            return PowerState.SUSPENDED
        case Verb.REBUILD:
            return None if instance.vm_state is VmState.STOPPED else PowerState.RUNNING
        case Verb.REVERT_RESIZE:
            return PowerState.RUNNING if instance.old_vm_state is VmState.ACTIVE else None
        case _:
            return VERBS[verb].desired_power
