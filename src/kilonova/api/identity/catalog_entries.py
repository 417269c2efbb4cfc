# SPDX-License-Identifier: Apache-2.0
"""Entries of the service catalog: regions, services and endpoints.  Entries of this process cannot be changed;
administrators can add others, so that clients find them.

Source: Identity API v3 reference, "Service catalog and endpoints", "Regions".
"""

from collections.abc import Mapping
from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, Others, View, one
from kilonova.api.identity.catalog import REGION, own_catalog
from kilonova.api.identity.domain import SelfLink, check_id, collection
from kilonova.api.identity.filters import arguments, matching
from kilonova.api.identity.models import (
    CreateEndpoint,
    CreateService,
    EndpointFields,
    PutRegion,
    RegionFields,
    ServiceFields,
    UpdateEndpoint,
    UpdateService,
)
from kilonova.api.identity.routing import ADMIN, SYSTEM, TOKEN, P, list_route
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.db.readers import service_catalog as readers
from kilonova.objects.identity import CatalogEntry, EntryKind
from kilonova.rpcapi import api_to_conductor_identity as methods

_Thing = dict[str, Any]
"""An entry as a view shows it."""

_Things = dict[str, _Thing]

_PARAMETER: Mapping[EntryKind, str] = {kind: f"{kind}_id" for kind in EntryKind}


async def _things(call: Call, kind: EntryKind) -> _Things:
    """All entries of a kind by id; those of this process come first."""
    entries: list[CatalogEntry] = await call.db.read(readers.list_entries)
    made = {entry.id: {"id": entry.id, **entry.body} for entry in entries if entry.kind is kind}
    things = {**_own(call, kind), **made}
    for thing_id, thing in things.items():
        thing["links"] = {"self": call.links.to(f"/{kind}s/{thing_id}")}
    return things


def _own(call: Call, kind: EntryKind) -> _Things:
    if kind is EntryKind.REGION:
        return {REGION: {"id": REGION, "description": "", "parent_region_id": None}}
    found: _Things = {}
    for service in own_catalog(call.links.base):
        if kind is EntryKind.SERVICE:
            names = {"id": service["id"], "type": service["type"], "name": service["name"]}
            found[service["id"]] = {**names, "description": "", "enabled": True}
        else:
            for endpoint in service["endpoints"]:
                found[endpoint["id"]] = {**endpoint, "service_id": service["id"], "enabled": True}
    return found


async def _list(call: Call, kind: EntryKind) -> Reply:
    view = _VIEWS[kind]
    shown = [view.show(thing, call) for thing in (await _things(call, kind)).values()]
    return _LISTS[kind].reply(matching(call.query, shown), call)


async def _show(call: Call, kind: EntryKind, entry_id: str | None = None) -> Reply:
    entry_id = entry_id or call.params[_PARAMETER[kind]]
    thing = (await _things(call, kind)).get(entry_id)
    if thing is None:
        raise _missing(kind, entry_id)
    return _ONES[kind].reply(thing, call)


def _missing(kind: EntryKind, entry_id: str) -> NotFound:
    return NotFound(f"Could not find {kind}: {entry_id[:64]}.")


async def _made(call: Call, kind: EntryKind) -> dict[str, Any]:
    """The entry of the path, without its links.  Raises NotFound, and Forbidden for an entry of this process."""
    entry_id = call.params[_PARAMETER[kind]]
    thing = (await _things(call, kind)).get(entry_id)
    if thing is None:
        raise _missing(kind, entry_id)
    if entry_id in _own(call, kind):
        raise Forbidden(f"The {kind} {entry_id} belongs to this service and cannot be changed.")
    return {name: value for name, value in thing.items() if name not in ("id", "links")}


async def _put(call: Call, kind: EntryKind, entry_id: str, body: Mapping[str, Any], *more: CatalogEntry) -> Reply:
    await call.deps.rpc.call(
        methods.PUT_ENTRIES,
        methods.PutEntries(
            (
                *more,
                CatalogEntry(kind, entry_id, body),
            )
        ),
    )
    return await _show(call, kind, entry_id)


async def _delete(call: Call, kind: EntryKind) -> Reply:
    await _made(call, kind)
    await call.deps.rpc.call(methods.DELETE_ENTRY, methods.DeleteEntry(kind, call.params[_PARAMETER[kind]]))
    return Reply()


def _given(body: RegionFields | ServiceFields | EndpointFields, kind: EntryKind) -> dict[str, Any]:
    """The members of the body, including attributes, without its id."""
    fields = {name: getattr(body, name) for name in body.model_fields_set & type(body).model_fields.keys()}
    fields.pop("id", None)
    return {**body.attributes(str(kind)), **fields}


def _new_id(call: Call) -> str:
    return call.deps.clock.new_id().replace("-", "")


