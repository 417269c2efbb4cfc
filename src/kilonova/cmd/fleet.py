# SPDX-License-Identifier: Apache-2.0
"""`kilonova fleet`: the state of a fleet."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cmd.common import ConfigFiles
from kilonova.cmd.directory import AsJson, group, show_list
from kilonova.cmd.operator_call import ask_conductor, fleet_access

if TYPE_CHECKING:
    from kilonova.objects.fleet import FleetHost, FleetProcess, FleetStore, OpenWork
    from kilonova.rpc.servers import ServerFacts
    from kilonova.rpc.transport_url import Access
    from kilonova.rpcapi.api_to_conductor_fleet import FleetStatus
    from kilonova.rpcapi.caller import Caller

app = group("The state of a fleet. The commands connect to a conductor over the bus.")

PROCESSES = ("process", "host", "state", "version", "seen", "reason")
HOSTS = ("host", "state", "zone", "servers", "vcpus", "memory", "disk", "version", "seen", "reason")

STORES = ("image_store", "url", "state", "images", "only_here", "seen")


@app.callback()
def fleet() -> None:
    """The state of a fleet.  The commands connect to a conductor over the bus."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that the command shows."""

    status: "FleetStatus"
    hosts: "list[FleetHost]"
    servers: "list[ServerFacts]"


@app.command("status", short_help="Show processes, hosts, work and problems.")
def status(config_file: ConfigFiles = None, as_json: AsJson = False) -> None:
    """Show the processes and hosts of a fleet, its open work, its database and NATS servers, and what to correct.

    The command reads transport_url and transport_credentials from a configuration: a conductor's, an API process's, or
    one with the credentials of an operator (`kilonova bus credentials --role operator`).
    """
    access = fleet_access(
        config_file, "There is no transport_url: the one box is no fleet; `kilonova doctor` shows its state."
    )
    found = _read(access)
    print(json.dumps(_as_json(found), indent=2)) if as_json else _show(found)


