# SPDX-License-Identifier: Apache-2.0
"""rebuild: another image on the same instance."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic_core import to_jsonable_python

from kilonova.base.errors import NoValidHost
from kilonova.base.unset import given
from kilonova.conductor.verbs import fitness
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, Target, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.action import Former
from kilonova.objects.action_params import RebuildParams
from kilonova.objects.hardware import needs
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.messages import NO_VALID_HOST
from kilonova.objects.states import PowerState, Verb, VmState


def _accept(tx: Transaction, acceptance: Acceptance) -> Accepted:
    """From now on the record describes the new server: a first run and a replay both create it."""
    instance, params = acceptance.instance, acceptance.request.params
    assert isinstance(params, RebuildParams)
    fitness.check_host(tx, instance, needs(instance.flavor, params.image.properties))
    _change_claim(tx, instance, params.image)
    changes = given(params.changes)
    former = {name: to_jsonable_python(getattr(instance, name), fallback=dict) for name in changes}
    return Accepted({**changes, "image": params.image, "rescue_image": None}, former=Former(instance.image, former))


def _ended(tx: Transaction, ending: Ending) -> Columns:
    """After a cancel the record describes the server that is still there."""
    former, instance = ending.action.bookkeeping.former, ending.instance
    if not ending.cancelled or former is None:
        return {}
    assert instance.host is not None
    write_hosts.change_claim(tx, instance.host, instance, replace(instance, image=former.image))
    return {**former.columns, "image": former.image}


def _change_claim(tx: Transaction, instance: Instance, image: ImageRef) -> None:
    """If the flavor of an instance has no disk size, the disk is as large as the image."""
    assert instance.host is not None
    if not write_hosts.change_claim(tx, instance.host, instance, replace(instance, image=image)):
        raise NoValidHost(f"{NO_VALID_HOST} {instance.host} has no room for a disk of the size of image {image.id}.")


def _target(instance: Instance, _declared: Target) -> Target:
    """A stopped instance stays stopped."""
    if instance.vm_state is VmState.STOPPED:
        return Target(VmState.STOPPED, None)
    return Target(VmState.ACTIVE, PowerState.RUNNING)


HANDLERS: Mapping[Verb, VerbHandler] = {Verb.REBUILD: VerbHandler(accept=_accept, target=_target, ended=_ended)}
