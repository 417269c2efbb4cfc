# SPDX-License-Identifier: Apache-2.0
"""Placing an instance that has no host: choose one and claim it in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from kilonova.base.clock import Random
from kilonova.conductor import server_groups
from kilonova.conductor.engine.legs import fail
from kilonova.conductor.placement import addressing, waiting
from kilonova.conductor.placement.waiting import Patience, Wait
from kilonova.config.filter_scheduler import DEFAULTS, FilterSchedulerSettings
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import work as read_work
from kilonova.db.readers.candidates import Wanted
from kilonova.db.transaction import Transaction
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import migrations as write_migrations
from kilonova.db.writers import placements as write_placements
from kilonova.objects.action import Action
from kilonova.objects.action_params import CreateParams, EvacuateParams, UnshelveParams
from kilonova.objects.hardware import needs
from kilonova.objects.ids import ActionId, HostName, InstanceId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.leg import tried
from kilonova.objects.placement import Choice, Refusal, recorded
from kilonova.objects.service import ComputeNode, HostNetwork
from kilonova.objects.states import TaskState
from kilonova.rpcapi.api_to_conductor import CreateServers
from kilonova.scheduler.choose import choose, explain
from kilonova.scheduler.request import PlacementRequest


@dataclass(frozen=True, slots=True)
class Look:
    """The operator's settings, and the nodes as a read before the transaction has shown them (None: the transaction
    reads them).  Transactions that read all nodes and each claim one of them exclude each other in PostgreSQL; the
    claim is checked when it is made, so that an older view does no harm.  `left_out` other nodes were not read."""

    rules: FilterSchedulerSettings = DEFAULTS
    nodes: Sequence[ComputeNode] | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ReadAll:
    """None of the nodes that were read passes the filters, and there are others: read all of them."""


def wanted_of(request: CreateServers, instance: Instance) -> Wanted | None:
    """What the database can compare for a new instance.  None in a server group, or with a server that it is to be
    beside: then the best host may be any."""
    if instance.server_group_id is not None or request.same_host:
        return None
    flavor, zone = instance.flavor, instance.requested_zone or instance.availability_zone
    return Wanted(flavor.vcpus, flavor.memory_mib, write_hosts.disk_gib(instance), zone, request.host)


def place(
    tx: Transaction,
    action_id: ActionId,
    random: Random,
    now: datetime,
    patience: Patience | None = None,
    look: Look = Look(),
) -> HostName | Wait | ReadAll | None:
    """Choose a host for the action's instance, claim it and give the action to it.  Returns the host to wake.

    A candidate that cannot take the instance any more is passed over.  If `look` has a part of the nodes and no
    candidate among them, nothing changes: the result is ReadAll.  Without a host the nodes are read again.  Then
    the action waits for a host that is returning, for at most `patience` (None: it does not wait), or it ends as failed
    and the instance's fault contains the refusal of each filter.  What was considered is recorded
    (db/readers/placements).  An action that is no longer open, or has a host already, does not change.
    """
    work = read_work.to_place(tx, action_id)
    action = work.action
    if work.is_deleted or action.host is not None or not read_actions.is_open(action):
        return None
    attempt = _Attempt(action, work.instance, now, work.project_number)
    where = _place_of(attempt.instance, action)
    wanted = _request(tx, attempt.instance, where, look.rules)
    if look.nodes is not None:
        choice = choose(wanted, look.nodes, random)
        if look.left_out and not choice.hosts:
            return ReadAll()
        if host := _try(tx, attempt, where, choice, look):
            return host
    nodes = read_hosts.nodes_to_place(tx, now)
    choice = choose(wanted, nodes, random)
    if host := _try(tx, attempt, where, choice, replace(look, nodes=nodes, left_out=0)):
        return host
    patience = waiting.left(tx, action, patience or Patience())
    wait = waiting.coming(tx, wanted, {node.service.host: node for node in nodes}, patience, now)
    if wait is not None:
        waiting.begin(tx, action, wait, now)
        return wait
    waiting.end(tx, action, now, found=False)
    write_placements.insert(tx, action, recorded(choice, now, chosen=None, lost=attempt.lost))
    fail(tx, action, explain((*choice.refusals, *attempt.lost)), now)
    return None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A placement in progress.  `project_number`: None before the project's first server with a network.  `lost`: the
    candidates that could not take the instance."""

    action: Action
    instance: Instance
    now: datetime
    project_number: int | None = None
    lost: list[Refusal] = field(default_factory=list[Refusal])


