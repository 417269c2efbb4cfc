# SPDX-License-Identifier: Apache-2.0
"""migrate, os-migrateLive, evacuate: an administrator's word to move a server to another host.

No server is moved here yet.  What Nova refuses at once is refused in its words; where it would accept, and find no host
afterwards, the answer is that at once.

Source: Compute API reference, "Migrate Server", "Live-Migrate Server", "Evacuate Server", with the checks of the states
as Nova makes them.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Literal

from pydantic import Field

from kilonova.api.compute.fields import AdminPassText, Boolean, HostText
from kilonova.api.compute.servers import resource as servers
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy
from kilonova.base.errors import InvalidInput, InvalidState, NotFound, NoValidHost
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.instance import Instance
from kilonova.objects.service import Service
from kilonova.objects.states import VERBS, Verb, VmState

LIVE = frozenset({VmState.ACTIVE, VmState.PAUSED})
EVACUATED = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR})


class PlainMigrate(Body):
    nothing: Any = Field(alias="migrate")


class Destination(Body):
    host: HostText | None = None


class Migrate(Body):
    wish: Destination | None = Field(alias="migrate")


class OldLive(Body):
    host: HostText | None
    block_migration: Boolean
    disk_over_commit: Boolean


class OldMigrateLive(Body):
    wish: OldLive = Field(alias="os-migrateLive")


class Live(Body):
    host: HostText | None
    block_migration: Boolean | Literal["auto"]


class MigrateLive(Body):
    wish: Live = Field(alias="os-migrateLive")


class ForcedLive(Live):
    since: ClassVar = {"force": v2(30)}

    force: Boolean = False


class MigrateLiveByForce(Body):
    wish: ForcedLive = Field(alias="os-migrateLive")


class Evacuation(Body):
    host: HostText | None = None
    admin_pass: AdminPassText | None = Field(default=None, alias="adminPass")


class Evacuate(Body):
    wish: Evacuation = Field(alias="evacuate")


class OldEvacuation(Evacuation):
    on_shared_storage: Boolean = Field(alias="onSharedStorage")


class OldEvacuate(Body):
    wish: OldEvacuation = Field(alias="evacuate")


class ForcedEvacuation(Evacuation):
    since: ClassVar = {"force": v2(29)}

    force: Boolean = False


class EvacuateByForce(Body):
    wish: ForcedEvacuation = Field(alias="evacuate")


async def migrate(call: Call, body: PlainMigrate | Migrate) -> Reply:
    """A cold migration: a resize to another host."""
    instance = await servers.find(call)
    _require_state(instance, "migrate", VERBS[Verb.RESIZE].allowed)
    wish = body.wish if isinstance(body, Migrate) else None
    raise await _refusal(call, instance, "migrate", None if wish is None else wish.host)


async def migrate_live(call: Call, body: OldMigrateLive | MigrateLive | MigrateLiveByForce) -> Reply:
    """While it runs."""
    _require_destination_of_force(body.wish, "os-migrateLive")
    instance = await servers.find(call)
    _require_state(instance, "os-migrateLive", LIVE)
    raise await _refusal(call, instance, "os-migrateLive", body.wish.host)


async def evacuate(call: Call, body: OldEvacuate | Evacuate | EvacuateByForce) -> Reply:
    """From a host that is down: anew, on another."""
    wish = body.wish
    _require_destination_of_force(wish, "evacuate")
    instance = await servers.find(call)
    services = await call.db.read(hosts.list_services, binary=COMPUTE)
    if wish.host is not None and _named(services, wish.host) is None:
        raise NotFound(f"Compute host {wish.host} not found.")
    if wish.host == instance.host:
        raise InvalidInput("The target host can't be the same one.", path="evacuate.host")
    _require_state(instance, "evacuate", EVACUATED)
    source = _named(services, instance.host)
    if source is not None and source.up and not source.forced_down:
        raise InvalidInput(f"Compute service of {source.host} is still in use.", path="evacuate")
    raise _no_host("evacuate")


def _require_destination_of_force(wish: OldLive | Live | Evacuation, action: str) -> None:
    if isinstance(wish, ForcedLive | ForcedEvacuation) and wish.force and not wish.host:
        raise InvalidInput("Can't force to a non-provided destination", path=f"{action}.force")


def _require_state(instance: Instance, action: str, allowed: Collection[VmState]) -> None:
    said = f"Cannot '{action}' instance {instance.id} while it is in"
    if instance.vm_state not in allowed:
        raise InvalidState(f"{said} vm_state {instance.vm_state}", vm_state=instance.vm_state)
    if instance.task_state is not None:
        raise InvalidState(f"{said} task_state {instance.task_state}", vm_state=instance.vm_state)


async def _refusal(call: Call, instance: Instance, action: str, wanted: str | None) -> InvalidInput | NoValidHost:
    path = f"{action}.host"
    if wanted is None:
        return _no_host(action)
    if wanted == instance.host:
        return InvalidInput(f"Unable to migrate instance ({instance.id}) to current host ({wanted}).", path=path)
    if _named(await call.db.read(hosts.list_services, binary=COMPUTE), wanted) is None:
        return InvalidInput(f"Compute host {wanted} could not be found.", path=path)
    return _no_host(action)


def _named(services: Collection[Service], host: str | None) -> Service | None:
    return next((service for service in services if service.host == host), None)


def _no_host(action: str) -> NoValidHost:
    return NoValidHost(f"No valid host was found to {action} to: servers are not moved to other hosts here yet.")


P = "os_compute_api:os-migrate-server:"
_LIVE, _EVACUATE = P + "migrate_live", "os_compute_api:os-evacuate"
ROUTES: ActionRoutes = {
    "migrate": (
        ActionRoute(PlainMigrate, migrate, P + "migrate", DefaultPolicy.ADMIN, max=v2(55)),
        ActionRoute(Migrate, migrate, P + "migrate", DefaultPolicy.ADMIN, min=v2(56)),
    ),
    "os-migrateLive": (
        ActionRoute(OldMigrateLive, migrate_live, _LIVE, DefaultPolicy.ADMIN, max=v2(24)),
        ActionRoute(MigrateLiveByForce, migrate_live, _LIVE, DefaultPolicy.ADMIN, min=v2(25), max=v2(67)),
        ActionRoute(MigrateLive, migrate_live, _LIVE, DefaultPolicy.ADMIN, min=v2(68)),
    ),
    "evacuate": (
        ActionRoute(OldEvacuate, evacuate, _EVACUATE, DefaultPolicy.ADMIN, success=200, max=v2(13)),
        ActionRoute(EvacuateByForce, evacuate, _EVACUATE, DefaultPolicy.ADMIN, success=200, min=v2(14), max=v2(67)),
        ActionRoute(Evacuate, evacuate, _EVACUATE, DefaultPolicy.ADMIN, success=200, min=v2(68)),
    ),
}
