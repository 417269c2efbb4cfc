# SPDX-License-Identifier: Apache-2.0
"""GET /os-migrations and /servers/{id}/migrations: resizes and evacuations, shown as migrations.

Source: Compute API reference, "Migrations" and "Server migrations".  The list of one server shows
live migrations in progress, and there are none.
"""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import EmptyList, Member, View, paged
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import migrations
from kilonova.db.readers.migrations import Listed, MigrationQuery
from kilonova.objects.ids import FlavorId
from kilonova.objects.instance import Instance
from kilonova.objects.migration import EVACUATION

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


def _number(flavor_id: FlavorId) -> int | None:
    """The id as a number, or None: the reference allows numbers only."""
    return int(flavor_id) if flavor_id.isascii() and flavor_id.isdigit() else None


def _is_evacuation(listed: Listed) -> bool:
    """Whether the source is a host that was given up."""
    return listed.migration.migration_type == EVACUATION


MIGRATION = View[Listed, Call](
    "Migration",
    Member("id", int, lambda one, _: one.number),
    Member("instance_uuid", str, lambda one, _: one.migration.instance_id),
    Member("source_compute", str | None, lambda one, _: one.migration.source_compute),
    Member("source_node", str | None, lambda one, _: None if _is_evacuation(one) else one.node),
    Member("dest_compute", str | None, lambda one, _: one.migration.dest_compute or None),
    Member("dest_node", str | None, lambda one, _: one.node),
    Member("dest_host", str | None, lambda one, _: one.migration.dest_compute or None),
    Member("status", str, lambda one, _: one.migration.status),
    Member("old_instance_type_id", int | None, lambda one, _: _number(one.migration.old_flavor_id)),
    Member("new_instance_type_id", int | None, lambda one, _: _number(one.migration.new_flavor_id)),
    Member("created_at", str, lambda one, _: micros(one.migration.created_at)),
    Member("updated_at", str | None, lambda one, _: micros(one.migration.updated_at)),
    Member("migration_type", str, lambda one, _: one.migration.migration_type, since=v2(23)),
    Member("uuid", str, lambda one, _: one.migration.uuid, since=PAGED),
    Member("user_id", str, lambda one, _: one.migration.user_id, since=v2(80)),
    Member("project_id", str, lambda one, _: one.migration.project_id, since=v2(80)),
)
MIGRATIONS = paged("migrations", MIGRATION, since=PAGED)
LIVE_MIGRATIONS = View[Instance, Call]("", Member("migrations", EmptyList, lambda _server, _: []))


async def list_migrations(call: Call) -> Reply:
    """List migrations, newest first; in pages from 2.59 on."""
    arguments = call.query
    for name, minor in _SINCE.items():
        if call.version >= PAGED and call.version < v2(minor) and arguments.text(name) is not None:
            raise InvalidInput(f"Additional properties are not allowed ('{name}' was unexpected)", path=name)
    columns = {**_EQUALS, **(_OWNERS if call.version >= v2(80) else {})}
    query = MigrationQuery(
        equals={column: text for name, column in columns.items() if (text := arguments.text(name)) is not None},
        host=arguments.text("host"),
    )
    if call.version < PAGED:
        return MIGRATIONS.reply(Page(await call.db.read(migrations.page, query)), call)
    window = arguments.page(call.deps.settings.max_limit)
    changes = arguments.changes()
    query = MigrationQuery(
        query.equals,
        query.host,
        changed_since=changes.since,
        changed_before=changes.before,
        marker=window.marker,
        limit=window.limit,
    )
    found = await call.db.read(migrations.page, query)
    return MIGRATIONS.reply(call.page(found, window.limit, lambda one: one.migration.uuid), call)


async def list_of_server(call: Call) -> Reply:
    """List the live migrations of a server that are in progress: none."""
    return LIVE_MIGRATIONS.reply(await find(call), call)


async def show_of_server(call: Call) -> Reply:
    """Show one live migration of a server that is in progress: always 404."""
    instance = await find(call)
    wanted = call.params["migration_id"][:64]
    raise NotFound(f"In-progress live migration {wanted} is not found for server {instance.id}.")


ROUTES = (
    Route("GET", "/servers/{server_id}/migrations", list_of_server, "os_compute_api:servers:migrations:index",
        DefaultPolicy.ADMIN, reply=LIVE_MIGRATIONS, min=v2(23)),
    Route("GET", "/servers/{server_id}/migrations/{migration_id}", show_of_server,
        "os_compute_api:servers:migrations:show", DefaultPolicy.ADMIN, note="always 404", min=v2(23)),
    Route("GET", "/os-migrations", list_migrations, "os_compute_api:os-migrations:index", DefaultPolicy.ADMIN,
        reply=MIGRATIONS, query=ARGUMENTS, strict=PAGED),
)  # fmt: skip
