# SPDX-License-Identifier: Apache-2.0
"""Reports of hosts about themselves, and operators' settings of hosts.  Each function is one transaction."""

from datetime import datetime
from typing import Any

from kilonova.base.errors import Conflict, Forbidden, NotFound
from kilonova.base.unset import UNSET
from kilonova.conductor import once
from kilonova.conductor.engine.fencing import check_epoch
from kilonova.conductor.hosts import declared_networks, forgotten, lost_hosts
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.rpcapi.api_to_conductor import UpdateService
from kilonova.rpcapi.api_to_conductor_admin import DeleteService
from kilonova.rpcapi.host_to_conductor import RegisterHost, ReportInventory, SetHostEnabled


def register(tx: Transaction, request: RegisterHost, service_id: str, now: datetime) -> int:
    """The epoch of a process that was admitted (see processes.admit); the same process gets the same epoch again."""
    known = read_hosts.process_of(tx, request.host)
    values: dict[str, Any] = {
        "topic": request.topic,
        "zone": request.availability_zone,
        "process_id": request.process_id,
        "boot_id": request.boot_id,
        "state_id": request.state_id or None,
        "started_s": request.started_s,
        "registered_at": now,
        "left_at": None,
        "version": request.version,
        "up": True,
    }
    if known is None:
        epoch = forgotten.first_epoch(tx, request.host)
        write_hosts.insert_service(tx, now, id=service_id, host=request.host, binary=COMPUTE, epoch=epoch, **values)
        forgotten.keep_out(tx, request.host, now)
        return epoch
    if known.process_id == request.process_id:
        return known.epoch
    write_hosts.update_service(tx, request.host, COMPUTE, now, epoch=known.epoch + 1, **values)
    return known.epoch + 1


def report_inventory(tx: Transaction, request: ReportInventory) -> tuple[str, ...]:
    """Record what a host has.  Returns what an operator must correct about its networks.  Raises StaleWrite, Forbidden
    for the node of another host."""
    check_epoch(tx, request.host, request.epoch)
    if read_hosts.host_of_node(tx, request.node_id) not in (None, request.host):
        raise Forbidden(f"Host {request.host} reports the node of another host.", node_id=request.node_id)
    warnings = declared_networks.follow(tx, request.host, request.inventory)
    write_hosts.put_inventory(tx, request.host, request.node_id, request.inventory)
    return warnings


def set_enabled(tx: Transaction, request: SetHostEnabled, now: datetime) -> None:
    """The host's own report on its hypervisor; an operator's disable stays.  Raises StaleWrite."""
    check_epoch(tx, request.host, request.epoch)
    for service in read_hosts.list_services(tx, host=request.host, binary=COMPUTE):
        if request.enabled and service.disabled_by_host:
            values: dict[str, Any] = {"disabled": False, "disabled_reason": None, "disabled_by_host": False}
        elif not request.enabled and not service.disabled:
            values = {"disabled": True, "disabled_reason": request.reason[:255], "disabled_by_host": True}
        else:
            return
        write_hosts.update_service(tx, request.host, COMPUTE, now, **values)


def operator_update(tx: Transaction, request: UpdateService, now: datetime, request_id: str = "") -> None:
    """An operator's setting takes precedence over the host's report.  To force a host down ends its work in progress
    (see lost_hosts).  A late copy of a request changes nothing: a host that was taken back since is not forced down
    again.  Raises NotFound; Conflict for a host that was given up and may have copies."""
    if not once.is_first(tx, "update_service", request_id, now):
        return
    service = read_hosts.get_service(tx, request.service_id)
    values: dict[str, Any] = {}
    if request.disabled is not UNSET:
        values = {"disabled": request.disabled, "disabled_reason": request.disabled_reason, "disabled_by_host": False}
        if not request.disabled and service.binary == COMPUTE:
            forgotten.take_back(tx, service.host)
    if request.forced_down is not UNSET:
        values["forced_down"] = request.forced_down
    write_hosts.update_service_by_id(tx, request.service_id, now, **values)
    if request.forced_down is not UNSET and service.binary == COMPUTE:
        lost_hosts.call_down(tx, service.host, now, forced=request.forced_down)


def delete_service(tx: Transaction, request: DeleteService, now: datetime) -> None:
    """Delete a service and the records of its host.  Raises Conflict while it is up or has instances.  A service that
    does not exist is not an error.  A host that returns registers as a new one, and removes the guests of instances
    that were deleted meanwhile (compute/reaper).  An API process or a conductor that is up reports itself again."""
    try:
        service = read_hosts.get_service(tx, request.service_id)
    except NotFound:
        return
    if service.binary != COMPUTE:
        write_hosts.delete_report(tx, service)
        return
    if service.up and not service.forced_down:
        raise Conflict(f"The service on host {service.host} is up: stop it first, or it would register again.")
    if read_instances.powers_of_host(tx, service.host):
        raise Conflict(
            f"Unable to delete compute service that is hosting instances. Migrate or delete the instances on "
            f"{service.host} first."
        )
    message = f"The service of host {service.host} was deleted by an operator: the rest of the guest was not removed."
    lost_hosts.forget(tx, service.host, now, message)
    known = read_hosts.process_of(tx, service.host)
    forgotten.remove(tx, service, known.epoch if known is not None else 0)
