# SPDX-License-Identifier: Apache-2.0
"""Flavors: list, show, create, describe, delete.

Source: Compute API reference, "Flavors".  Only administrators, and projects with access, see a flavor that is not
public.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from kilonova.api.compute.fields import Boolean, LongDescription, Name, NotNegative, NumberOrText, Positive
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Link, Page, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View, one, paged
from kilonova.base.errors import Conflict, InvalidInput
from kilonova.db.readers import flavors as read_flavors
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId
from kilonova.rpcapi.api_to_conductor import CREATE_FLAVOR, DELETE_FLAVOR, DeleteFlavor, PutFlavor
from kilonova.rpcapi.api_to_conductor_admin import DESCRIBE_FLAVOR, DescribeFlavor

ARGUMENTS = frozenset({"limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"})

_FlavorIdText = Annotated[
    str,
    NumberOrText,
    StringConstraints(max_length=255, pattern=r"^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"),
]

SORT_KEYS: Mapping[str, Callable[[Flavor], Any]] = {
    "flavorid": lambda f: f.id,
    "id": lambda f: f.id,
    "name": lambda f: f.name,
    "description": lambda f: f.description or "",
    "memory_mb": lambda f: f.memory_mib,
    "vcpus": lambda f: f.vcpus,
    "root_gb": lambda f: f.disk_gib,
    "ephemeral_gb": lambda f: f.ephemeral_gib,
    "swap": lambda f: f.swap_mib,
    "rxtx_factor": lambda f: f.rxtx_factor,
    "is_public": lambda f: f.is_public,
    "disabled": lambda f: f.disabled,
    # Flavors have no such values here: sorting by these keys means sorting by the id.
    **dict.fromkeys(("created_at", "updated_at", "vcpu_weight"), lambda _: 0),
}


class NewFlavor(Body):
    """`flavor_id` null or "auto": the service generates an id.  Sizes are in MiB and GiB."""

    since: ClassVar = {"description": v2(55)}

    name: Name
    flavor_id: _FlavorIdText | None = Field(default=None, alias="id")
    ram: Positive
    vcpus: Positive
    disk: NotNegative
    swap: NotNegative = 0
    ephemeral: NotNegative = Field(default=0, alias="OS-FLV-EXT-DATA:ephemeral")
    rxtx_factor: Annotated[float, Field(gt=0, le=3.40282e38, strict=False, allow_inf_nan=False)] = 1.0
    is_public: Boolean = Field(default=True, alias="os-flavor-access:is_public")
    description: LongDescription | None = None


class CreateFlavor(Body):
    flavor: NewFlavor


class NewDescription(Body):
    description: LongDescription | None


class UpdateFlavor(Body):
    flavor: NewDescription


M = Member[Flavor, Call]
_SUMMARY = View(
    "FlavorSummary",
    M("id", str, lambda flavor, _: flavor.id),
    M("name", str, lambda flavor, _: flavor.name),
    M("links", list[Link], lambda flavor, call: call.links.pair(f"/flavors/{flavor.id}")),
    M("description", str | None, lambda flavor, _: flavor.description, since=v2(55)),
)
_FLAVOR = _SUMMARY.but(
    "Flavor",
    M("ram", int, lambda flavor, _: flavor.memory_mib),
    M("vcpus", int, lambda flavor, _: flavor.vcpus),
    M("disk", int, lambda flavor, _: flavor.disk_gib),
    M("swap", int | Literal[""], lambda flavor, _: flavor.swap_mib or "", until=v2(74)),
    M("swap", int, lambda flavor, _: flavor.swap_mib, since=v2(75)),
    M("OS-FLV-EXT-DATA:ephemeral", int, lambda flavor, _: flavor.ephemeral_gib),
    M("OS-FLV-DISABLED:disabled", bool, lambda flavor, _: flavor.disabled),
    M("os-flavor-access:is_public", bool, lambda flavor, _: flavor.is_public),
    M("rxtx_factor", float, lambda flavor, _: flavor.rxtx_factor),
    M("extra_specs", dict[str, str], lambda flavor, _: flavor.extra_specs, since=v2(61)),
)
_SUMMARIES, _FLAVORS, _ONE = paged("flavors", _SUMMARY), paged("flavors", _FLAVOR), one("flavor", _FLAVOR)


async def list_brief(call: Call) -> Reply:
    """List flavors, with names only."""
    return await _list(call, _SUMMARIES)


async def list_detail(call: Call) -> Reply:
    """List flavors with their details."""
    return await _list(call, _FLAVORS)


async def _list(call: Call, reply: View[Page[Flavor], Call]) -> Reply:
    window = call.query.page(call.deps.settings.max_limit)
    accepts = _filter(call, await call.db.read(read_flavors.flavors_of_project, call.context.project_id))
    flavors = [flavor for flavor in await call.db.read(read_flavors.list_flavors) if accepts(flavor)]
    _sort(flavors, call)
    entries = window.behind(flavors, lambda flavor: flavor.id)[: window.limit]
    return reply.reply(call.page(entries, window.limit, lambda flavor: flavor.id), call)


def _filter(call: Call, accessible: frozenset[str]) -> Callable[[Flavor], bool]:
    """`accessible` are private flavors that the caller's project can use: they are listed with the public ones."""
    public: bool | None = True
    if call.context.is_admin:  # the argument is ignored for other callers
        text = call.query.text("is_public")
        if text is not None:
            public = None if text.lower() == "none" else call.query.boolean("is_public")
    min_ram, min_disk = call.query.integer("minRam") or 0, call.query.integer("minDisk") or 0

    def accepts(flavor: Flavor) -> bool:
        wanted = public is None or flavor.is_public == public or (public and flavor.id in accessible)
        return wanted and flavor.memory_mib >= min_ram and flavor.disk_gib >= min_disk

    return accepts


