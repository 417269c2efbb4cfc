# SPDX-License-Identifier: Apache-2.0
"""GET /servers and /servers/detail: filters, sorting, pages.

Source: Compute API reference, "List Servers".  Callers who are not administrators may use
fewer filters; the others are ignored.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kilonova.api.compute.servers.resource import informed, viewer_of
from kilonova.api.compute.servers.view import BRIEF, DETAIL, Viewer
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.query import Query, boolean_word
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import View, paged
from kilonova.base.errors import Forbidden, InvalidInput
from kilonova.db.readers.servers import ServerQuery, TagFilter, page
from kilonova.db.transaction import Snapshot
from kilonova.objects.instance import Instance
from kilonova.objects.states import VmState
from kilonova.objects.statuses import StatusMeaning, meaning_of

BRIEF_PAGE = paged("servers", BRIEF)
DETAIL_PAGE = paged("servers", DETAIL)

_NOVA_STATUSES = frozenset({"MIGRATING", "PASSWORD", "SOFT_DELETED"})
# Statuses that servers never have in Kilonova: a filter by them is valid and finds nothing.

SORT_KEYS: Mapping[str, str | None] = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "launched_at": "launched_at",
    "terminated_at": "terminated_at",
    "uuid": "id",
    "display_name": "name",
    "display_description": "description",
    "hostname": "hostname",
    "availability_zone": "availability_zone",
    "key_name": "key_name",
    "vm_state": "vm_state",
    "task_state": "task_state",
    "power_state": "power_state",
    "project_id": "project_id",
    "user_id": "user_id",
    "launch_index": "launch_index",
    "config_drive": "config_drive",
    "image_ref": "image_id",
    "instance_type_id": "flavor_id",
    "host": "host",
    "node": "node",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
    "auto_disk_config": "disk_config",
    "locked": "locked_by",
    "locked_by": "locked_by",
    # The same for every server here: sorting by them has no effect.
    "kernel_id": None,
    "progress": None,
    "ramdisk_id": None,
    "root_device_name": None,
}
_SORT_KEYS_OF_ADMINS = frozenset({"host", "node"})
_UNSORTED = frozenset(
    {"architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at"}
    | {"disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb"}
    | {"os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode"}
)
"""Former sort keys of Nova: accepted without effect below STRICT."""

_EQUALS: Mapping[str, str] = {
    "user_id": "user_id",
    "availability_zone": "availability_zone",
    "key_name": "key_name",
    "vm_state": "vm_state",
    "task_state": "task_state",
}
_EQUALS_OF_ADMINS: Mapping[str, str] = {
    "host": "host",
    "node": "node",
    "uuid": "id",
    "hostname": "hostname",
    "description": "description",
    "display_description": "description",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
    "locked_by": "locked_by",
}
_OF_OTHER_TABLES = frozenset(
    {"block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices"}
)
"""Arguments that are not filters: ignored for callers with fewer filters, an error for administrators."""
_TIMES = ("created_at", "launched_at", "terminated_at")
FOR_ALL = v2(83)
"""From this microversion on, most filters are for all callers."""
HOST_NAME_FOR_ALL = v2(90)

ARGUMENTS = frozenset(
    {"limit", "marker", "sort_key", "sort_dir", "name", "status", "image", "flavor", "ip", "ip6", "deleted"}
    | {"changes-since", "changes-before", "all_tenants", "tenant_id", "project_id", "reservation_id"}
    | {"tags", "tags-any", "not-tags", "not-tags-any", "access_ip_v4", "access_ip_v6", "locked", "power_state"}
    | {"launch_index", "config_drive", "display_name", "auto_disk_config", "created_at", "launched_at", "terminated_at"}
    | {"progress", "root_device_name", "kernel_id", "ramdisk_id", "soft_deleted", "image_ref"}
    | _OF_OTHER_TABLES
    | set(_EQUALS)
    | set(_EQUALS_OF_ADMINS)
)
"""Every query argument of the API reference, also those without an effect here."""


async def list_brief(call: Call) -> Reply:
    """List servers."""
    return await _list(call, BRIEF_PAGE)


async def list_detail(call: Call) -> Reply:
    """List servers with details."""
    return await _list(call, DETAIL_PAGE)


async def _list(call: Call, view: View[Page[Instance], Viewer]) -> Reply:
    return await call.db.read(_listed, _query(call), view, viewer_of(call), call)


def _listed(
    snapshot: Snapshot, query: ServerQuery, view: View[Page[Instance], Viewer], viewer: Viewer, call: Call
) -> Reply:
    """Read and encoded in one thread of the database, off the event loop."""
    found = page(snapshot, query)
    viewer = viewer if view is BRIEF_PAGE else informed(snapshot, viewer, found)
    return view.reply(call.page(found, query.limit, lambda instance: instance.id), viewer)


def _query(call: Call) -> ServerQuery:
    arguments, admin = call.query, call.context.is_admin
    window = arguments.page(call.deps.settings.max_limit)
    changes = arguments.changes(before=call.version >= v2(66))
    query = ServerQuery(
        project_id=_project(call),
        statuses=_statuses(call),
        image_id=arguments.text("image") or (arguments.text("image_ref") if admin else None),
        flavor_id=arguments.text("flavor"),
        name=arguments.text("name") or arguments.text("display_name"),
        ip=arguments.text("ip"),
        changed_since=changes.since,
        changed_before=changes.before,
        tags=_tags(arguments) if call.version >= v2(26) else TagFilter(),
        equals=_equals(call),
        within=_within(call),
        locked=arguments.boolean("locked") if call.version >= v2(73) else None,
        nothing=_is_of_no_server(call),
        sort=_sort(call),
        marker=window.marker,
        limit=window.limit,
    )
    return replace(query, deleted=_deleted(call, query))


def _project(call: Call) -> str | None:
    """The project whose servers are listed.  Other projects need the permission and the argument all_tenants; without
    it, as in the reference, no other project can be named."""
    arguments = call.query
    if not _flag(arguments, "all_tenants"):
        return call.context.project_id
    call.permit(f"os_compute_api:servers:{'detail' if call.path.endswith('/detail') else 'index'}:get_all_tenants")
    return arguments.text("project_id") or arguments.text("tenant_id")


def _flag(arguments: Query, name: str) -> bool:
    text = arguments.text(name)
    return text is not None and (text == "" or bool(arguments.boolean(name)))


def _deleted(call: Call, query: ServerQuery) -> bool | None:
    """Deleted servers are for administrators, and for callers who list changes since a time."""
    changed = False if query.changed_since is None and query.changed_before is None else None
    by_status = query.statuses is not None and any(VmState.DELETED in s.vm_states for s in query.statuses)
    if not call.context.is_admin:
        if by_status:
            raise Forbidden("Only administrators may list deleted instances")
        return changed
    text = call.query.text("deleted")
    if text is None:
        return True if by_status else changed
    return boolean_word(text) or False


def _statuses(call: Call) -> tuple[StatusMeaning, ...] | None:
    words = [word.upper() for word in call.query.all("status")]
    if not words:
        return None
    known = tuple(meaning for word in words if (meaning := meaning_of(word)) is not None)
    if not known and not _NOVA_STATUSES.intersection(words) and call.version >= v2(38):
        raise InvalidInput(f"Invalid filter status: {words[0][:64]}", path="status")
    return known


def _tags(arguments: Query) -> TagFilter:
    def named(name: str) -> frozenset[str]:
        return frozenset(tag for text in arguments.all(name) for tag in text.split(",") if tag)

    return TagFilter(named("tags"), named("tags-any"), named("not-tags"), named("not-tags-any"))


def _has_filters_of_all(call: Call) -> bool:
    return call.context.is_admin or call.version >= FOR_ALL


_MOST = (1 << 15) - 1
"""The largest number of the smallest column; no server has it."""


def _equals(call: Call) -> dict[str, Any]:
    arguments, admin = call.query, call.context.is_admin
    columns = {"reservation_id": "reservation_id"}
    numbers: tuple[str, ...] = ()
    equals: dict[str, Any] = {}
    if _has_filters_of_all(call):
        columns |= _EQUALS
        numbers = ("power_state",)
        if (flag := arguments.boolean("config_drive")) is not None:
            equals["config_drive"] = flag
    if call.version >= HOST_NAME_FOR_ALL:
        columns["hostname"] = "hostname"
    if admin:
        _refuse_other_tables(arguments)
        columns |= _EQUALS_OF_ADMINS
        numbers = ("power_state", "launch_index")
        if (flag := arguments.boolean("auto_disk_config")) is not None:
            equals["disk_config"] = "AUTO" if flag else "MANUAL"
    for argument, column in columns.items():
        if (text := arguments.text(argument)) is not None:
            equals[column] = text
    for argument in numbers:
        if (number := arguments.integer(argument)) is not None:
            equals[argument] = min(number, _MOST)
    return equals


def _refuse_other_tables(arguments: Query) -> None:
    for name in arguments.names():
        if name in _OF_OTHER_TABLES or name.startswith("_"):
            raise InvalidInput(f"Invalid filter field: {name[:64]}.", path=name[:64])


def _within(call: Call) -> dict[str, datetime]:
    """Filters by time; times are shown, and so compared, in whole seconds."""
    if not _has_filters_of_all(call):
        return {}
    return {name: at.replace(microsecond=0) for name in _TIMES if (at := call.query.time(name)) is not None}


def _is_of_no_server(call: Call) -> bool:
    """Whether a filter matches no server: every server has progress 0, and none has an IPv6 address."""
    arguments = call.query
    progress = arguments.integer("progress") if _has_filters_of_all(call) else None
    by_ip6 = arguments.text("ip6") is not None and (call.context.is_admin or call.version >= v2(5))
    return bool(progress) or by_ip6


def _sort(call: Call) -> tuple[tuple[str, bool], ...]:
    """The sort columns; created_at if only a direction is given."""
    directions = call.query.all("sort_dir")
    keys = call.query.all("sort_key") or (["created_at"] if directions else [])
    if len(directions) > len(keys):
        raise InvalidInput("There are more sort directions than sort keys.", path="sort_dir")
    sort: list[tuple[str, bool]] = []
    for at, key in enumerate(keys):
        column = _column(key, call)
        direction = directions[at] if at < len(directions) else directions[0] if directions else "desc"
        if direction not in ("asc", "desc"):
            raise InvalidInput(
                f"Invalid input for query parameters sort_dir. Value: {direction[:64]}.", path="sort_dir"
            )
        if column is not None:
            sort.append((column, direction == "desc"))
    return tuple(sort)


def _column(key: str, call: Call) -> str | None:
    """The column of a sort key; None for a key without an effect."""
    if key in _SORT_KEYS_OF_ADMINS and not call.context.is_admin:
        raise Forbidden(f"Only administrators can sort servers by {key}")
    if key == "locked" and call.version < v2(73):
        return None
    if key in SORT_KEYS:
        return SORT_KEYS[key]
    if key in _UNSORTED and call.version < STRICT:
        return None
    raise InvalidInput(f"Invalid input for query parameters sort_key. Value: {key[:64]}.", path="sort_key")


ROUTES = (
    Route("GET", "/servers", list_brief, "os_compute_api:servers:index", DefaultPolicy.READER,
        reply=BRIEF_PAGE, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/servers/detail", list_detail, "os_compute_api:servers:detail", DefaultPolicy.READER,
        reply=DETAIL_PAGE, query=ARGUMENTS, strict=STRICT),
)  # fmt: skip
