# SPDX-License-Identifier: Apache-2.0
"""delete: if the host is down, the instance leaves its project at once.  It leaves its host when the host has removed
the guest."""

from collections.abc import Mapping
from datetime import datetime

from kilonova.conductor import images, quota
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, VerbHandler
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import migrations as write_migrations
from kilonova.objects.action_params import DeleteParams
from kilonova.objects.instance import Instance
from kilonova.objects.quota import usage_of
from kilonova.objects.states import PowerState, Verb, VmState


def _accept(tx: Transaction, acceptance: Acceptance) -> Accepted:
    instance, now = acceptance.instance, acceptance.now
    params = DeleteParams(tuple(images.forget_with(tx, instance, acceptance.open_actions, now)))
    host = acceptance.legs[0].host
    if host is None or read_hosts.is_up(tx, host):
        return Accepted(params=params)
    # The host removes the guest when it returns.
    return Accepted(_leave_project(tx, instance, now), params)


def _ended(tx: Transaction, ending: Ending) -> Columns:
    if not ending.succeeded:
        return {}
    release_from_host(tx, ending.instance)
    return {**_leave_project(tx, ending.instance, ending.now), "fault": ending.instance.fault}


def _leave_project(tx: Transaction, instance: Instance, now: datetime) -> Columns:
    quota.give_back(tx, instance.project_id, usage_of(instance))
    write_migrations.close(tx, instance.id, now)
    return {
        "vm_state": VmState.DELETED,
        "task_state": None,
        "power_state": PowerState.NOSTATE,
        "terminated_at": now,
        "deleted_at": now,
    }


def release_from_project(tx: Transaction, instance: Instance, now: datetime) -> None:
    """Mark the instance deleted: it leaves its project's list and quota."""
    write_instances.update(tx, instance.id, now, **_leave_project(tx, instance, now))


def release_from_host(tx: Transaction, instance: Instance) -> None:
    """Nothing of the instance is on its host any more: the claim and the addresses are free."""
    if instance.host is not None:
        write_hosts.release(tx, instance.host, instance)
    write_instances.release_addresses(tx, instance.id)


HANDLERS: Mapping[Verb, VerbHandler] = {Verb.DELETE: VerbHandler(accept=_accept, ended=_ended)}