def _try(tx: Transaction, attempt: _Attempt, where: "_Place", choice: Choice, look: Look) -> HostName | None:
    """Give the action to the first candidate that can take the instance, and record that."""
    by_host = {node.service.host: node for node in look.nodes or ()}
    attempt.lost.clear()
    for host in choice.hosts:
        refusal = _take(tx, attempt, where, by_host[host])
        if refusal is None:
            waiting.end(tx, attempt.action, attempt.now, found=True)
            record = recorded(choice, attempt.now, chosen=host, lost=attempt.lost, left_out=look.left_out)
            write_placements.insert(tx, attempt.action, record)
            return host
        attempt.lost.append(refusal)
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
    tried: frozenset[HostName] = frozenset()


def _place_of(instance: Instance, action: Action) -> _Place:
    params = action.params
    if not isinstance(params, CreateParams):  # an offloaded instance returns to the networks that it was on
        zone = params.availability_zone if isinstance(params, UnshelveParams) else None
        networks = tuple(address.network for address in instance.addresses)
        if isinstance(params, EvacuateParams):
            return _Place(instance.requested_zone, networks, host=params.host, tried=frozenset(params.excluded))
        return _Place(zone or instance.requested_zone, networks)
    pairs = zip(params.networks, params.fixed_ips, strict=False)
    return _Place(
        # A record of an older API has the requested zone of a new server as its own zone.
        zone=instance.requested_zone or instance.availability_zone,
        networks=params.networks,
        addresses={name: address for name, address in pairs if address},
        host=params.host,
        same_host=params.same_host,
        different_host=params.different_host,
        tried=frozenset(tried(action.legs)),
    )


def _hosts_of(tx: Transaction, ids: tuple[InstanceId, ...]) -> frozenset[HostName] | None:
    """The hosts of these servers; None if there are no servers."""
    if not ids:
        return None
    known = read_instances.get_all_known(tx, ids)
    return frozenset(one.host for one, is_deleted in known if one.host is not None and not is_deleted)


def _request(tx: Transaction, instance: Instance, place: _Place, rules: FilterSchedulerSettings) -> PlacementRequest:
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
        tried_hosts=place.tried,
        project_id=instance.project_id,
        flavor_name=instance.flavor.name,
        image_properties=instance.image.properties,
        rules=rules,
    )


def _take(tx: Transaction, attempt: _Attempt, place: _Place, node: ComputeNode) -> Refusal | None:
    host, instance, action = node.service.host, attempt.instance, attempt.action
    if not write_hosts.claim_in_service(tx, host, instance):
        return Refusal(host, "Claim", "it went out of service, or another build took the last of it")
    addresses: tuple[Address, ...] | Refusal = ()
    if instance.wants_network:
        networks = _networks(node, place.networks)
        addresses = addressing.give(tx, host, networks, instance, place.addresses, attempt.project_number)
    if isinstance(addresses, Refusal):
        write_hosts.release(tx, host, instance)
        return addresses
    write_instances.update(
        tx,
        instance.id,
        attempt.now,
        host=host,
        node=node.inventory.node,
        availability_zone=node.service.zone,
        addresses=addresses,
        task_state=TaskState.REBUILDING if isinstance(action.params, EvacuateParams) else TaskState.SPAWNING,
    )
    write_actions.put_legs(tx, action.id, action.with_leg(replace(action.leg, host=host)).legs, attempt.now)
    if isinstance(action.params, EvacuateParams):
        write_migrations.choose_destination(tx, action.id, host)
    return None


def _networks(node: ComputeNode, names: tuple[str, ...]) -> tuple[HostNetwork, ...]:
    """These networks of the node, which has passed the filters; without names, its first network."""
    if not names:
        return node.inventory.networks[:1]
    return tuple(network for name in names if (network := node.inventory.network(name)) is not None)
