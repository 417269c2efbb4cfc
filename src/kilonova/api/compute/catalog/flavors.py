# SPDX-License-Identifier: Apache-2.0
"""Flavors: list, show, create, describe, delete.

Source: Compute API reference, "Flavors".  A flavor that is not public is there for administrators, and for the projects
that it was opened to.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from kilonova.api.compute.fields import Boolean, LongDescription, Name, NotNegative, NumberOrText, Positive
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.context import RequestContext
from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.db.readers import flavors as read_flavors
from kilonova.db.transaction import Snapshot
from kilonova.objects.extra_specs import unkept
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
    """`flavor_id` null or "auto" asks for a fresh id; sizes in MiB and GiB."""

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


def for_server(snapshot: Snapshot, flavor_id: FlavorId, context: RequestContext, path: str) -> Flavor:
    """The flavor that a server is to be made of, or resized to; `path` names the field that named it.

    Raises InvalidInput when there is none that the caller may use, and when it asks for what no guest here gets.
    """
    try:
        flavor = read_flavors.find_flavor(snapshot, flavor_id, context.project_id, admin=context.is_admin)
    except NotFound as exc:
        raise InvalidInput(exc.message, path=path) from exc
    refused = unkept(flavor.extra_specs)
    if refused:
        raise InvalidInput(f"Flavor {flavor.name} asks for what no server here gets: {', '.join(refused)}.", path=path)
    return flavor


def view(flavor: Flavor, call: Call) -> dict[str, Any]:
    """A flavor as the API shows it."""
    shown = _brief(flavor, call)
    shown.update(
        {
            "ram": flavor.memory_mib,
            "vcpus": flavor.vcpus,
            "disk": flavor.disk_gib,
            "swap": flavor.swap_mib or (0 if call.version >= v2(75) else ""),
            "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
            "OS-FLV-DISABLED:disabled": flavor.disabled,
            "os-flavor-access:is_public": flavor.is_public,
            "rxtx_factor": flavor.rxtx_factor,
        }
    )
    if call.version >= v2(61):
        shown["extra_specs"] = flavor.extra_specs
    return shown


def _brief(flavor: Flavor, call: Call) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "links": call.links.pair(f"/flavors/{flavor.id}"),
    }
    if call.version >= v2(55):
        shown["description"] = flavor.description
    return shown


async def list_brief(call: Call) -> Reply:
    """GET /flavors."""
    return await _list(call, _brief)


async def list_detail(call: Call) -> Reply:
    """GET /flavors/detail."""
    return await _list(call, view)


async def _list(call: Call, shown: Callable[[Flavor, Call], dict[str, Any]]) -> Reply:
    window = call.query.page(call.deps.settings.max_limit)
    takes = _filter(call, await call.db.read(read_flavors.flavors_of_project, call.context.project_id))
    flavors = [flavor for flavor in await call.db.read(read_flavors.list_flavors) if takes(flavor)]
    _sort(flavors, call)
    page = window.behind(flavors, lambda flavor: flavor.id)[: window.limit]
    answer: dict[str, Any] = {"flavors": [shown(flavor, call) for flavor in page]}
    if page and len(page) == window.limit:
        answer.update(call.next_page("flavors_links", page[-1].id))
    return json_reply(answer)


def _filter(call: Call, opened: frozenset[str]) -> Callable[[Flavor], bool]:
    """`opened` are those that are not public, but there for the caller's project: they are listed with the public
    ones."""
    public: bool | None = True
    if call.context.is_admin:  # for others the argument is ignored
        text = call.query.text("is_public")
        if text is not None:
            public = None if text.lower() == "none" else call.query.boolean("is_public")
    min_ram, min_disk = call.query.integer("minRam") or 0, call.query.integer("minDisk") or 0

    def takes(flavor: Flavor) -> bool:
        wanted = public is None or flavor.is_public == public or (public and flavor.id in opened)
        return wanted and flavor.memory_mib >= min_ram and flavor.disk_gib >= min_disk

    return takes


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
    """GET /flavors/{id}."""
    return json_reply({"flavor": view(await find(call), call)})


async def create(call: Call, body: CreateFlavor) -> Reply:
    """POST /flavors."""
    asked = body.flavor
    flavor_id = asked.flavor_id
    if flavor_id in (None, "auto"):
        flavor_id = call.deps.clock.new_id()
    # The conductor takes the very same flavor for the same request sent again; a person's second try is a mistake.
    if any(
        flavor_id == known.id or asked.name == known.name for known in await call.db.read(read_flavors.list_flavors)
    ):
        raise Conflict(f"Flavor with name {asked.name} or ID {flavor_id} already exists.")
    flavor = Flavor(
        id=FlavorId(flavor_id),
        name=asked.name,
        vcpus=asked.vcpus,
        memory_mib=asked.ram,
        disk_gib=asked.disk,
        ephemeral_gib=asked.ephemeral,
        swap_mib=asked.swap,
        rxtx_factor=asked.rxtx_factor,
        is_public=asked.is_public,
        description=asked.description,
    )
    await call.deps.rpc.call(CREATE_FLAVOR, PutFlavor(flavor))
    return json_reply({"flavor": view(flavor, call)})


async def update(call: Call, body: UpdateFlavor) -> Reply:
    """PUT /flavors/{id}, from 2.55: nothing but the description ever changes."""
    flavor = await find(call)
    await call.deps.rpc.call(DESCRIBE_FLAVOR, DescribeFlavor(flavor.id, body.flavor.description))
    return json_reply({"flavor": view(replace(flavor, description=body.flavor.description), call)})


async def delete(call: Call) -> Reply:
    """DELETE /flavors/{id}: servers made from it keep their own copy."""
    await call.deps.rpc.call(DELETE_FLAVOR, DeleteFlavor((await find(call)).id))
    return Reply()


ROUTES = (
    Route("GET", "/flavors", list_brief, "os_compute_api:flavors", DefaultPolicy.READER, note="{flavors: [...]}",
        query=ARGUMENTS, strict=STRICT),
    Route("GET", "/flavors/detail", list_detail, "os_compute_api:flavors", DefaultPolicy.READER,
        note="{flavors: [...]}", query=ARGUMENTS, strict=STRICT),
    Route("POST", "/flavors", create, "os_compute_api:os-flavor-manage:create", DefaultPolicy.ADMIN, note="{flavor}",
        body=CreateFlavor),
    Route("GET", "/flavors/{flavor_id}", show, "os_compute_api:flavors", DefaultPolicy.READER, note="{flavor}"),
    Route("PUT", "/flavors/{flavor_id}", update, "os_compute_api:os-flavor-manage:update", DefaultPolicy.ADMIN,
        note="{flavor}", body=UpdateFlavor, min=v2(55)),
    Route("DELETE", "/flavors/{flavor_id}", delete, "os_compute_api:os-flavor-manage:delete", DefaultPolicy.ADMIN,
        202),
)  # fmt: skip