async def list_services(call: Call) -> Reply:
    """List services of the catalog."""
    return await _list(call, EntryKind.SERVICE)


async def show_service(call: Call) -> Reply:
    """Show a service of the catalog by its id.  A name is 404."""
    return await _show(call, EntryKind.SERVICE)


async def create_service(call: Call, body: CreateService) -> Reply:
    """Add a service to the catalog."""
    check_id("service", body.service.id, None)
    defaults = {"enabled": True, "description": "", "name": ""}
    fields = {**defaults, **_given(body.service, EntryKind.SERVICE)}
    return await _put(call, EntryKind.SERVICE, _new_id(call), _service(fields))


async def update_service(call: Call, body: UpdateService) -> Reply:
    """Update a service that an administrator added."""
    check_id("service", body.service.id, call.params["service_id"])
    changed = {**await _made(call, EntryKind.SERVICE), **_given(body.service, EntryKind.SERVICE)}
    return await _put(call, EntryKind.SERVICE, call.params["service_id"], _service(changed))


def _service(body: dict[str, Any]) -> dict[str, Any]:
    for name in ("type", "enabled"):
        if body[name] is None:
            raise InvalidInput(f"A service needs {name}.", path=f"service.{name}")
    return body


async def delete_service(call: Call) -> Reply:
    """Delete a service and its endpoints from the catalog."""
    return await _delete(call, EntryKind.SERVICE)


async def list_endpoints(call: Call) -> Reply:
    """List endpoints of the catalog."""
    return await _list(call, EntryKind.ENDPOINT)


async def show_endpoint(call: Call) -> Reply:
    """Show an endpoint."""
    return await _show(call, EntryKind.ENDPOINT)


async def create_endpoint(call: Call, body: CreateEndpoint) -> Reply:
    """Add an endpoint of a service."""
    check_id("endpoint", body.endpoint.id, None)
    fields = {"enabled": True, "region_id": None, **_given(body.endpoint, EntryKind.ENDPOINT)}
    return await _put_endpoint(call, _new_id(call), fields)


async def update_endpoint(call: Call, body: UpdateEndpoint) -> Reply:
    """Update an endpoint that an administrator added."""
    check_id("endpoint", body.endpoint.id, call.params["endpoint_id"])
    given = _given(body.endpoint, EntryKind.ENDPOINT)
    before = await _made(call, EntryKind.ENDPOINT)
    before.pop("region" if "region" not in given else "region_id")
    return await _put_endpoint(call, call.params["endpoint_id"], {"region_id": None, **before, **given})


async def _put_endpoint(call: Call, endpoint_id: str, body: dict[str, Any]) -> Reply:
    """Raises InvalidInput for a missing member, and for an unknown service or region."""
    for name in ("service_id", "interface", "url", "enabled"):
        if body.get(name) is None:
            raise InvalidInput(f"An endpoint needs {name}.", path=f"endpoint.{name}")
    if body["service_id"] not in await _things(call, EntryKind.SERVICE):
        raise InvalidInput(f"Unknown service {body['service_id'][:64]}.", path="endpoint.service_id")
    old_name = body.pop("region", None)
    region = body["region_id"] = body["region_id"] or old_name
    more: list[CatalogEntry] = []
    if region is not None and region not in await _things(call, EntryKind.REGION):
        if region != old_name:
            raise InvalidInput(f"Unknown region {region[:64]}.", path="endpoint.region_id")
        more = [CatalogEntry(EntryKind.REGION, region, {"description": "", "parent_region_id": None})]
    return await _put(call, EntryKind.ENDPOINT, endpoint_id, {**body, "region": region}, *more)


async def delete_endpoint(call: Call) -> Reply:
    """Delete an endpoint from the catalog."""
    return await _delete(call, EntryKind.ENDPOINT)


async def list_regions(call: Call) -> Reply:
    """List regions."""
    return await _list(call, EntryKind.REGION)


async def show_region(call: Call) -> Reply:
    """Show a region."""
    return await _show(call, EntryKind.REGION)


async def create_region(call: Call, body: PutRegion) -> Reply:
    """Create a region, with an id that the client can choose."""
    region_id = call.params.get("region_id") or body.region.id or _new_id(call)
    check_id("region", body.region.id or None, region_id)
    if len(region_id) > 255:
        raise InvalidInput("A region's id has at most 255 characters.", path="region.id")
    if region_id in await _things(call, EntryKind.REGION):
        raise Conflict(f"A region {region_id} exists already.")
    fields = {"description": "", "parent_region_id": None, **_given(body.region, EntryKind.REGION)}
    return await _put_region(call, region_id, fields)


async def update_region(call: Call, body: PutRegion) -> Reply:
    """Update a region."""
    region_id = call.params["region_id"]
    check_id("region", body.region.id, region_id)
    changed = {**await _made(call, EntryKind.REGION), **_given(body.region, EntryKind.REGION)}
    return await _put_region(call, region_id, changed)


