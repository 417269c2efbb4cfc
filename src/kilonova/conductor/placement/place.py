# SPDX-License-Identifier: Apache-2.0
"""Placing an instance that has no host: choose one and claim it in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kilonova.base.clock import Random
from kilonova.conductor import server_groups
from kilonova.conductor.engine.legs import fail
from kilonova.conductor.placement import addressing, waiting
from kilonova.conductor.placement.waiting import Patience, Wait
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action
from kilonova.objects.action_params import CreateParams, UnshelveParams
from kilonova.objects.hardware import needs
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.placement import PlacementRequest, Refusal
from kilonova.objects.service import ComputeNode, HostNetwork
from kilonova.objects.states import TaskState
from kilonova.scheduler.choose import choose, explain


def place(
    tx: Transaction, action_id: ActionId, random: Random, now: datetime, patience: Patience | None = None
) -> HostName | Wait | None:
    """Choose a host for the action's instance, claim it and give the action to it.  Returns the host to wake.

    Without a host the action waits for a host that is returning, for at most `patience` (None: it does not wait), or it
    ends as failed and the instance's fault contains the refusal of each filter.  An action that is no longer open, or
    has a host already, does not change.
    """
    action = read_actions.take_to_place(tx, action_id)
    if action is None or action.host is not None or not read_actions.is_open(action):
        return None
    instance = read_instances.get(tx, action.instance_id)
    nodes = {node.service.host: node for node in read_hosts.list_nodes(tx)}
    where = _place_of(instance, action)
    wanted = _request(tx, instance, where)
    choice = choose(wanted, nodes.values(), random)
    refusals = list(choice.refusals)
    for host in choice.hosts:
        refusal = _take(tx, action, instance, where, nodes[host], now)
        if refusal is None:
            waiting.end(tx, action, now, found=True)
            return host
        refusals.append(refusal)
    wait = waiting.coming(tx, wanted, nodes, waiting.left(tx, action, patience or Patience()), now)
    if wait is not None:
        waiting.begin(tx, action, wait, now)
        return wait
    waiting.end(tx, action, now, found=False)
    fail(tx, action, explain(refusals), now)
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """The constraints in an action's params.  `networks` by name; none: the host's first.  `addresses`: requested
    addresses by the network's name."""

    zone: str | None
    networks: tuple[str, ...]
    addresses: Mapping[str, str] = field(default_factory=dict[str, str])
    host: HostName | None = None
    same_host: tuple[InstanceId, ...] = ()
    different_host: tuple[InstanceId, ...] = ()


def _place_of(instance: Instance, action: Action) -> _Place:
    params = action.params
    if not isinstance(params, CreateParams):  # an offloaded instance returns to the networks that it was on
        zone = params.availability_zone if isinstance(params, UnshelveParams) else None
        return _Place(zone or instance.requested_zone, tuple(address.network for address in instance.addresses))
    pairs = zip(params.networks, params.fixed_ips, strict=False)
    return _Place(
        # A record of an older API has the requested zone of a new server as its own zone.
        zone=instance.requested_zone or instance.availability_zone,
        networks=params.networks,
        addresses={name: address for name, address in pairs if address},
        host=params.host,
        same_host=params.same_host,
        different_host=params.different_host,
    )


def _hosts_of(tx: Transaction, ids: tuple[InstanceId, ...]) -> frozenset[HostName] | None:
    """The hosts of these servers; None if there are no servers."""
    if not ids:
        return None
    known = read_instances.get_all_known(tx, ids)
    return frozenset(one.host for one, is_deleted in known if one.host is not None and not is_deleted)


def _request(tx: Transaction, instance: Instance, place: _Place) -> PlacementRequest:
    return PlacementRequest(
        vcpus=instance.flavor.vcpus,
        memory_mib=instance.flavor.memory_mib,
        disk_gib=write_hosts.disk_gib(instance),
        availability_zone=place.zone,
        wants_network=instance.wants_network,
        networks=place.networks,
        host=place.host,
        same_hosts=_hosts_of(tx, place.same_host),
        different_hosts=_hosts_of(tx, place.different_host) or frozenset(),
        group=server_groups.constraint(tx, instance),
        extra_specs=instance.flavor.extra_specs,
        needs=needs(instance.flavor, instance.image.properties),
    )


def _take(
    tx: Transaction, action: Action, instance: Instance, place: _Place, node: ComputeNode, now: datetime
) -> Refusal | None:
    host = node.service.host
    if not write_hosts.claim(tx, host, instance):
        return Refusal(host, "Claim", "another build took the last of it")
    addresses: tuple[Address, ...] | Refusal = ()
    if instance.wants_network:
        networks = _networks(node, place.networks)
        addresses = addressing.give(tx, host, networks, instance, place.addresses)
    if isinstance(addresses, Refusal):
        write_hosts.release(tx, host, instance)
        return addresses
    write_instances.update(
        tx,
        instance.id,
        now,
        host=host,
        node=node.inventory.node,
        availability_zone=node.service.zone,
        addresses=addresses,
        task_state=TaskState.SPAWNING,
    )
    write_actions.put_legs(tx, action.id, action.with_leg(replace(action.leg, host=host)).legs, now)
    return None


def _networks(node: ComputeNode, names: tuple[str, ...]) -> tuple[HostNetwork, ...]:
    """These networks of the node, which has passed the filters; without names, its first network."""
    if not names:
        return node.inventory.networks[:1]
    return tuple(network for name in names if (network := node.inventory.network(name)) is not None)
