# SPDX-License-Identifier: Apache-2.0
"""/os-simple-tenant-usage: what projects' servers have used, by the hour.

Source: Compute API reference, "Usage reports".  A server counts from its launch to its end with the size that it has
now; one that never came up does not count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.query import boolean_word
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros, micros_whole
from kilonova.base.errors import InvalidInput
from kilonova.db.readers.uptimes import Uptime, Window, within
from kilonova.db.transaction import Snapshot

ARGUMENTS = frozenset({"start", "end", "detailed", "limit", "marker"})
PAGED = v2(40)


async def list_usages(call: Call) -> Reply:
    """GET /os-simple-tenant-usage: one entry for each project that has used anything."""
    report = await _report(call, None)
    usages = list(report.projects.values())
    if not boolean_word(call.query.text("detailed")):
        for usage in usages:
            del usage["server_usages"]
    return json_reply({"tenant_usages": usages, **_next(call, "tenant_usages_links", report)})


async def show_usage(call: Call) -> Reply:
    """GET /os-simple-tenant-usage/{project}: with its servers; empty if it has used nothing."""
    project_id = call.params["project_id"]
    report = await _report(call, project_id)
    usage = report.projects.get(project_id, {})
    return json_reply({"tenant_usage": usage, **_next(call, "tenant_usage_links", report)})


@dataclass(frozen=True, slots=True)
class _Report:
    """Usages by project; `more` is the last server of a full page."""

    projects: dict[str, dict[str, Any]]
    more: str | None


async def _report(call: Call, project_id: str | None) -> _Report:
    now = call.deps.clock.now()
    start, end = call.query.time("start"), call.query.time("end")
    window = Window(start or now, min(end or now, now), project_id)
    if (start, end) != (None, None) and window.start >= (end or now):
        raise InvalidInput("Invalid start time. The start time cannot occur after the end time.", path="start")
    if call.version >= PAGED:
        page = call.query.page(call.deps.settings.max_limit)
        window = Window(window.start, window.end, project_id, page.marker, page.limit)
    return await call.db.read(_sum, window, now)


def _next(call: Call, name: str, report: _Report) -> dict[str, Any]:
    return {} if report.more is None else call.next_page(name, report.more)


def _sum(snapshot: Snapshot, window: Window, now: datetime) -> _Report:
    """Off the loop: servers may be many."""
    projects: dict[str, dict[str, Any]] = {}
    servers = list(within(snapshot, window))
    for server in servers:
        usage = projects.setdefault(server.project_id, _empty(server.project_id, window))
        _add(usage, _server_usage(server, window, now))
    is_full = bool(servers) and len(servers) == window.limit
    return _Report(projects, servers[-1].id if is_full else None)


def _empty(project_id: str, window: Window) -> dict[str, Any]:
    return {
        "tenant_id": project_id,
        "start": micros_whole(window.start),
        "stop": micros_whole(window.end),
        "total_hours": 0.0,
        "total_local_gb_usage": 0.0,
        "total_memory_mb_usage": 0.0,
        "total_vcpus_usage": 0.0,
        "server_usages": [],
    }


def _server_usage(server: Uptime, window: Window, now: datetime) -> dict[str, Any]:
    ended, flavor = server.terminated_at, server.flavor
    counted = max(timedelta(), min(ended or window.end, window.end) - max(server.launched_at, window.start))
    return {
        "instance_id": server.id,
        "tenant_id": server.project_id,
        "name": server.name,
        "flavor": flavor.name,
        "vcpus": flavor.vcpus,
        "memory_mb": flavor.memory_mib,
        "local_gb": flavor.disk_gib + flavor.ephemeral_gib,
        "hours": counted.total_seconds() / 3600,
        "started_at": micros(server.launched_at),
        "ended_at": micros(ended),
        "state": server.vm_state if ended is None else "terminated",
        "uptime": int(((ended or now) - server.launched_at).total_seconds()),
    }


def _add(usage: dict[str, Any], server: dict[str, Any]) -> None:
    hours = server["hours"]
    usage["total_hours"] += hours
    for name in ("local_gb", "memory_mb", "vcpus"):
        usage[f"total_{name}_usage"] += server[name] * hours
    usage["server_usages"].append(server)


ROUTES = (
    Route("GET", "/os-simple-tenant-usage", list_usages, "os_compute_api:os-simple-tenant-usage:list",
        DefaultPolicy.ADMIN, note="{tenant_usages: [...]}", query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-simple-tenant-usage/{project_id}", show_usage, "os_compute_api:os-simple-tenant-usage:show",
        DefaultPolicy.READER, note="{tenant_usage}; {} if there was none", query=ARGUMENTS, strict=STRICT),
)  # fmt: skip
