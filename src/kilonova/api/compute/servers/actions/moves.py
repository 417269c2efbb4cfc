# SPDX-License-Identifier: Apache-2.0
"""migrate, os-migrateLive: move a server to another host.

Moves between hosts are not supported yet.  A request that Nova refuses is refused with Nova's message.  Where Nova
would accept a request and then find no host, the answer reports that at once.

Source: Compute API reference, "Migrate Server", "Live-Migrate Server", with Nova's checks of the states.
"""

from collections.abc import Collection
from typing import ClassVar, Literal

from pydantic import Field

from kilonova.api.compute.fields import Boolean, HostText
from kilonova.api.compute.servers import resource as servers
from kilonova.api.compute.servers.actions.simple import empty_body
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy
from kilonova.base.errors import InvalidInput, InvalidState, NoValidHost
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.instance import Instance
from kilonova.objects.service import Service
from kilonova.objects.states import VERBS, Verb, VmState

LIVE = frozenset({VmState.ACTIVE, VmState.PAUSED})


class Destination(Body):
    host: HostText | None = None


class Migrate(Body):
    request: Destination | None = Field(alias="migrate")


class OldLive(Body):
    host: HostText | None
    block_migration: Boolean
    disk_over_commit: Boolean


class OldMigrateLive(Body):
    request: OldLive = Field(alias="os-migrateLive")


class Live(Body):
    host: HostText | None
    block_migration: Boolean | Literal["auto"]


class MigrateLive(Body):
    request: Live = Field(alias="os-migrateLive")


class ForcedLive(Live):
    since: ClassVar = {"force": v2(30)}

    force: Boolean = False


class MigrateLiveByForce(Body):
    request: ForcedLive = Field(alias="os-migrateLive")


async def migrate(call: Call, body: Body) -> Reply:
    """Migrate a server (cold): a resize to another host."""
    instance = await servers.find(call)
    require_state(instance, "migrate", VERBS[Verb.RESIZE].allowed)
    request = body.request if isinstance(body, Migrate) else None
    raise await _refusal(call, instance, "migrate", None if request is None else request.host)


async def migrate_live(call: Call, body: OldMigrateLive | MigrateLive | MigrateLiveByForce) -> Reply:
    """Migrate a running server."""
    _require_destination_of_force(body.request)
    instance = await servers.find(call)
    require_state(instance, "os-migrateLive", LIVE)
    raise await _refusal(call, instance, "os-migrateLive", body.request.host)


def _require_destination_of_force(request: OldLive | Live) -> None:
    if isinstance(request, ForcedLive) and request.force and not request.host:
        raise InvalidInput("Can't force to a non-provided destination", path="os-migrateLive.force")


def require_state(instance: Instance, action: str, allowed: Collection[VmState]) -> None:
    """Raises InvalidState for a server in another state, or with a task."""
    reason = f"Cannot '{action}' instance {instance.id} while it is in"
    if instance.vm_state not in allowed:
        raise InvalidState(f"{reason} vm_state {instance.vm_state}", vm_state=instance.vm_state)
    if instance.task_state is not None:
        raise InvalidState(f"{reason} task_state {instance.task_state}", vm_state=instance.vm_state)


async def _refusal(call: Call, instance: Instance, action: str, wanted: str | None) -> InvalidInput | NoValidHost:
    path = f"{action}.host"
    if wanted is None:
        return _no_host(action)
    if wanted == instance.host:
        return InvalidInput(f"Unable to migrate instance ({instance.id}) to current host ({wanted}).", path=path)
    if named(await call.db.read(hosts.list_services, binary=COMPUTE), wanted) is None:
        return InvalidInput(f"Compute host {wanted} could not be found.", path=path)
    return _no_host(action)


def named(services: Collection[Service], host: str | None) -> Service | None:
    """The service of that host among these."""
    return next((service for service in services if service.host == host), None)


def _no_host(action: str) -> NoValidHost:
    return NoValidHost(f"No valid host was found to {action} to: servers are not moved to other hosts here yet.")


P = "os_compute_api:os-migrate-server:"
_LIVE = P + "migrate_live"
ROUTES: ActionRoutes = {
    "migrate": (
        ActionRoute(empty_body("migrate", "PlainMigrate"), migrate, P + "migrate", DefaultPolicy.ADMIN, max=v2(55)),
        ActionRoute(Migrate, migrate, P + "migrate", DefaultPolicy.ADMIN, min=v2(56)),
    ),
    "os-migrateLive": (
        ActionRoute(OldMigrateLive, migrate_live, _LIVE, DefaultPolicy.ADMIN, max=v2(24)),
        ActionRoute(MigrateLiveByForce, migrate_live, _LIVE, DefaultPolicy.ADMIN, min=v2(25), max=v2(67)),
        ActionRoute(MigrateLive, migrate_live, _LIVE, DefaultPolicy.ADMIN, min=v2(68)),
    ),
}
