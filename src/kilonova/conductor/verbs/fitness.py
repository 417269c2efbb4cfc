# SPDX-License-Identifier: Apache-2.0
"""Whether a server's own host can give it what another image or another flavor asks for.

Part of the transaction that accepts: who hears at once that it cannot has a server that was never touched.
"""

from collections.abc import Sequence
from dataclasses import replace

from kilonova.base.errors import InvalidState, NoValidHost
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import Need, hardware_of, needs
from kilonova.objects.instance import Instance
from kilonova.objects.placement import PlacementRequest, Refusal
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction
from kilonova.scheduler.choose import explain
from kilonova.scheduler.filters import image_properties

_WITHOUT_TPM = frozenset({Verb.RESCUE, Verb.SHELVE})
"""What would lose an emulated TPM's state, or hide it; Nova refuses these too."""


def check(tx: Transaction, instance: Instance, asked: AcceptAction) -> None:
    """Raises NoValidHost for an image whose wishes the host cannot fulfil, InvalidState for a server with an emulated
    TPM that is to be rescued or shelved."""
    if asked.verb in _WITHOUT_TPM and hardware_of(instance.flavor, instance.image.properties).tpm is not None:
        raise InvalidState(
            f"Instance {instance.id} has an emulated TPM: {asked.verb} is not supported for it.",
            vm_state=instance.vm_state,
        )
    if asked.verb in (Verb.REBUILD, Verb.RESCUE) and asked.image is not None:
        check_host(tx, instance, needs(instance.flavor, asked.image.properties))


def check_resize(tx: Transaction, instance: Instance, flavor: Flavor) -> None:
    """Raises NoValidHost for a flavor whose wishes the host cannot fulfil; what the server has is not asked about."""
    properties = instance.image.properties
    has = needs(instance.flavor, properties)
    check_host(tx, instance, tuple(need for need in needs(flavor, properties) if need not in has))


def check_host(tx: Transaction, instance: Instance, wanted: Sequence[Need]) -> None:
    """Raises NoValidHost where the instance's host does not give one of these."""
    if not wanted:
        return
    request = replace(PlacementRequest(0, 0, 0), needs=tuple(wanted))
    for node in read_hosts.list_nodes(tx):
        if node.service.host == instance.host and (reason := image_properties(request, node)) is not None:
            raise NoValidHost(explain([Refusal(node.service.host, "ImagePropertiesFilter", reason)]))
