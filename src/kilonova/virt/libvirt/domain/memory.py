# SPDX-License-Identifier: Apache-2.0
"""A guest's memory on the host's disk: libvirt's managed save.  Each function is one native call, as in `guest`."""

import libvirt

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.domain import guest, states


def save(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """The guest is off and libvirt keeps its memory; False while another call works on it: try again.  HypervisorError
    when it does not run.  After a failure libvirt lets the guest continue."""
    seen = guest.look(conn, instance_id)
    if seen is not None and seen.saved:
        return True
    if seen is None or seen.state[0] not in (*states.RUNNING, libvirt.VIR_DOMAIN_PAUSED):
        raise HypervisorError(f"Guest {instance_id} does not run.")
    if _in_transition(seen):
        return False
    seen.domain.managedSave(0)
    return True


def restore(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """The guest continues from its memory, which is then removed; False while that is in progress: try again.
    HypervisorError when no memory is saved."""
    seen = guest.look(conn, instance_id)
    if seen is None or not (seen.saved or seen.domain.isActive()):
        raise HypervisorError(f"Guest {instance_id} has no saved memory to resume from.")
    if seen.saved:
        seen.domain.createWithFlags(0)  # which reads the memory, since it is saved
        return restore(conn, instance_id)  # a guest that was paused when it was saved is paused again
    if _in_transition(seen):
        return False
    if seen.state[0] == libvirt.VIR_DOMAIN_PMSUSPENDED:
        seen.domain.pMWakeup(0)
    elif seen.state[0] == libvirt.VIR_DOMAIN_PAUSED:
        return _unpause(seen.domain)
    return True


def _unpause(domain: libvirt.virDomain) -> bool:
    """Resume the guest, which was paused; False when it must be read again: it runs already, or another call still
    reads its memory, for whose job this call has waited as long as libvirt allows."""
    try:
        domain.resume()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_OPERATION_INVALID):
            raise
        return False
    return True


def _in_transition(seen: guest.Seen) -> bool:
    """Whether the guest's memory is being written or read, or the guest is being started or ended."""
    return seen.state == states.BEING_SAVED or states.power_of(*seen.state) is PowerState.NOSTATE


def holds_disk(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """Whether the guest runs, or will continue from its memory: both need its present disk."""
    seen = guest.look(conn, instance_id)
    return seen is not None and (seen.saved or bool(seen.domain.isActive()))
