# SPDX-License-Identifier: Apache-2.0
"""/os-simple-tenant-usage: the usage of projects' servers in hours.

Source: Compute API reference, "Usage reports".  A server counts from its launch to its end, with its current
size; a server that never started does not count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NotRequired

from typing_extensions import TypedDict

from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Link, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.query import boolean_word
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros, micros_whole
from kilonova.api.http.views import OMIT, Member, View
from kilonova.base.errors import InvalidInput
from kilonova.db.readers.uptimes import Uptime, Window, within
from kilonova.db.transaction import Snapshot

ARGUMENTS = frozenset({"start", "end", "detailed", "limit", "marker"})
PAGED = v2(40)


class ServerUsage(TypedDict):
    """The usage of a server.  Memory in MiB, disk in GiB, `uptime` in seconds."""

    instance_id: str
    tenant_id: str
    name: str
    flavor: str
    vcpus: int
    memory_mb: int
    local_gb: int
    hours: float
    started_at: str | None
    ended_at: str | None
    state: str
    uptime: int


class ProjectUsage(TypedDict):
    """The usage of a project: each total is a sum of amount times hours."""

    tenant_id: str
    start: str
    stop: str
    total_hours: float
    total_local_gb_usage: float
    total_memory_mb_usage: float
    total_vcpus_usage: float
    server_usages: NotRequired[list[ServerUsage]]


class NoUsage(TypedDict):
    """The answer for a project without usage."""


def _link(name: str) -> Member[Page[ProjectUsage], Call]:
    return Member(name, list[Link], lambda page, _: page.next or OMIT, since=PAGED, optional=True)


_USAGES = View[Page[ProjectUsage], Call](
    "", Member("tenant_usages", list[ProjectUsage], lambda page, _: page.entries), _link("tenant_usages_links")
)
_USAGE = View[Page[ProjectUsage], Call](
    "",
    Member("tenant_usage", ProjectUsage | NoUsage, lambda page, _: page.entries[0] if page.entries else {}),
    _link("tenant_usage_links"),
)


async def list_usages(call: Call) -> Reply:
    """List the usage of projects: an entry for each project with usage."""
    report = await _report(call, None)
    usages = list(report.projects.values())
    if not boolean_word(call.query.text("detailed")):
        for usage in usages:
            usage.pop("server_usages", None)
    return _USAGES.reply(Page(usages, _next(call, report)), call)


async def show_usage(call: Call) -> Reply:
    """Show the usage of a project and of its servers; an empty object if there was none."""
    project_id = call.params["project_id"]
    report = await _report(call, project_id)
    usages = [report.projects[project_id]] if project_id in report.projects else []
    return _USAGE.reply(Page(usages, _next(call, report)), call)


@dataclass(frozen=True, slots=True)
class _Report:
    """Usages by project; `more` is the id of the last server of a full page."""

    projects: dict[str, ProjectUsage]
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


def _next(call: Call, report: _Report) -> list[Link] | None:
    return None if report.more is None else call.links_after(report.more)


def _sum(snapshot: Snapshot, window: Window, now: datetime) -> _Report:
    """Runs in a reader thread, because there can be many servers."""
    projects: dict[str, ProjectUsage] = {}
    servers = list(within(snapshot, window))
    for server in servers:
        usage = projects.setdefault(server.project_id, _empty(server.project_id, window))
        _add(usage, _server_usage(server, window, now))
    is_full = bool(servers) and len(servers) == window.limit
    return _Report(projects, servers[-1].id if is_full else None)


def _empty(project_id: str, window: Window) -> ProjectUsage:
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


def _server_usage(server: Uptime, window: Window, now: datetime) -> ServerUsage:
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


def _add(usage: ProjectUsage, server: ServerUsage) -> None:
    hours = server["hours"]
    usage["total_hours"] += hours
    usage["total_local_gb_usage"] += server["local_gb"] * hours
    usage["total_memory_mb_usage"] += server["memory_mb"] * hours
    usage["total_vcpus_usage"] += server["vcpus"] * hours
    usage.setdefault("server_usages", []).append(server)


ROUTES = (
    Route("GET", "/os-simple-tenant-usage", list_usages, "os_compute_api:os-simple-tenant-usage:list",
        DefaultPolicy.ADMIN, reply=_USAGES, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-simple-tenant-usage/{project_id}", show_usage, "os_compute_api:os-simple-tenant-usage:show",
        DefaultPolicy.READER, reply=_USAGE, query=ARGUMENTS, strict=STRICT),
)  # fmt: skip
