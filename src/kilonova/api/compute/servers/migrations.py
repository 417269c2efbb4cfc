# SPDX-License-Identifier: Apache-2.0
"""GET /os-migrations, and /servers/{id}/migrations: what was moved or resized.

Source: Compute API reference, "Migrations" and "Server migrations".  All migrations here are resizes; the list of a
server holds those live migrations that are under way, of which there are none.
"""

from typing import Any

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import migrations
from kilonova.db.readers.migrations import Listed, MigrationQuery
from kilonova.objects.ids import FlavorId

_EQUALS = {
    "status": "status",
    "instance_uuid": "instance_id",
    "source_compute": "source_compute",
    "migration_type": "migration_type",
}
_OWNERS = {"user_id": "user_id", "project_id": "project_id"}
_SINCE = {"limit": 59, "marker": 59, "changes-since": 59, "changes-before": 66, **dict.fromkeys(_OWNERS, 80)}

ARGUMENTS = frozenset({"host", "hidden", *_EQUALS, *_SINCE})
PAGED = v2(59)


async def list_migrations(call: Call) -> Reply:
    """GET /os-migrations, newest first; page by page from 2.59."""
    asked = call.query
    for name, minor in _SINCE.items():
        if call.version >= PAGED and call.version < v2(minor) and asked.text(name) is not None:
            raise InvalidInput(f"Additional properties are not allowed ('{name}' was unexpected)", path=name)
    columns = {**_EQUALS, **(_OWNERS if call.version >= v2(80) else {})}
    query = MigrationQuery(
        equals={column: text for name, column in columns.items() if (text := asked.text(name)) is not None},
        host=asked.text("host"),
    )
    if call.version < PAGED:
        return json_reply({"migrations": [_shown(one, call) for one in await call.db.read(migrations.page, query)]})
    window = asked.page(call.deps.settings.max_limit)
    changes = asked.changes()
    query = MigrationQuery(
        query.equals,
        query.host,
        changed_since=changes.since,
        changed_before=changes.before,
        marker=window.marker,
        limit=window.limit,
    )
    found = await call.db.read(migrations.page, query)
    answer: dict[str, Any] = {"migrations": [_shown(one, call) for one in found]}
    if found and len(found) == window.limit:
        answer.update(call.next_page("migrations_links", found[-1].migration.uuid))
    return json_reply(answer)


async def list_of_server(call: Call) -> Reply:
    """GET /servers/{id}/migrations."""
    await find(call)
    return json_reply({"migrations": []})


async def show_of_server(call: Call) -> Reply:
    """GET /servers/{id}/migrations/{migration_id}."""
    instance = await find(call)
    wanted = call.params["migration_id"][:64]
    raise NotFound(f"In-progress live migration {wanted} is not found for server {instance.id}.")


def _shown(one: Listed, call: Call) -> dict[str, Any]:
    migration = one.migration
    shown: dict[str, Any] = {
        "id": one.number,
        "instance_uuid": migration.instance_id,
        "source_compute": migration.source_compute,
        "source_node": one.node,
        "dest_compute": migration.dest_compute,
        "dest_node": one.node,
        "dest_host": migration.dest_compute,
        "status": migration.status,
        "old_instance_type_id": _number(migration.old_flavor_id),
        "new_instance_type_id": _number(migration.new_flavor_id),
        "created_at": micros(migration.created_at),
        "updated_at": micros(migration.updated_at),
    }
    if call.version >= v2(23):
        shown["migration_type"] = migration.migration_type
    if call.version >= PAGED:
        shown["uuid"] = migration.uuid
    if call.version >= v2(80):
        shown |= {"user_id": migration.user_id, "project_id": migration.project_id}
    return shown


def _number(flavor_id: FlavorId) -> int | None:
    """A number, or nothing: the reference has no room for other ids."""
    return int(flavor_id) if flavor_id.isascii() and flavor_id.isdigit() else None


ROUTES = (
    Route("GET", "/servers/{server_id}/migrations", list_of_server, "os_compute_api:servers:migrations:index",
        DefaultPolicy.ADMIN, note="{migrations: []}: live ones only", min=v2(23)),
    Route("GET", "/servers/{server_id}/migrations/{migration_id}", show_of_server,
        "os_compute_api:servers:migrations:show", DefaultPolicy.ADMIN, note="404: live ones only", min=v2(23)),
    Route("GET", "/os-migrations", list_migrations, "os_compute_api:os-migrations:index", DefaultPolicy.ADMIN,
        note="{migrations: [...]}", query=ARGUMENTS, strict=PAGED),
)  # fmt: skip
