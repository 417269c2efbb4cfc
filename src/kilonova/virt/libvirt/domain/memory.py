# SPDX-License-Identifier: Apache-2.0
"""A guest's memory on the host's disk: libvirt's managed save.  Each function is one hop, as in `guest`."""

import libvirt

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.domain import guest, states


def save(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """The guest is off and libvirt keeps its memory; False while another call is at it: ask again.  HypervisorError
    when it does not run.  After a failure libvirt has let the guest go on."""
    seen = guest.look(conn, instance_id)
    if seen is not None and seen.saved:
        return True
    if seen is None or seen.state[0] not in (*states.GOES, libvirt.VIR_DOMAIN_PAUSED):
        raise HypervisorError(f"Guest {instance_id} does not run.")
    if _is_on_its_way(seen):
        return False
    seen.domain.managedSave(0)
    return True


def restore(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """The guest goes on from its memory, which is kept no longer; False while it is on its way: ask again.
    HypervisorError when nothing is kept."""
    seen = guest.look(conn, instance_id)
    if seen is None or not (seen.saved or seen.domain.isActive()):
        raise HypervisorError(f"Guest {instance_id} has no saved memory to go on from.")
    if seen.saved:
        seen.domain.createWithFlags(0)  # which reads it, since it is there
        return restore(conn, instance_id)  # one that stood still when it was saved does so again
    if _is_on_its_way(seen):
        return False
    if seen.state[0] == libvirt.VIR_DOMAIN_PMSUSPENDED:
        seen.domain.pMWakeup(0)
    elif seen.state[0] == libvirt.VIR_DOMAIN_PAUSED:
        return _let_go(seen.domain)
    return True


def _let_go(domain: libvirt.virDomain) -> bool:
    """It stood still; False when that is to be looked at again: its memory still comes in, by another call whose job
    this one has waited for as long as libvirt lets it, or it goes already."""
    try:
        domain.resume()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_OPERATION_INVALID):
            raise
        return False
    return True


def _is_on_its_way(seen: guest.Seen) -> bool:
    """Its memory is being written or read, or it is being started or ended."""
    return seen.state == states.BEING_SAVED or states.power_of(*seen.state) is PowerState.NOSTATE


def holds_disk(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """Whether it runs, or will go on from its memory: either wants the disk that it knows."""
    seen = guest.look(conn, instance_id)
    return seen is not None and (seen.saved or bool(seen.domain.isActive()))
