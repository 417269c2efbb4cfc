# SPDX-License-Identifier: Apache-2.0
"""A host that an operator has given up (`kilonova host forget`), and its return.

To give up a host ends everything that waits for it.  Its servers have no host any more: they can be evacuated or
deleted, and no request reaches the lost host.  A tombstone for each of them stays.  If the host returns anyway, its
process registers as that of a new host, out of service, and with a higher epoch than any process before.  It stops the
copies that have tombstones, and removes those that are superfluous (see docs/adr/0029-a-host-that-is-gone.md).  Each
function is one transaction, or part of one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kilonova.base.errors import Conflict, NotFound
from kilonova.conductor import images, outbox, quota
from kilonova.conductor.engine.fencing import check_epoch
from kilonova.conductor.hosts import lost_hosts
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import tombstones as read_tombstones
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.transaction import Transaction
from kilonova.db.writers import aggregates as write_aggregates
from kilonova.db.writers import contests as write_contests
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import migrations as write_migrations
from kilonova.db.writers import tombstones as write_tombstones
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.service import Service
from kilonova.objects.states import PowerState, VmState
from kilonova.rpcapi.api_to_conductor_admin import Forgotten
from kilonova.rpcapi.host_to_conductor import Copies, CopiesRemoved, ListCopies

LOST = "The host of this server was given up; its disks are lost. Evacuate or delete the server."
"""Members see it, so that it does not name the host."""
RETURNED = "This host was given up and has returned. Enable it to take it into service again."
NAMED = 3
"""How many servers a refusal names."""


def forget(tx: Transaction, host: HostName, now: datetime, *, heard: bool) -> Forgotten:
    """Give up a host.  `heard`: this conductor has received a heartbeat within the down time.

    Raises NotFound, Conflict while the host is alive.  A repeat changes nothing.
    """
    known = read_hosts.process_of(tx, host)
    if known is None:
        before = read_tombstones.forgotten(tx, host)
        if before is None:
            raise NotFound(f"There is no host {host}.")
        return Forgotten(before.at)
    if known.up or heard:
        raise Conflict(
            f"Host {host} is alive: its heartbeats arrived within service_down_time. Only a host that will not return "
            "can be given up; stop its kilonova-compute if it must end."
        )
    there = sorted(read_instances.powers_of_host(tx, host))
    working = (action.instance_id for action in read_actions.open_of_host(tx, host))
    everything = sorted({*there, *working})
    deleted = lost_hosts.forget(tx, host, now, f"Host {host} was given up by an operator.")
    lost = sum(_bury(tx, host, id_, now) for id_ in everything)
    (service,) = read_hosts.list_services(tx, host=host, binary=COMPUTE)
    write_tombstones.forget(tx, host, known.epoch, now)
    remove(tx, service, known.epoch)
    return Forgotten(now, lost, deleted)


def _bury(tx: Transaction, host: HostName, instance_id: InstanceId, now: datetime) -> bool:
    """Leave a tombstone, and take the instance from the host.  Returns whether its user loses something."""
    write_tombstones.put(tx, host, instance_id, now)
    instance, is_deleted = read_instances.get_known(tx, instance_id)
    if is_deleted or instance.host != host:
        return False
    columns: dict[str, Any] = {"host": None, "node": None, "availability_zone": instance.requested_zone}
    if read_actions.open_of_instance(tx, instance_id):  # another host works on its delete
        write_instances.update(tx, instance_id, now, **columns)
        return False
    flavors = {"old_flavor": None, "new_flavor": None, "old_vm_state": None}
    columns |= {"task_state": None, "power_state": PowerState.NOSTATE, "rescue_image": None, **flavors}
    columns |= _state_of(tx, instance, now)
    quota.charge_difference(tx, None, instance, columns)
    write_migrations.close(tx, instance_id, now)
    write_instances.update(tx, instance_id, now, **columns)
    outbox.updated(tx, outbox.changed(instance, columns), now)
    return columns["vm_state"] is VmState.ERROR


def _state_of(tx: Transaction, instance: Instance, now: datetime) -> dict[str, Any]:
    """A shelved server returns from its image."""
    shelved = instance.shelved_image
    if instance.vm_state is VmState.SHELVED and shelved is not None and images.is_there(tx, shelved.id):
        return {"vm_state": VmState.SHELVED_OFFLOADED}
    return {"vm_state": VmState.ERROR, "fault": Fault(500, LOST, now)}


def remove(tx: Transaction, service: Service, epoch: int) -> None:
    """Delete the service of a host with the records of the host.  `epoch` is that of its newest process."""
    write_tombstones.note_epoch(tx, service.host, epoch)
    write_aggregates.remove_host(tx, service.host)
    write_contests.forget(tx, service.host)
    write_hosts.delete_service(tx, service)


def first_epoch(tx: Transaction, host: HostName) -> int:
    """The epoch of the first process of a host that is not known: messages of processes from before the host was given
    up are older."""
    before = read_tombstones.forgotten(tx, host)
    return 1 if before is None else before.epoch + 1


def keep_out(tx: Transaction, host: HostName, now: datetime) -> None:
    """The host has registered.  If it was given up, it is out of service until an operator enables it: only an operator
    can decide that what returned is in order."""
    if read_tombstones.forgotten(tx, host) is not None:
        out = {"disabled": True, "disabled_reason": RETURNED, "disabled_by_host": False}
        write_hosts.update_service(tx, host, COMPUTE, now, **out)


def take_back(tx: Transaction, host: HostName) -> None:
    """An operator enables the host.  Raises Conflict while a host that was given up may have copies."""
    if read_tombstones.forgotten(tx, host) is None:
        return
    copies = read_tombstones.copies_on(tx, host)
    if copies:
        raise Conflict(
            _still_there(host, copies, [id_ for id_, is_superfluous in copies.items() if not is_superfluous])
        )
    write_tombstones.remember(tx, host)


def _still_there(host: HostName, copies: Iterable[InstanceId], last: list[InstanceId]) -> str:
    message = f"Host {host} was given up and may still have copies of servers ({_named(list(copies))})."
    if not last:
        return f"{message} Its kilonova-compute removes them; try again later."
    return f"{message} Evacuate or delete these servers first: {_named(last)}."


def _named(ids: list[InstanceId]) -> str:
    more = len(ids) - NAMED
    return ", ".join(ids[:NAMED]) + (f" and {more} more" if more > 0 else "")


def list_copies(tx: Transaction, request: ListCopies) -> Copies:
    """The copies that may still be on the host.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    copies = read_tombstones.copies_on(tx, request.host)
    superfluous = tuple(id_ for id_, is_superfluous in copies.items() if is_superfluous)
    return Copies(superfluous, tuple(id_ for id_ in copies if id_ not in set(superfluous)))


def copies_removed(tx: Transaction, request: CopiesRemoved, now: datetime) -> None:
    """The host has none of these copies any more.  Copies that are not superfluous are left out.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    gone = read_tombstones.superfluous_among(tx, request.host, request.copies)
    write_tombstones.removed(tx, request.host, sorted(gone), now)
