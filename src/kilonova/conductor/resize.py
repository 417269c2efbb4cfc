# SPDX-License-Identifier: Apache-2.0
"""What a resize means for the record: the flavors, the claim, and the migration that operators list.

Each function is part of the transaction that accepts or ends an action.  Whether there is room is decided when it is
asked for: whoever hears at once that there is none has a server that was never touched.  From then on the host holds
for the instance what the larger of the two flavors wants, until the resize is confirmed, reverted, undone or deleted.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kilonova.base.errors import InvalidInput, InvalidState, NotFound, NoValidHost
from kilonova.conductor.verbs import fitness
from kilonova.db.readers import flavors as read_flavors
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import ActionId, FlavorId
from kilonova.objects.instance import Instance
from kilonova.objects.migration import Migration, MigrationStatus
from kilonova.objects.placement import PlacementRequest, Refusal
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import DISK_CONFIG, FLAVOR, KEPT_DISK, AcceptAction
from kilonova.scheduler.choose import explain
from kilonova.scheduler.filters import FILTERS

_ENDS: Mapping[tuple[Verb, bool], MigrationStatus] = {
    (Verb.RESIZE, True): MigrationStatus.FINISHED,
    (Verb.RESIZE, False): MigrationStatus.ERROR,
    (Verb.CONFIRM_RESIZE, True): MigrationStatus.CONFIRMED,
    (Verb.REVERT_RESIZE, True): MigrationStatus.REVERTED,
    # It waits on, and can be asked for again.
    (Verb.CONFIRM_RESIZE, False): MigrationStatus.FINISHED,
    (Verb.REVERT_RESIZE, False): MigrationStatus.FINISHED,
}


def prepare(
    tx: Transaction, instance: Instance, asked: AcceptAction, action_id: ActionId, now: datetime
) -> tuple[AcceptAction, dict[str, Any]]:
    """What accepting a verb of a resize changes: the request with what its steps need to know, and the instance's
    fields.  Other verbs pass as they are.  Raises InvalidInput, InvalidState, NoValidHost; then nothing is changed."""
    match asked.verb:
        case Verb.RESIZE:
            return asked, _begin(tx, instance, asked, action_id, now)
        case Verb.CONFIRM_RESIZE:
            write_migrations.pass_to(tx, instance.id, MigrationStatus.CONFIRMING, now)
            return asked, {}
        case Verb.REVERT_RESIZE:
            kept = read_migrations.waiting(tx, instance.id).uuid
            write_migrations.pass_to(tx, instance.id, MigrationStatus.REVERTING, now)
            return replace(asked, params={**asked.params, KEPT_DISK: kept}), {}
        case _:
            return asked, {}


def settle(tx: Transaction, verb: Verb, instance: Instance, now: datetime, *, succeeded: bool) -> dict[str, Any]:
    """What the end of an action changes of the instance's fields; what is held for nothing any more is given back."""
    if (verb, succeeded) not in _ENDS:
        return {}
    values = _settled(verb, instance, succeeded=succeeded)
    if instance.host is not None:
        write_hosts.change_claim(tx, instance.host, instance, replace(instance, **values))
    write_migrations.pass_to(tx, instance.id, _ENDS[verb, succeeded], now)
    return values


def _settled(verb: Verb, instance: Instance, *, succeeded: bool) -> dict[str, Any]:
    over = {"old_flavor": None, "new_flavor": None, "old_vm_state": None}
    match (verb, succeeded):
        case (Verb.RESIZE, True):
            return {"flavor": instance.new_flavor, "new_flavor": None}
        case (Verb.RESIZE, False) | (Verb.CONFIRM_RESIZE, True):
            return over
        case (Verb.REVERT_RESIZE, True):
            return {"flavor": instance.old_flavor, **over}
        case _:
            return {}


def _begin(
    tx: Transaction, instance: Instance, asked: AcceptAction, action_id: ActionId, now: datetime
) -> dict[str, Any]:
    if instance.old_flavor is not None:
        raise InvalidState(f"Instance {instance.id} has a resize that did not end", vm_state=instance.vm_state)
    assert instance.host is not None
    flavor = _wanted(tx, instance, asked.params.get(FLAVOR, ""))
    fitness.check_resize(tx, instance, flavor)
    values: dict[str, Any] = {
        "old_flavor": instance.flavor,
        "new_flavor": flavor,
        "old_vm_state": instance.vm_state,
    }
    if (disk_config := asked.params.get(DISK_CONFIG)) is not None:
        values["disk_config"] = disk_config
    _claim(tx, instance, replace(instance, **values))
    write_migrations.insert(
        tx,
        Migration(
            uuid=action_id,
            instance_id=instance.id,
            source_compute=instance.host,
            dest_compute=instance.host,
            old_flavor_id=instance.flavor.id,
            new_flavor_id=flavor.id,
            user_id=asked.context.user_id,
            project_id=asked.context.project_id,
            created_at=now,
            updated_at=now,
        ),
    )
    return values


def _wanted(tx: Transaction, instance: Instance, flavor_id: str) -> Flavor:
    """The flavor, if the instance can become of it.  A disk is never made smaller: that could cut what is on it."""
    try:
        flavor = read_flavors.get_flavor(tx, FlavorId(flavor_id))
    except NotFound as exc:
        raise InvalidInput(exc.message, path="resize.flavorRef") from exc
    now = instance.flavor
    if flavor.id == now.id:
        raise InvalidInput("When resizing, instances must change flavor!", path="resize.flavorRef")
    needs = max(now.disk_gib, -(-instance.image.virtual_size >> 30)) if now.disk_gib or flavor.disk_gib else 0
    if flavor.disk_gib < needs or flavor.ephemeral_gib < now.ephemeral_gib:
        raise InvalidInput(
            f"Unable to resize disk down: flavor {flavor.id} has {flavor.disk_gib} GiB of root disk and "
            f"{flavor.ephemeral_gib} GiB of ephemeral disk; the server has {needs} GiB and {now.ephemeral_gib} GiB.",
            path="resize.flavorRef",
        )
    return flavor


def _claim(tx: Transaction, before: Instance, after: Instance) -> None:
    assert before.host is not None
    more = write_hosts.held(after).minus(write_hosts.held(before))
    request = PlacementRequest(more.vcpus, more.memory_mib, more.disk_gib)
    # What does not grow is not asked about: the host may hold more than it offers since its settings were changed.
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
