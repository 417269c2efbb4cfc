# SPDX-License-Identifier: Apache-2.0
"""Flavors' extra specs, and the access of projects to flavors that are not public.

Source: Compute API reference, "Flavors extra-specs", "Flavors access".
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel, StringConstraints

from kilonova.api.compute.catalog.flavors import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes, dispatch
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, Others, View, many
from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.db.readers import flavors as read_flavors
from kilonova.db.readers import identity
from kilonova.objects.extra_specs import refusal
from kilonova.objects.flavor import Flavor
from kilonova.rpcapi.api_to_conductor_admin import EDIT_EXTRA_SPECS, SET_FLAVOR_ACCESS, EditExtraSpecs, FlavorAccess

CHECKED_FROM = v2(86)
"""Before this microversion every name and every value is accepted, as in Nova."""


PUBLIC_REFUSED_FROM = v2(7)
"""Before this microversion a project can get access to a public flavor, which changes nothing."""


def _text(value: Any) -> Any:
    """Numbers are accepted as text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Key = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9\-_:. ]{1,255}$")]
_Value = Annotated[str, BeforeValidator(_text), StringConstraints(max_length=255)]


class ExtraSpecs(Body):
    extra_specs: dict[_Key, _Value]


class OneSpec(RootModel[Annotated[dict[_Key, _Value], Field(min_length=1, max_length=1)]]):
    """One name and its value."""


class Tenant(Body):
    tenant: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class AddAccess(Body):
    add: Tenant = Field(alias="addTenantAccess")


class RemoveAccess(Body):
    remove: Tenant = Field(alias="removeTenantAccess")


_SPECS = View[Mapping[str, str], Call]("", Member("extra_specs", dict[str, str], lambda specs, _: specs))
_SPEC = View[Mapping[str, str], Call]("", others=Others(str, lambda specs, _: specs))
_ACCESS = many(
    "flavor_access",
    View[tuple[str, str], Call](
        "FlavorAccess",
        Member("flavor_id", str, lambda access, _: access[0]),
        Member("tenant_id", str, lambda access, _: access[1]),
    ),
)


async def list_specs(call: Call) -> Reply:
    """List the extra specs of a flavor."""
    return _SPECS.reply((await find(call)).extra_specs, call)


async def show_spec(call: Call) -> Reply:
    """Show an extra spec of a flavor."""
    flavor, key = await _with_spec(call)
    return _SPEC.reply({key: flavor.extra_specs[key]}, call)


async def _with_spec(call: Call) -> tuple[Flavor, str]:
    flavor, key = await find(call), call.params["key"]
    if key not in flavor.extra_specs:
        raise NotFound(f"Flavor {flavor.id} has no extra specs with key {key[:255]}.")
    return flavor, key


def _check(call: Call, specs: dict[str, str]) -> None:
    if call.version < CHECKED_FROM:
        return
    for name, value in specs.items():
        wrong = refusal(name, value)
        if wrong is not None:
            raise InvalidInput(f"Validation failed; {wrong}.", path="extra_specs")


async def add_specs(call: Call, body: ExtraSpecs) -> Reply:
    """Add extra specs to a flavor, or replace values."""
    flavor = await find(call)
    _check(call, body.extra_specs)
    await call.deps.rpc.call(EDIT_EXTRA_SPECS, EditExtraSpecs(flavor.id, put=body.extra_specs))
    return _SPECS.reply(body.extra_specs, call)


async def set_spec(call: Call, body: OneSpec) -> Reply:
    """Set an extra spec of a flavor."""
    flavor = await find(call)
    if call.params["key"] not in body.root:
        raise InvalidInput("Request body and URI mismatch", path="key")
    _check(call, body.root)
    await call.deps.rpc.call(EDIT_EXTRA_SPECS, EditExtraSpecs(flavor.id, put=body.root))
    return _SPEC.reply(body.root, call)


async def delete_spec(call: Call) -> Reply:
    """Delete an extra spec of a flavor."""
    flavor, key = await _with_spec(call)
    await call.deps.rpc.call(EDIT_EXTRA_SPECS, EditExtraSpecs(flavor.id, remove=(key,)))
    return Reply()


