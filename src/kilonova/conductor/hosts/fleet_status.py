# SPDX-License-Identifier: Apache-2.0
"""The state of the fleet for its operators.  Each function is one read transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from kilonova.conductor import image_stores
from kilonova.conductor.hosts import declared_networks
from kilonova.db.readers import fleet as read_fleet
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Snapshot
from kilonova.objects.fleet import FleetHost, FleetStore
from kilonova.objects.ids import HostName
from kilonova.objects.image_store import LOST
from kilonova.rpcapi.api_to_conductor_fleet import HOSTS_PER_PAGE, FleetHosts, FleetStatus

RECENT = timedelta(hours=1)
"""A process that was refused under a host's name is reported for so long."""
MOST_PROBLEMS = 50


def status(snapshot: Snapshot, conductor: HostName, now: datetime) -> FleetStatus:
    """Everything except the hosts."""
    stores = tuple(image_stores.stores(snapshot, now))
    problems = (
        *contested(snapshot, now),
        *declared_networks.all_disagreements(read_hosts.list_nodes(snapshot)),
        *away(stores, now),
    )
    return FleetStatus(
        conductor,
        now,
        read_fleet.database_version(snapshot),
        tuple(read_fleet.processes(snapshot, now)),
        read_fleet.open_work(snapshot, now),
        read_fleet.outbox_state(snapshot, now),
        problems[:MOST_PROBLEMS],
        stores,
    )


def away(stores: Iterable[FleetStore], now: datetime) -> list[str]:
    """A sentence for each image store that does not report itself."""
    return [
        f"The image store at {one.url} has not reported since {one.seen_at:%Y-%m-%d %H:%MZ}; {one.sole} of its "
        f"{one.images} images have no other copy: start its API process, or give it up "
        f"(`kilonova fleet forget-store {one.store_id}`)."
        for one in stores
        if now - one.seen_at > LOST
    ]


def contested(snapshot: Snapshot, now: datetime, only: HostName | None = None) -> list[str]:
    """A sentence for each host (or for that host only) whose name two processes claim."""
    found: list[str] = []
    for host, conflict, claimant, at in read_fleet.claimed(snapshot, only):
        if conflict:
            found.append(conflict)
        elif claimant and at is not None and now - at < RECENT:
            found.append(
                f"Process {claimant} was refused as host '{host}' at {at:%Y-%m-%d %H:%MZ}, because another process has "
                f"that name: two machines need two names; after a replacement run `kilonova host adopt {host}`."
            )
    return found


def hosts(snapshot: Snapshot, after: str, heard: Mapping[HostName, datetime]) -> FleetHosts:
    """One page of hosts; `heard` is when the conductor received their last heartbeats."""
    found = read_fleet.hosts(snapshot, after, HOSTS_PER_PAGE + 1)
    page = tuple(_heard(one, heard) for one in found[:HOSTS_PER_PAGE])
    return FleetHosts(page, more=len(found) > HOSTS_PER_PAGE)


def _heard(host: FleetHost, heard: Mapping[HostName, datetime]) -> FleetHost:
    seen = host.process.last_seen
    return replace(host, process=replace(host.process, last_seen=max(seen, heard.get(host.process.host, seen))))