def _sort(flavors: list[Flavor], call: Call) -> None:
    key = call.query.text("sort_key") or "flavorid"
    direction = call.query.text("sort_dir") or "asc"
    if key not in SORT_KEYS:
        raise InvalidInput(f"Invalid input for query parameters sort_key. Value: {key[:64]}.", path="sort_key")
    if direction not in ("asc", "desc"):
        raise InvalidInput(f"Invalid input for query parameters sort_dir. Value: {direction[:64]}.", path="sort_dir")
    value = SORT_KEYS[key]
    flavors.sort(key=lambda flavor: (value(flavor), flavor.id), reverse=direction == "desc")


async def find(call: Call) -> Flavor:
    """The flavor of the path, if the caller may see it.  Raises NotFound."""
    flavor_id = FlavorId(call.params["flavor_id"])
    context = call.context
    return await call.db.read(read_flavors.find_flavor, flavor_id, context.project_id, admin=context.is_admin)


async def show(call: Call) -> Reply:
    """Show a flavor."""
    return _ONE.reply(await find(call), call)


async def create(call: Call, body: CreateFlavor) -> Reply:
    """Create a flavor."""
    fields = body.flavor
    flavor_id = fields.flavor_id
    if flavor_id in (None, "auto"):
        flavor_id = call.deps.clock.new_id()
    # The conductor accepts an identical flavor as a repeated request; a client's second request is a conflict.
    if any(
        flavor_id == known.id or fields.name == known.name for known in await call.db.read(read_flavors.list_flavors)
    ):
        raise Conflict(f"Flavor with name {fields.name} or ID {flavor_id} already exists.")
    flavor = Flavor(
        id=FlavorId(flavor_id),
        name=fields.name,
        vcpus=fields.vcpus,
        memory_mib=fields.ram,
        disk_gib=fields.disk,
        ephemeral_gib=fields.ephemeral,
        swap_mib=fields.swap,
        rxtx_factor=fields.rxtx_factor,
        is_public=fields.is_public,
        description=fields.description,
    )
    await call.deps.rpc.call(CREATE_FLAVOR, PutFlavor(flavor))
    return _ONE.reply(flavor, call)


async def update(call: Call, body: UpdateFlavor) -> Reply:
    """Update the description of a flavor (from 2.55).  Other members cannot be changed."""
    flavor = await find(call)
    await call.deps.rpc.call(DESCRIBE_FLAVOR, DescribeFlavor(flavor.id, body.flavor.description))
    return _ONE.reply(replace(flavor, description=body.flavor.description), call)


async def delete(call: Call) -> Reply:
    """Delete a flavor.  Servers that were created with it have their own copy."""
    await call.deps.rpc.call(DELETE_FLAVOR, DeleteFlavor((await find(call)).id))
    return Reply()


_P = "os_compute_api:"
_READER, _ADMIN = DefaultPolicy.READER, DefaultPolicy.ADMIN
_ID = "/flavors/{flavor_id}"

ROUTES = (
    Route("GET", "/flavors", list_brief, _P + "flavors", _READER, reply=_SUMMARIES, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/flavors/detail", list_detail, _P + "flavors", _READER, reply=_FLAVORS, query=ARGUMENTS,
        strict=STRICT),
    Route("POST", "/flavors", create, _P + "os-flavor-manage:create", _ADMIN, reply=_ONE, body=CreateFlavor),
    Route("GET", _ID, show, _P + "flavors", _READER, reply=_ONE),
    Route("PUT", _ID, update, _P + "os-flavor-manage:update", _ADMIN, reply=_ONE, body=UpdateFlavor, min=v2(55)),
    Route("DELETE", _ID, delete, _P + "os-flavor-manage:delete", _ADMIN, 202),
)  # fmt: skip
