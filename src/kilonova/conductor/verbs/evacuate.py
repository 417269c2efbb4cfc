# SPDX-License-Identifier: Apache-2.0
"""evacuate: a server whose host was given up is built again from its image, on another host.

Its disks are lost.  It keeps its id, flavor, addresses where the new host can have them, MAC addresses, metadata and
user data.  A server on a host that was not given up is refused: the host may still run it.
"""

from collections.abc import Mapping

from kilonova.base.errors import InvalidState
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, Target, VerbHandler
from kilonova.db.readers import tombstones as read_tombstones
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.action_params import EvacuateParams, EvacuateRequest
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Instance
from kilonova.objects.messages import not_given_up
from kilonova.objects.migration import EVACUATION, Migration, MigrationStatus
from kilonova.objects.states import PowerState, Verb, VmState


def _accept(tx: Transaction, acceptance: Acceptance) -> Accepted:
    """Open a migration.  Raises InvalidState."""
    instance, params = acceptance.instance, acceptance.request.params
    assert isinstance(params, EvacuateRequest)
    graves = read_tombstones.of_instance(tx, instance.id)
    if instance.host is not None:
        raise InvalidState(not_given_up(instance.id, instance.host), vm_state=instance.vm_state)
    if not graves:
        raise InvalidState(f"Instance {instance.id} was on no host that was given up.", vm_state=instance.vm_state)
    write_migrations.insert(tx, _migration(acceptance, graves[0].host))
    excluded = tuple(grave.host for grave in graves if not grave.is_removed)
    return Accepted(params=EvacuateParams(params.host, excluded))


def _migration(acceptance: Acceptance, source: HostName) -> Migration:
    instance, context = acceptance.instance, acceptance.request.context
    return Migration(
        uuid=acceptance.action_id,
        instance_id=instance.id,
        source_compute=source,
        dest_compute=HostName(""),
        old_flavor_id=instance.flavor.id,
        new_flavor_id=instance.flavor.id,
        user_id=context.user_id,
        project_id=context.project_id,
        created_at=acceptance.now,
        updated_at=acceptance.now,
        migration_type=EVACUATION,
        status=MigrationStatus.ACCEPTED,
    )


def _target(instance: Instance, _declared: Target) -> Target:
    """A server that was stopped stays stopped."""
    if instance.desired_power is PowerState.SHUTDOWN:
        return Target(VmState.STOPPED, None)
    return Target(VmState.ACTIVE, PowerState.RUNNING)


def _ended(tx: Transaction, ending: Ending) -> Columns:
    """After a failure that has left nothing on the new host, the server leaves that host and can be evacuated again."""
    instance = ending.instance
    status = MigrationStatus.DONE if ending.succeeded else MigrationStatus.FAILED
    write_migrations.pass_to(tx, instance.id, status, ending.now)
    if ending.succeeded:
        return {"launched_at": ending.now}
    is_absent = ending.outcome.power is None or ending.cancelled
    if not is_absent or instance.host is None:
        return {}
    write_hosts.release(tx, instance.host, instance)
    return {"host": None, "node": None}


HANDLERS: Mapping[Verb, VerbHandler] = {Verb.EVACUATE: VerbHandler(accept=_accept, target=_target, ended=_ended)}