@app.command("forget-store", short_help="Give up an image store that will not return.")
def forget_store(
    store: Annotated[str, typer.Argument(help="The id of the image store (see kilonova fleet status).")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
    config_file: ConfigFiles = None,
) -> None:
    """Give up an image store that will never return: its files count as lost.

    The command is refused while the store is live.  Images of which another store has a copy stay as they are, and get
    further copies.  An image without another copy keeps its record, and nobody can read it.  If the store returns, it
    reports its files again, and they are used as before.
    """
    from kilonova.rpcapi.api_to_conductor_fleet import FORGET_STORE, ForgetStore

    access = fleet_access(config_file, "There is no transport_url: the one box has one image store, which stays.")
    if not yes:
        typer.confirm(f"Give up image store {store}? Its files count as lost.", abort=True)
    done = ask_conductor(access, lambda caller: caller.call(FORGET_STORE, ForgetStore(store)))
    print(f"Image store {store} was given up. It had {done.images} images.")
    if done.sole:
        print(f"{done.sole} of them had no other copy, and cannot be read any more: upload them again.")


def _read(access: "Access") -> Fleet:
    from kilonova.base.clock import SystemClock
    from kilonova.rpc.servers import look
    from kilonova.rpcapi.api_to_conductor_fleet import READ_FLEET, READ_HOSTS, ReadFleet, ReadHosts

    async def call(caller: "Caller") -> Fleet:
        status = await caller.call(READ_FLEET, ReadFleet())
        page = await caller.call(READ_HOSTS, ReadHosts())
        hosts = list(page.hosts)
        while page.more:
            page = await caller.call(READ_HOSTS, ReadHosts(hosts[-1].process.host))
            hosts += page.hosts
        return Fleet(status, hosts, await look(access, "operator", SystemClock()))

    return ask_conductor(access, call)


def _as_json(found: Fleet) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    return {
        "conductor": found.status.conductor,
        "now": found.status.now.isoformat(),
        "database": asdict(found.status.database),
        "nats": [
            {"address": one.address, "version": one.version, "cluster": one.cluster, "reason": one.reason}
            for one in found.servers
        ],
        "processes": to_jsonable_python(found.status.processes),
        "hosts": to_jsonable_python(found.hosts),
        "image_stores": to_jsonable_python(found.status.stores),
        "open_actions": dict(zip(_ages(), found.status.work.ages, strict=True)),
        "oldest_unplaced_seconds": found.status.work.unplaced_s,
        "oldest_unfetched_seconds": found.status.work.unfetched_s,
        "oldest_unfetched_host": found.status.work.unfetched_host,
        "unpublished_notifications": found.status.outbox.waiting,
        "problems": _problems(found),
    }


def _ages() -> list[str]:
    from kilonova.objects.fleet import AGES, OLDER

    return [*(name for _, name in AGES), OLDER]


def _problems(found: Fleet) -> list[str]:
    from kilonova.objects.fleet import ProcessState

    processes = (*found.status.processes, *(host.process for host in found.hosts))
    problems = [
        f"{one.binary} on {one.host} is down{f' ({one.reason})' if one.reason else ''}."
        for one in processes
        if one.state is ProcessState.DOWN
    ]
    problems += [f"NATS at {one.address}: {one.reason}." for one in found.servers if one.reason]
    versions = sorted({one.version for one in processes if one.state is not ProcessState.DOWN})
    if len(versions) > 1:
        problems.append(f"Processes of code versions {', '.join(map(str, versions))} run: finish the upgrade.")
    return [*found.status.problems, *problems]


def _show(found: Fleet) -> None:
    now, status = found.status.now, found.status
    print(
        f"Conductor {status.conductor} replies, {now:%Y-%m-%d %H:%M:%S} UTC. "
        f"Database: {status.database.kind} {status.database.version}, schema {status.database.revision}."
    )
    for one in found.servers:
        cluster = f", cluster {one.cluster}" if one.cluster else ""
        print(f"NATS: {one.address}: {one.reason or f'version {one.version}{cluster}'}")
    show_list([_process_row(one, now) for one in status.processes], PROCESSES, as_json=False)
    show_list([_host_row(one, now) for one in found.hosts], HOSTS, as_json=False)
    if status.stores:
        show_list([_store_row(one, now) for one in status.stores], STORES, as_json=False)
    for line in _lines_of_work(status.work, status.outbox.waiting, status.outbox.oldest_s):
        print(line)
    problems = _problems(found)
    print("No problem is known." if not problems else "Problems:")
    for problem in problems:
        print(f"  {problem}")


def _process_row(one: "FleetProcess", now: datetime) -> dict[str, Any]:
    seen = f"{_span((now - one.last_seen).total_seconds())} ago"
    process = one.binary.removeprefix("kilonova-")
    facts = {"process": process, "host": one.host, "state": str(one.state), "version": one.version}
    return {**facts, "seen": seen, "reason": one.reason}


def _host_row(one: "FleetHost", now: datetime) -> dict[str, Any]:
    return {
        **_process_row(one.process, now),
        "zone": one.zone,
        "servers": one.servers,
        "vcpus": f"{one.vcpus_used}/{one.vcpus}",
        "memory": f"{one.memory_mib_used}/{one.memory_mib} MiB",
        "disk": f"{one.disk_gib_used}/{one.disk_gib} GiB",
    }


def _store_row(one: "FleetStore", now: datetime) -> dict[str, Any]:
    return {
        "image_store": one.store_id,
        "url": one.url,
        "state": "up" if one.live else "down",
        "images": one.images,
        "only_here": one.sole,
        "seen": f"{_span((now - one.seen_at).total_seconds())} ago",
    }


def _lines_of_work(work: "OpenWork", waiting: int, oldest_s: float) -> Iterable[str]:
    ages: Sequence[tuple[str, int]] = [(name, count) for name, count in zip(_ages(), work.ages, strict=True) if count]
    counts = "; ".join(f"{name}: {count}" for name, count in ages)
    yield f"Open actions: {sum(work.ages)}{f' ({counts})' if counts else ''}."
    if work.unplaced_s is not None:
        yield f"The oldest action without a host is {_span(work.unplaced_s)} old."
    if work.unfetched_s is not None:
        waits = _span(work.unfetched_s)
        yield f"The oldest action that its host has not fetched waits for {waits} (host {work.unfetched_host})."
    if waiting:
        yield f"Notifications that are not published: {waiting}, the oldest {_span(oldest_s)} old."


def _span(seconds: float) -> str:
    """A duration in its largest useful unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
