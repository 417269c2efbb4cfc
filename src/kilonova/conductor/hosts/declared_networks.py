# SPDX-License-Identifier: Apache-2.0
"""The networks that hosts declare: a host changes the wire of a network, or two hosts disagree about one.

Each host assigns addresses of its own declared range, and the records keep them unique on a wire.  A disagreement about
the subnet or the gateway is reported; see docs/adr/0027-networks-of-a-fleet.md.
"""

from collections.abc import Iterable

from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.db.writers import instances as write_instances
from kilonova.objects.ids import HostName
from kilonova.objects.service import ComputeNode, HostNetwork, Inventory


def follow(tx: Transaction, host: HostName, declared: Inventory) -> tuple[str, ...]:
    """Let the reserved addresses follow the wires that a host declares.  Part of the transaction that records its
    inventory, and before it.  Returns what an operator must correct, one sentence for each."""
    shared = [network for network in declared.networks if network.shared]
    before = read_hosts.inventory_of(tx, host)
    if before is not None and before.networks == declared.networks:
        return ()
    moved = _moved(tx, host, before, shared) if before is not None else []
    others = [node for node in read_hosts.list_nodes(tx) if node.service.host != host] if shared else []
    return (*moved, *(sentence for network in shared for sentence in _disagreements(host, network, others)))


def all_disagreements(nodes: Iterable[ComputeNode]) -> tuple[str, ...]:
    """What an operator must correct in the declarations of all hosts, one sentence for each difference.  Each
    declaration is compared once, however many hosts have it."""
    firsts: dict[HostNetwork, ComputeNode] = {}
    found: dict[str, None] = {}
    for node in nodes:
        for network in node.inventory.networks:
            declared = _declaration(network)
            if not network.shared or declared in firsts:
                continue
            others = [other for other in firsts.values() if other is not node]
            found.update(dict.fromkeys(_disagreements(node.service.host, network, others)))
            firsts[declared] = node
    return tuple(found)


def _declaration(network: HostNetwork) -> HostNetwork:
    """What hosts must agree about: the rest of two declarations may differ."""
    return HostNetwork(network.wire, network.backend, network.cidr, network.gateway, "", "")


def _moved(tx: Transaction, host: HostName, before: Inventory, declared: Iterable[HostNetwork]) -> list[str]:
    found: list[str] = []
    for network in declared:
        old = before.network(network.name)
        if old is None or not old.shared or old.wire == network.wire:
            continue
        if not write_instances.move_to_wire(tx, host, old.wire, network.wire):
            found.append(
                f"Network {network.name} of host {host} is on the wire {network.wire} now. Some of its servers have "
                "addresses that servers on that wire have, too: recreate one of each two."
            )
    return found


def _disagreements(host: HostName, network: HostNetwork, others: Iterable[ComputeNode]) -> list[str]:
    """The first host that declares the same wire with another subnet or gateway, for each difference."""
    found: dict[str, str] = {}
    for node in others:
        for other in node.inventory.networks:
            if not (other.shared and other.wire == network.wire and other.subnet.overlaps(network.subnet)):
                continue
            for option, here, there in (
                ("cidr", network.cidr, other.cidr),
                ("gateway", network.gateway, other.gateway),
            ):
                if here != there:
                    found.setdefault(
                        option,
                        f"Hosts {host} and {node.service.host} are on the wire {network.wire} and declare different "
                        f"values of {option} for it ({here or 'none'}, {there or 'none'}): make them equal in "
                        f"[network:{network.name}] and [network:{other.name}].",
                    )
    return list(found.values())
