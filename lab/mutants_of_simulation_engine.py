# SPDX-License-Identifier: Apache-2.0
"""Defects of the engine of actions: acceptance, hand-out, outcomes, legs, fencing."""

from collections.abc import Sequence

from lab.mutant import Defect, defect

ACCEPT = "conductor/engine/accept.py"
END = "conductor/engine/end.py"
HAND_OUT = "conductor/engine/hand_out.py"
LEGS = "conductor/engine/legs.py"
REPORTS = "conductor/engine/reports.py"

DEFECTS_OF_ENGINE: Sequence[Defect] = (
    defect(
        "the token of an outcome is not compared",
        "A process that stood still ends the attempt of its successor: the server shows an outcome while the newer "
        "attempt still changes the guest.",
        "conductor/attempts.py",
        " or leg.attempt != message.attempt:",
        ":",
    ),
    defect(
        "a doubled outcome ends the next leg",
        "A message that arrives twice ends work that another leg has not done: a build fails that had another host.",
        REPORTS,
        "    if report.leg.index != action.current:\n        return Finished(action.verb)\n",
        "",
    ),
    defect(
        "the outcome of a superseded action is recorded",
        "A server that is being deleted shows ACTIVE again, and its create is recorded as done after its end.",
        REPORTS,
        "    if action.state is ActionState.OPEN or (\n",
        "    if action.state is not ActionState.DONE or (\n",
    ),
    defect(
        "a repeat is known only while its action is open",
        "A reboot whose first answer was lost is done twice, and a stop whose first answer was lost is done and "
        "refused.",
        ACCEPT,
        "    if read_actions.is_known(tx, request.instance_id, request.context.request_id):\n",
        "    already = read_actions.open_of_instance(tx, request.instance_id)\n"
        "    if any(one.request_id == request.context.request_id for one in already):\n",
    ),
    defect(
        "a delete supersedes nothing",
        "The create, or the reboot, of a deleted server goes on and stays open for ever.",
        ACCEPT,
        "    if transition.preempts:\n        _supersede(tx, instance, open_actions, request, now)\n",
        "",
    ),
    defect(
        "a second request is accepted beside an open one",
        "Two requests change one server at the same time: a pause and a stop are both accepted, and one of them loses "
        "its state.",
        ACCEPT,
        "    elif open_actions and not transition.preempts",
        "    elif len(open_actions) > 1 and not transition.preempts",
    ),
    defect(
        "a resize is not charged when it is accepted",
        "The usage of the project is smaller than its servers: it gets more than its quota.",
        ACCEPT,
        "    quota.charge_difference(tx, quotas, instance, columns)\n",
        "",
    ),
    defect(
        "the usage of a size is not given back",
        "After a resize to a smaller flavor the project is charged for the larger one, for ever.",
        END,
        "    quota.charge_difference(tx, None, instance, columns)\n",
        "",
    ),
    defect(
        "the state after success is the declared one",
        "A guest that shut itself down at the end of its start shows ACTIVE, and no later read corrects it.",
        END,
        "columns.update(vm_state=observed(target.vm_state, power), fault=None)",
        "columns.update(vm_state=target.vm_state, fault=None)",
    ),
    defect(
        "the state after a failure is the old one",
        "After a stop that failed and yet stopped the guest the server shows ACTIVE, and no later read corrects it.",
        END,
        "        columns.update(vm_state=observed(instance.vm_state, power), fault=instance.fault)\n",
        "        columns.update(vm_state=instance.vm_state, fault=instance.fault)\n",
    ),
    defect(
        "an outcome leaves no mark of its read",
        "A report from before a start, which arrives after it, shows the running server as SHUTOFF.",
        END,
        "    write_instances.update_from(tx, ending.outcome.read, instance.id, now, columns)\n",
        "    write_instances.update(tx, instance.id, now, **columns)\n",
    ),
    defect(
        "the end of an action makes no notification",
        "Subscribers see that a create began, and never that it ended.",
        END,
        "    outbox.ended(tx, action, after, now, state=state, message=ending.outcome.message)\n",
        "",
    ),
    defect(
        "an abandoned action continues beside a newer one",
        "After the operator takes a host back, an old stop runs against a server that was rebooted since.",
        END,
        "    return instance if newest == action.id and instance.vm_state is VmState.ERROR else None\n",
        "    return None if newest is None else instance\n",
    ),
    defect(
        "an undo that failed is trusted",
        "A build moves to another host although its guest is left on the first one: the server runs twice.",
        LEGS,
        "    if outcome.succeeded and moves_on(action.legs):\n",
        "    if moves_on(action.legs):\n",
    ),
    defect(
        "the claim of a server that was deleted while its host was down",
        "The resources and the addresses of the deleted server are never free again.",
        LEGS,
        "    release_from_host(tx, instance)\n    return None",
        "    return None",
    ),
    defect(
        "a removal that failed is trusted after a local delete",
        "A deleted server's address is given to another server while the old guest still has it.",
        LEGS,
        "    if not outcome.succeeded:\n"
        '        message = f"Deleted; host {action.host} could not remove the guest yet: {outcome.message}"\n'
        "        write_actions.update(tx, action.id, now, message=message)\n"
        "        return None\n",
        "",
    ),
    defect(
        "the claim on the host that a build leaves",
        "Each build that moves to another host makes the first host smaller, for ever.",
        "conductor/engine/reschedule.py",
        "    write_hosts.release(tx, instance.host, instance)\n",
        "",
    ),
    defect(
        "any process of a host gets its work",
        "A process that has lost its host to a newer one receives the same work, and both change the guest.",
        HAND_OUT,
        "    if check_process(tx, request.host, request.epoch, work.process).forced_down:\n",
        "    if work.process is not None and work.process.forced_down:\n",
    ),
    defect(
        "a leg that runs is handed out again",
        "The outcome of work that takes longer than one fetch is refused, and the work is done again and again.",
        HAND_OUT,
        "    fresh = [one for one in work.open_actions if one[0].leg_id not in running]\n",
        "    fresh = list(work.open_actions)\n",
    ),
    defect(
        "superseded work is not revoked",
        "A delete waits behind the work that it supersedes, for as long as the hypervisor or a download hangs.",
        HAND_OUT,
        "revoked = tuple(leg for leg in request.running if leg not in current and leg.action_id not in work.others)",
        "revoked = request.running[:0]",
    ),
    defect(
        "a deadline that has passed is not reported to the host",
        "An action whose hypervisor does not answer stays open for ever.",
        HAND_OUT,
        "expired = tuple(action.leg_id for action in open_actions if action.leg_id in running and is_overdue(action))",
        "expired = request.running[:0]",
    ),
    defect(
        "the epoch of the process before is current, too",
        "After a restart of a host's process, late reports of the old process are recorded as those of the new one.",
        "conductor/engine/fencing.py",
        "    if known.epoch > epoch:\n",
        "    if known.epoch > epoch + 1:\n",
    ),
)