async def list_access(call: Call) -> Reply:
    """List the projects with access to a flavor.  404 for a public flavor."""
    flavor = await find(call)
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.")
    return await _access(call, flavor)


async def _access(call: Call, flavor: Flavor) -> Reply:
    projects = await call.db.read(read_flavors.flavor_projects, flavor.id)
    return _ACCESS.reply([(flavor.id, project) for project in projects], call)


# The conductor accepts a repeated request; a client's second request is a conflict.
async def _add_access(call: Call, body: AddAccess) -> Reply:
    project_id = body.add.tenant
    if await call.db.read(identity.find_project, project_id=project_id) is None:
        raise InvalidInput(f"Project ID {project_id} is not a valid project.", path="addTenantAccess.tenant")
    flavor = await find(call)
    if flavor.is_public and call.version >= PUBLIC_REFUSED_FROM:
        raise Conflict("Can not add access to a public flavor.")
    if project_id in await call.db.read(read_flavors.flavor_projects, flavor.id):
        raise Conflict(f"Flavor access already exists for flavor {flavor.id} and project {project_id} combination.")
    await call.deps.rpc.call(SET_FLAVOR_ACCESS, FlavorAccess(flavor.id, project_id, allowed=True))
    return await _access(call, flavor)


async def _remove_access(call: Call, body: RemoveAccess) -> Reply:
    flavor, project_id = await find(call), body.remove.tenant
    if project_id not in await call.db.read(read_flavors.flavor_projects, flavor.id):
        raise NotFound(f"Flavor access not found for {flavor.id} / {project_id} combination.")
    await call.deps.rpc.call(SET_FLAVOR_ACCESS, FlavorAccess(flavor.id, project_id, allowed=False))
    return await _access(call, flavor)


_RULE = "os_compute_api:os-flavor-access:"
_ADMIN = DefaultPolicy.ADMIN
ACTIONS: ActionRoutes = {
    "addTenantAccess": (ActionRoute(AddAccess, _add_access, _RULE + "add_tenant_access", _ADMIN, 200, _ACCESS),),
    "removeTenantAccess": (
        ActionRoute(RemoveAccess, _remove_access, _RULE + "remove_tenant_access", _ADMIN, 200, _ACCESS),
    ),
}


async def change_access(call: Call, data: bytes) -> Reply:
    """Add or remove the access of a project to a flavor."""
    return await dispatch(ACTIONS, call, data)


ROUTES = (
    Route("GET", "/flavors/{flavor_id}/os-extra_specs", list_specs, "os_compute_api:os-flavor-extra-specs:index",
        DefaultPolicy.READER, reply=_SPECS),
    Route("POST", "/flavors/{flavor_id}/os-extra_specs", add_specs, "os_compute_api:os-flavor-extra-specs:create",
        DefaultPolicy.ADMIN, reply=_SPECS, body=ExtraSpecs),
    Route("GET", "/flavors/{flavor_id}/os-extra_specs/{key}", show_spec, "os_compute_api:os-flavor-extra-specs:show",
        DefaultPolicy.READER, reply=_SPEC),
    Route("PUT", "/flavors/{flavor_id}/os-extra_specs/{key}", set_spec, "os_compute_api:os-flavor-extra-specs:update",
        DefaultPolicy.ADMIN, reply=_SPEC, body=OneSpec),
    Route("DELETE", "/flavors/{flavor_id}/os-extra_specs/{key}", delete_spec,
        "os_compute_api:os-flavor-extra-specs:delete", DefaultPolicy.ADMIN),
    Route("GET", "/flavors/{flavor_id}/os-flavor-access", list_access, "os_compute_api:os-flavor-access",
        DefaultPolicy.ADMIN, reply=_ACCESS),
    Route("POST", "/flavors/{flavor_id}/action", change_access, "os_compute_api:os-flavor-access:action",
        DefaultPolicy.TOKEN, whole=True, actions=ACTIONS),
)  # fmt: skip