async def _put_region(call: Call, region_id: str, body: dict[str, Any]) -> Reply:
    """Raises NotFound (the parent region), InvalidInput (the region would be its own ancestor)."""
    body["description"] = body["description"] or ""
    regions, above = await _things(call, EntryKind.REGION), body["parent_region_id"]
    if above is not None and above not in regions:
        raise _missing(EntryKind.REGION, above)
    while above is not None:
        if above == region_id:
            raise InvalidInput("A region cannot be its own ancestor.", path="region.parent_region_id")
        above = regions[above]["parent_region_id"]
    return await _put(call, EntryKind.REGION, region_id, body)


async def delete_region(call: Call) -> Reply:
    """Delete a region and its child regions.  403 while endpoints are in it."""
    return await _delete(call, EntryKind.REGION)


def _member(name: str, kind: object) -> Member[_Thing, Call]:
    return Member(name, kind, lambda thing, _: thing[name])


_ATTRIBUTES = Others[_Thing, Call](object, lambda thing, _: thing)
_VIEWS: Mapping[EntryKind, View[_Thing, Call]] = {
    EntryKind.REGION: View(
        "Region",
        _member("id", str),
        _member("description", str),
        _member("parent_region_id", str | None),
        _member("links", SelfLink),
        others=_ATTRIBUTES,
    ),
    EntryKind.SERVICE: View(
        "Service",
        _member("id", str),
        _member("type", str),
        _member("name", str | None),
        _member("description", str | None),
        _member("enabled", bool),
        _member("links", SelfLink),
        others=_ATTRIBUTES,
    ),
    EntryKind.ENDPOINT: View(
        "Endpoint",
        _member("id", str),
        _member("interface", str),
        _member("region", str | None),
        _member("region_id", str | None),
        _member("url", str),
        _member("service_id", str),
        _member("enabled", bool),
        _member("links", SelfLink),
        others=_ATTRIBUTES,
    ),
}
_LISTS = {kind: collection(f"{kind}s", view) for kind, view in _VIEWS.items()}
_ONES = {kind: one(str(kind), view) for kind, view in _VIEWS.items()}
_SERVICES, _SERVICE_REPLY = _LISTS[EntryKind.SERVICE], _ONES[EntryKind.SERVICE]
_ENDPOINTS, _ENDPOINT_REPLY = _LISTS[EntryKind.ENDPOINT], _ONES[EntryKind.ENDPOINT]
_REGIONS, _REGION_REPLY = _LISTS[EntryKind.REGION], _ONES[EntryKind.REGION]
_SERVICE, _ENDPOINT, _REGION = "/services/{service_id}", "/endpoints/{endpoint_id}", "/regions/{region_id}"
_OF_ENDPOINTS = arguments("interface", "service_id", "region_id")

ROUTES = (
    list_route("/services", list_services, "list_services", SYSTEM, _SERVICES, arguments("type", "name")),
    Route("POST", "/services", create_service, P + "create_service", ADMIN, 201, _SERVICE_REPLY, CreateService),
    Route("GET", _SERVICE, show_service, P + "get_service", SYSTEM, reply=_SERVICE_REPLY),
    Route("PATCH", _SERVICE, update_service, P + "update_service", ADMIN, 200, _SERVICE_REPLY, UpdateService),
    Route("DELETE", _SERVICE, delete_service, P + "delete_service", ADMIN, 204),
    list_route("/endpoints", list_endpoints, "list_endpoints", SYSTEM, _ENDPOINTS, _OF_ENDPOINTS),
    Route("POST", "/endpoints", create_endpoint, P + "create_endpoint", ADMIN, 201, _ENDPOINT_REPLY, CreateEndpoint),
    Route("GET", _ENDPOINT, show_endpoint, P + "get_endpoint", SYSTEM, reply=_ENDPOINT_REPLY),
    Route("PATCH", _ENDPOINT, update_endpoint, P + "update_endpoint", ADMIN, 200, _ENDPOINT_REPLY, UpdateEndpoint),
    Route("DELETE", _ENDPOINT, delete_endpoint, P + "delete_endpoint", ADMIN, 204),
    list_route("/regions", list_regions, "list_regions", TOKEN, _REGIONS, arguments("parent_region_id")),
    Route("POST", "/regions", create_region, P + "create_region", ADMIN, 201, _REGION_REPLY, PutRegion),
    Route("GET", _REGION, show_region, P + "get_region", TOKEN, reply=_REGION_REPLY),
    Route("PUT", _REGION, create_region, P + "create_region", ADMIN, 201, _REGION_REPLY, PutRegion),
    Route("PATCH", _REGION, update_region, P + "update_region", ADMIN, 200, _REGION_REPLY, PutRegion),
    Route("DELETE", _REGION, delete_region, P + "delete_region", ADMIN, 204),
)
