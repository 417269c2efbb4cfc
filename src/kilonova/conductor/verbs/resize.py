# SPDX-License-Identifier: Apache-2.0
"""resize, confirmResize, revertResize: the flavors, the claim, and the migration that operators list.

The resources are checked when the request is accepted: a refused request changes nothing.  From then on the host
reserves for the instance the larger of the two flavors, until the resize is confirmed, reverted, undone or deleted.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kilonova.base.errors import InvalidInput, InvalidState, NotFound, NoValidHost
from kilonova.conductor.verbs import fitness
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, Target, VerbHandler
from kilonova.db.readers import flavors as read_flavors
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.action_params import ResizeParams, RevertResizeParams
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.migration import Migration, MigrationStatus
from kilonova.objects.placement import Refusal
from kilonova.objects.states import PowerState, Verb, VmState
from kilonova.scheduler.choose import explain
from kilonova.scheduler.filters import FILTERS
from kilonova.scheduler.request import PlacementRequest

_ENDED: Columns = {"old_flavor": None, "new_flavor": None, "old_vm_state": None}


def _resize(tx: Transaction, acceptance: Acceptance) -> Accepted:
    """Claim the larger flavor, and open a migration.  Raises InvalidInput, InvalidState, NoValidHost."""
    instance, params = acceptance.instance, acceptance.request.params
    assert isinstance(params, ResizeParams)
    if instance.old_flavor is not None:
        raise InvalidState(f"Instance {instance.id} has a resize that did not end", vm_state=instance.vm_state)
    assert instance.host is not None
    flavor = _flavor(tx, instance, params.flavor_id)
    fitness.check_resize(tx, instance, flavor)
    columns: dict[str, Any] = {
        "old_flavor": instance.flavor,
        "new_flavor": flavor,
        "old_vm_state": instance.vm_state,
    }
    if params.disk_config is not None:
        columns["disk_config"] = params.disk_config
    _claim(tx, instance, replace(instance, **columns))
    write_migrations.insert(tx, _migration(acceptance, instance.host, flavor))
    return Accepted(columns, params)


def _migration(acceptance: Acceptance, host: HostName, flavor: Flavor) -> Migration:
    context = acceptance.request.context
    return Migration(
        uuid=acceptance.action_id,
        instance_id=acceptance.instance.id,
        source_compute=host,
        dest_compute=host,
        old_flavor_id=acceptance.instance.flavor.id,
        new_flavor_id=flavor.id,
        user_id=context.user_id,
        project_id=context.project_id,
        created_at=acceptance.now,
        updated_at=acceptance.now,
    )


def _confirm(tx: Transaction, acceptance: Acceptance) -> Accepted:
    write_migrations.pass_to(tx, acceptance.instance.id, MigrationStatus.CONFIRMING, acceptance.now)
    return Accepted()


def _revert(tx: Transaction, acceptance: Acceptance) -> Accepted:
    instance_id = acceptance.instance.id
    kept_disk = read_migrations.waiting(tx, instance_id).uuid
    write_migrations.pass_to(tx, instance_id, MigrationStatus.REVERTING, acceptance.now)
    return Accepted(params=RevertResizeParams(kept_disk))


def _resized(tx: Transaction, ending: Ending) -> Columns:
    if ending.succeeded:
        columns: Columns = {"flavor": ending.instance.new_flavor, "new_flavor": None}
        return _release(tx, ending, MigrationStatus.FINISHED, columns)
    return _release(tx, ending, MigrationStatus.ERROR, _ENDED)


def _confirmed(tx: Transaction, ending: Ending) -> Columns:
    """After a failed confirmation the resize still waits: the confirmation can be requested again."""
    if ending.succeeded:
        return _release(tx, ending, MigrationStatus.CONFIRMED, _ENDED)
    return _release(tx, ending, MigrationStatus.FINISHED, {})


def _reverted(tx: Transaction, ending: Ending) -> Columns:
    if ending.succeeded:
        return _release(tx, ending, MigrationStatus.REVERTED, {"flavor": ending.instance.old_flavor, **_ENDED})
    return _release(tx, ending, MigrationStatus.FINISHED, {})


def _release(tx: Transaction, ending: Ending, status: MigrationStatus, columns: Columns) -> Columns:
    """Release the resources that the host reserves beyond the remaining flavors."""
    instance = ending.instance
    if instance.host is not None:
        write_hosts.change_claim(tx, instance.host, instance, replace(instance, **columns))
    write_migrations.pass_to(tx, instance.id, status, ending.now)
    return columns


def _reverted_to(instance: Instance, declared: Target) -> Target:
    ran_before = instance.old_vm_state is VmState.ACTIVE
    return replace(declared, desired_power=PowerState.RUNNING if ran_before else None)


def _flavor(tx: Transaction, instance: Instance, flavor_id: FlavorId) -> Flavor:
    """The flavor, if the instance can be resized to it.  A disk never shrinks: that could cut off data."""
    try:
        flavor = read_flavors.get_flavor(tx, flavor_id)
    except NotFound as exc:
        raise InvalidInput(exc.message, path="resize.flavorRef") from exc
    now = instance.flavor
    if flavor.id == now.id:
        raise InvalidInput("When resizing, instances must change flavor!", path="resize.flavorRef")
    needs = max(now.disk_gib, instance.image.virtual_gib) if now.disk_gib or flavor.disk_gib else 0
    if flavor.disk_gib < needs or flavor.ephemeral_gib < now.ephemeral_gib:
        raise InvalidInput(
            f"Unable to resize disk down: flavor {flavor.id} has {flavor.disk_gib} GiB of root disk and "
            f"{flavor.ephemeral_gib} GiB of ephemeral disk; the server has {needs} GiB and {now.ephemeral_gib} GiB.",
            path="resize.flavorRef",
        )
    return flavor


def _claim(tx: Transaction, before: Instance, after: Instance) -> None:
    assert before.host is not None
    more = write_hosts.claims(after).minus(write_hosts.claims(before))
    request = PlacementRequest(more.vcpus, more.memory_mib, more.disk_gib)
    # Only growth is checked: a host may have claims beyond its capacity since its settings were changed.
    growth = {"CoreFilter": more.vcpus, "RamFilter": more.memory_mib, "DiskFilter": more.disk_gib}
    refusals = [
        Refusal(before.host, name, reason)
        for node in read_hosts.list_nodes(tx)
        if node.service.host == before.host
        for name, amount in growth.items()
        if amount > 0 and (reason := FILTERS[name](request, node)) is not None
    ]
    if not refusals and not write_hosts.change_claim(tx, before.host, before, after):
        refusals = [Refusal(before.host, "Claim", "another request took the last of it")]
    if refusals:
        raise NoValidHost(explain(refusals))


HANDLERS: Mapping[Verb, VerbHandler] = {
    Verb.RESIZE: VerbHandler(accept=_resize, ended=_resized),
    Verb.CONFIRM_RESIZE: VerbHandler(accept=_confirm, ended=_confirmed),
    Verb.REVERT_RESIZE: VerbHandler(accept=_revert, target=_reverted_to, ended=_reverted),
}
