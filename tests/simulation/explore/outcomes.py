# SPDX-License-Identifier: Apache-2.0
"""What must be true of the outcomes of actions and of what they leave.  Each function returns sentences: what is wrong,
and of what."""

from collections.abc import Iterator

from kilonova.objects.states import ActionState, Verb, VmState
from tests.simulation.explore.truth import Row, Truth, says_what_it_left


def each_process_has_its_own_epoch(truth: Truth) -> Iterator[str]:
    """Messages of two processes of a host can be told apart: each new process has a higher epoch."""
    newest: dict[str, int] = {}
    for change in truth.changes:
        if change.kind != "process":
            continue
        host, epoch = change.host or "", change.power or 0
        if epoch <= newest.get(host, -1):
            yield f"At {change.at_s:.1f} s host {host} has another process, under epoch {epoch} like one before."
        newest[host] = epoch


def a_task_has_its_action(truth: Truth) -> Iterator[str]:
    """A server shows a task only while an action is open."""
    working = {row["instance_id"] for row in truth.actions if row["state"] == ActionState.OPEN}
    for row in truth.living:
        if row["task_state"] is not None and row["id"] not in working:
            yield f"Server {row['id']} is {row['vm_state']}/{row['task_state']}, and has no open action."


def a_failure_has_its_true_reason(truth: Truth) -> Iterator[str]:
    """An action fails because it did not begin only if no host had it, and never for want of a placement: hosts are
    there, or the placement itself says why none of them will do."""
    for row in truth.actions:
        message = row["message"] or ""
        if row["state"] != ActionState.FAILED or "did not begin within its deadline" not in message:
            continue
        name = f"The {row['verb']} of server {row['instance_id']}"
        if "no host was found for it" in message:
            yield f"{name} was not placed within its deadline."
        elif any(leg.get("attempt") for leg in row["legs"]):
            yield f"{name} failed because it did not begin, and a host has received it."


def claims_are_never_too_large(truth: Truth) -> Iterator[str]:
    """No claim is granted beyond what a host has."""
    for change in truth.changes:
        if change.kind == "overfull":
            yield f"At {change.at_s:.1f} s host {change.host} has claims for {change.power} of {change.power_before}."


_MAKES = (Verb.CREATE, Verb.EVACUATE)


def a_failed_build_leaves_nothing(truth: Truth) -> Iterator[str]:
    """A build that failed, and does not report that it left something, has left nothing on its host."""
    newest: dict[str, Row] = {row["instance_id"]: row for row in truth.actions}
    there = {(guest.machine, guest.id) for guest in truth.guests}
    for row in truth.living:
        action = newest.get(row["id"])
        if action is None or action["verb"] not in _MAKES or action["state"] != ActionState.FAILED:
            continue
        is_clean = not says_what_it_left(action["message"])
        if is_clean and row["vm_state"] == VmState.ERROR and (row["host"], row["id"]) in there:
            yield f"The {action['verb']} of server {row['id']} failed, and left a guest on {row['host']}."


def a_shelved_server_has_its_disks(truth: Truth) -> Iterator[str]:
    """A shelved server that has not left its host has its disks there, unless its offload ended half-way."""
    newest: dict[str, Row] = {
        row["instance_id"]: row
        for row in truth.actions
        if row["verb"] in (Verb.SHELVE, Verb.UNSHELVE, Verb.SHELVE_OFFLOAD)
    }
    disks = {(guest.machine, guest.id) for guest in truth.guests if guest.disk}
    for row in truth.living:
        action, host = newest.get(row["id"]), row["host"]
        if row["vm_state"] != VmState.SHELVED or host is None or host in truth.gone or action is None:
            continue
        if row["id"] in truth.lost_guests:
            continue
        if action["verb"] != Verb.SHELVE_OFFLOAD and (host, row["id"]) not in disks:
            yield f"Server {row['id']} is shelved on {host}, and its disks are not there."


def no_image_waits_in_vain(truth: Truth) -> Iterator[str]:
    """An image that an action makes is complete, or its record ends with the action."""
    for row in truth.images:
        if row["status"] == "queued":
            yield f"Image {row['id']} is {row['status']} at the end, and nobody sends its bytes."


OF_OUTCOMES = (
    each_process_has_its_own_epoch,
    a_task_has_its_action,
    a_failure_has_its_true_reason,
    claims_are_never_too_large,
    a_failed_build_leaves_nothing,
    a_shelved_server_has_its_disks,
    no_image_waits_in_vain,
)
