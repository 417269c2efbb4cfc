# SPDX-License-Identifier: Apache-2.0
"""Whether an instance's own host has the features that another image or another flavor needs.

Part of the transaction that accepts a request: a refused request changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from kilonova.base.errors import InvalidState, NoValidHost
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import Need, hardware_of, needs
from kilonova.objects.instance import Instance
from kilonova.objects.placement import Refusal
from kilonova.objects.states import Verb
from kilonova.scheduler.choose import explain
from kilonova.scheduler.filters import image_properties
from kilonova.scheduler.request import PlacementRequest


def refuse_tpm(instance: Instance, verb: Verb) -> None:
    """Raises InvalidState for an instance with an emulated TPM: the verb would lose the TPM's state, or hide it.  Nova
    refuses these requests, too."""
    if hardware_of(instance.flavor, instance.image.properties).tpm is not None:
        raise InvalidState(
            f"Instance {instance.id} has an emulated TPM: {verb} is not supported for it.", vm_state=instance.vm_state
        )


def check_resize(tx: Transaction, instance: Instance, flavor: Flavor) -> None:
    """Raises NoValidHost when the host lacks a feature that the flavor needs and the instance does not have already."""
    properties = instance.image.properties
    has = needs(instance.flavor, properties)
    check_host(tx, instance, tuple(need for need in needs(flavor, properties) if need not in has))


def check_host(tx: Transaction, instance: Instance, wanted: Sequence[Need]) -> None:
    """Raises NoValidHost when the instance's host lacks one of these features."""
    if not wanted:
        return
    request = replace(PlacementRequest(0, 0, 0), needs=tuple(wanted))
    for node in read_hosts.list_nodes(tx):
        if node.service.host == instance.host and (reason := image_properties(request, node)) is not None:
            raise NoValidHost(explain([Refusal(node.service.host, "ImagePropertiesFilter", reason)]))
