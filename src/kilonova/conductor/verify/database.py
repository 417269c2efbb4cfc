# SPDX-License-Identifier: Apache-2.0
"""The tables of the database compared with each other: each number and each reservation follows from the servers.

One snapshot shows all of it at one commit, so that nothing here is in progress: a difference is a defect.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple
from ipaddress import ip_address

from kilonova.conductor.placement.addressing import reservations_of
from kilonova.db.readers.holdings import Assigned, Holdings, holdings
from kilonova.db.transaction import Snapshot, Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import quotas as write_quotas
from kilonova.db.writers.hosts import Resources
from kilonova.db.writers.instances import Reservation
from kilonova.objects.difference import Difference, difference
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.quota import Usage, usage_of

ROUNDS = 2
"""An address can be reserved for its server after it was released from another one."""

Repair = Callable[[Transaction], object]
Findings = Iterator[tuple[Difference, Repair | None]]
"""Differences, each with its repair."""


def differences(snapshot: Snapshot) -> tuple[Difference, ...]:
    """One read transaction: all differences."""
    return tuple(found for found, _ in judged(holdings(snapshot)))


def mend(tx: Transaction) -> tuple[Difference, ...]:
    """One transaction: judge again, and repair each difference that has a repair.  Returns what it repaired.  A repeat
    changes nothing."""
    mended: list[Difference] = []
    for _ in range(ROUNDS):
        for found, repair in list(judged(holdings(tx))):
            if repair is not None:
                repair(tx)
                mended.append(found)
    return tuple(mended)


def judged(held: Holdings) -> Findings:
    """All differences of what was read.  Pure."""
    yield from _usages(held)
    yield from _claims(held)
    yield from _addresses(held)
    yield from _servers(held)


def _usages(held: Holdings) -> Findings:
    sums: dict[str, Usage] = defaultdict(Usage)
    for one in held.living:
        sums[one.project_id] += usage_of(one)
    for project in sorted({*sums, *held.usages}):
        used, right = held.usages.get(project, Usage()), sums[project]
        if used != right:
            found = f"Project {project} uses {_words(asdict(right))}; recorded are {_words(asdict(used))}."
            yield difference("quota-usage", project, found), _moved(project, right - used)


def _moved(project: str, by: Usage) -> Repair:
    return lambda tx: write_quotas.move(tx, project, by)


def _claims(held: Holdings) -> Findings:
    here: dict[HostName, list[Resources]] = defaultdict(list)
    for one in (*held.living, *held.leaving):
        if one.host is not None:
            here[one.host].append(write_hosts.claims(one))
    for node in held.nodes:
        host, claims = node.service.host, here[node.service.host]
        total = Resources(*(sum(amounts) for amounts in zip(*map(astuple, claims), strict=True))) if claims else _NONE
        used = Resources(node.vcpus_used, node.memory_mib_used, node.disk_gib_used)
        if (used, node.running_vms) != (total, len(claims)):
            right = _words({"servers": len(claims), **asdict(total)})
            recorded = _words({"servers": node.running_vms, **asdict(used)})
            found = f"The servers of host {host} claim {right}; recorded are {recorded}."
            yield difference("claim", host, found, host), _recorded(host, total, len(claims))


_NONE = Resources(0, 0, 0)


def _recorded(host: HostName, total: Resources, servers: int) -> Repair:
    return lambda tx: write_hosts.set_claims(tx, host, total, servers)


def _addresses(held: Holdings) -> Findings:
    holding = {one.id: one for one in (*held.living, *held.leaving)}
    assigned: dict[InstanceId, list[Assigned]] = defaultdict(list)
    for row in held.addresses:
        assigned[row.instance_id].append(row)
    for instance_id, rows in sorted(assigned.items()):
        if instance_id not in held.busy:
            yield from _kept(holding.get(instance_id), rows)
    owners = _owners(held)
    for place, (wanted, names) in sorted(owners.items(), key=lambda item: item[0]):
        if len(names) > 1:
            found = f"Address {ip_address(place[2])} of {place[1]} belongs to the servers {', '.join(sorted(names))}."
            yield difference("address-double", str(ip_address(place[2])), found, repaired=False), None
            continue
        (name,) = names
        if name not in held.busy and _key(wanted) not in {_key(row) for row in assigned.get(name, ())}:
            yield _missing(held, wanted, name)


def _kept(instance: Instance | None, rows: Sequence[Assigned]) -> Findings:
    has = (
        {value for address in instance.addresses for value in _values(address)} if instance is not None else set[int]()
    )
    for row in rows:
        if row.value not in has:
            why = "does not have it" if instance is not None else "is deleted"
            at = f" on host {row.host}" if row.host else ""
            found = (
                f"Address {ip_address(row.value)} of {row.network}{at} is reserved for {row.instance_id}, which {why}."
            )
            subject = f"{row.instance_id} {ip_address(row.value)}"
            yield difference("address-kept", subject, found, row.host), _released(row)


def _values(address: Address) -> Iterator[int]:
    yield int(ip_address(address.address))
    if address.floating:
        yield int(ip_address(address.floating))


def _released(row: Assigned) -> Repair:
    return lambda tx: write_instances.release(tx, Reservation(row.host, row.network, row.value))


Place = tuple[HostName, str, int]


def _owners(held: Holdings) -> Mapping[Place, tuple[Reservation, set[InstanceId]]]:
    """The servers that have an address, by the place where it is unique.  Addresses of networks that a host does not
    have any more have no place."""
    networks = {node.service.host: node.inventory for node in held.nodes}
    found: dict[Place, tuple[Reservation, set[InstanceId]]] = {}
    for one in held.living:
        inventory = networks.get(one.host) if one.host is not None else None
        for address in one.addresses if inventory is not None else ():
            network = inventory.network(address.network) if inventory is not None else None
            if one.host is not None and network is not None:
                for wanted in reservations_of(one.host, network, address):
                    found.setdefault(_key(wanted), (wanted, set()))[1].add(one.id)
    return found


def _key(reserved: Reservation | Assigned) -> Place:
    return reserved.host, reserved.network, reserved.value


def _missing(held: Holdings, wanted: Reservation, name: InstanceId) -> tuple[Difference, Repair | None]:
    address = str(ip_address(wanted.value))
    other = next((row.instance_id for row in held.addresses if _key(row) == _key(wanted)), None)
    reserved = f"is reserved for {other}" if other is not None else "is not reserved"
    found = f"Address {address} of server {name} {reserved}."
    repair: Repair = lambda tx: write_instances.reserve(tx, wanted, name)  # noqa: E731
    one = difference("address-missing", f"{name} {address}", found, wanted.host, repaired=other is None)
    return one, repair if other is None else None


def _servers(held: Holdings) -> Findings:
    for one in sorted(held.living, key=lambda one: one.id):
        if one.task_state is not None and one.id not in held.busy:
            found = f"Server {one.id} shows the task {one.task_state}, and no action is open."
            yield difference("task-kept", one.id, found), None
        if one.host is not None and one.host not in held.registered:
            found = f"Server {one.id} is on host {one.host}, which is not registered."
            yield difference("host-unknown", one.id, found, one.host), None


def _words(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{amount} {name.replace('_', ' ')}" for name, amount in amounts.items())
