# SPDX-License-Identifier: Apache-2.0
"""Placing an instance that has no host: choose one and claim it in one transaction."""

from dataclasses import replace
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
from kilonova.objects.hardware import needs
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.placement import PlacementRequest, Refusal
from kilonova.objects.service import ComputeNode, HostNetwork
from kilonova.objects.states import TaskState, Verb
from kilonova.rpcapi.api_to_conductor import AVAILABILITY_ZONE, DIFFERENT_HOST, FIXED_IPS, HOST, NETWORKS, SAME_HOST
from kilonova.scheduler.choose import choose, explain


def place(
    tx: Transaction, action_id: ActionId, random: Random, now: datetime, patience: Patience | None = None
) -> HostName | Wait | None:
    """Choose a host for the action's instance, claim it and give the action to it; the host to wake.

    With no host the action waits for one that is coming back, as far as `patience` goes (none: not at all), or ends as
    failed, and the instance's fault says what each filter refused.  An action that is no longer open or has a host
    already is left alone.
    """
    action = read_actions.get(tx, action_id)
    if action.host is not None or not read_actions.is_open(action):
        return None
    instance = read_instances.get(tx, action.instance_id)
    nodes = {node.service.host: node for node in read_hosts.list_nodes(tx)}
    wanted = _request(tx, instance, action)
    choice = choose(wanted, nodes.values(), random)
    refusals = list(choice.refusals)
    for host in choice.hosts:
        refusal = _take(tx, action, instance, nodes[host], now)
        if refusal is None:
            waiting.end(tx, action, now, found=True)
            return host
        refusals.append(refusal)
    wait = waiting.coming(tx, wanted, nodes, patience or Patience(), now)
    if wait is not None:
        waiting.begin(tx, action, wait, now)
        return wait
    waiting.end(tx, action, now, found=False)
    fail(tx, action, explain(refusals), now)
    return None


def _asked(instance: Instance, action: Action) -> tuple[str, ...]:
    """The networks that a create asked for, by name; none means the host's first.  Who comes off the shelf comes back
    to those that he was on."""
    if action.verb is Verb.UNSHELVE:
        return tuple(address.network for address in instance.addresses)
    return tuple(name for name in action.params.get(NETWORKS, "").split(",") if name)


def _wanted(action: Action) -> dict[str, str]:
    """The addresses that a create asked for, by the network's name."""
    names, wanted = (action.params.get(name, "").split(",") for name in (NETWORKS, FIXED_IPS))
    return {name: address for name, address in zip(names, wanted, strict=False) if address}


def _zone(instance: Instance, action: Action) -> str | None:
    """The zone that was asked for; a record that an older API made of a new server says it as the server's own."""
    return instance.requested_zone or (instance.availability_zone if action.verb is Verb.CREATE else None)


def _hosts_of(tx: Transaction, action: Action, parameter: str) -> frozenset[HostName] | None:
    """Where the servers are that the action's parameter names; None when it names none."""
    if parameter not in action.params:
        return None
    ids = [InstanceId(text) for text in action.params[parameter].split(",")]
    known = read_instances.get_all_known(tx, ids)
    return frozenset(one.host for one, is_deleted in known if one.host is not None and not is_deleted)


def _request(tx: Transaction, instance: Instance, action: Action) -> PlacementRequest:
    return PlacementRequest(
        vcpus=instance.flavor.vcpus,
        memory_mib=instance.flavor.memory_mib,
        disk_gib=write_hosts.disk_gib(instance),
        availability_zone=action.params.get(AVAILABILITY_ZONE) or _zone(instance, action),
        wants_network=instance.wants_network,
        networks=_asked(instance, action),
        host=HostName(action.params[HOST]) if HOST in action.params else None,
        same_hosts=_hosts_of(tx, action, SAME_HOST),
        different_hosts=_hosts_of(tx, action, DIFFERENT_HOST) or frozenset(),
        group=server_groups.wish(tx, instance),
        extra_specs=instance.flavor.extra_specs,
        needs=needs(instance.flavor, instance.image.properties),
    )


def _take(tx: Transaction, action: Action, instance: Instance, node: ComputeNode, now: datetime) -> Refusal | None:
    host = node.service.host
    if not write_hosts.claim(tx, host, instance):
        return Refusal(host, "Claim", "another build took the last of it")
    addresses: tuple[Address, ...] | Refusal = ()
    if instance.wants_network:
        networks = _networks(node, _asked(instance, action))
        addresses = addressing.give(tx, host, networks, instance, _wanted(action))
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
    """Those networks of the node, which has passed the filters; its first without a name."""
    if not names:
        return node.inventory.networks[:1]
    return tuple(network for name in names if (network := node.inventory.network(name)) is not None)
