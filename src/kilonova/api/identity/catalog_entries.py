# SPDX-License-Identifier: Apache-2.0
"""The catalog piece by piece: regions, services and endpoints.  What this process serves stays as it is; others are an
administrator's to add, for clients to find.

Source: Identity API v3 reference, "Service catalog and endpoints", "Regions".
"""

from collections.abc import Mapping
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.catalog import REGION, own_catalog
from kilonova.api.identity.domain import check_id, collection
from kilonova.api.identity.filters import matching
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
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.db.readers import service_catalog as readers
from kilonova.objects.identity import CatalogEntry, EntryKind
from kilonova.rpcapi import api_to_conductor_identity as methods

_Things = dict[str, dict[str, Any]]

_PARAMETER: Mapping[EntryKind, str] = {kind: f"{kind}_id" for kind in EntryKind}


async def _things(call: Call, kind: EntryKind) -> _Things:
    """What there is of it, by id, this process's own first."""
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
    for one in own_catalog(call.links.base):
        if kind is EntryKind.SERVICE:
            names = {name: one[name] for name in ("id", "type", "name")}
            found[one["id"]] = {**names, "description": "", "enabled": True}
        else:
            found |= {end["id"]: {**end, "service_id": one["id"], "enabled": True} for end in one["endpoints"]}
    return found


async def _list(call: Call, kind: EntryKind) -> Reply:
    return collection(call, f"{kind}s", matching(call.query, (await _things(call, kind)).values()))


async def _show(call: Call, kind: EntryKind, thing_id: str | None = None) -> Reply:
    asked = thing_id or call.params[_PARAMETER[kind]]
    thing = (await _things(call, kind)).get(asked)
    if thing is None:
        raise _missing(kind, asked)
    return json_reply({str(kind): thing})


def _missing(kind: EntryKind, asked: str) -> NotFound:
    return NotFound(f"Could not find {kind}: {asked[:64]}.")


async def _made(call: Call, kind: EntryKind) -> dict[str, Any]:
    """The thing of the path, without its links.  Raises NotFound, and Forbidden for this process's own."""
    asked = call.params[_PARAMETER[kind]]
    thing = (await _things(call, kind)).get(asked)
    if thing is None:
        raise _missing(kind, asked)
    if asked in _own(call, kind):
        raise Forbidden(f"The {kind} {asked} is this service's own: it stays as it is.")
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


def _given(asked: RegionFields | ServiceFields | EndpointFields, kind: EntryKind) -> dict[str, Any]:
    """What the body names, attributes without a meaning among it."""
    fields = {name: getattr(asked, name) for name in asked.model_fields_set & type(asked).model_fields.keys()}
    fields.pop("id", None)
    return {**asked.attributes(str(kind)), **fields}


def _new_id(call: Call) -> str:
    return call.deps.clock.new_id().replace("-", "")


async def list_services(call: Call) -> Reply:
    """GET /v3/services."""
    return await _list(call, EntryKind.SERVICE)


async def show_service(call: Call) -> Reply:
    """GET /v3/services/{id}: by id only; a name is 404."""
    return await _show(call, EntryKind.SERVICE)


async def create_service(call: Call, body: CreateService) -> Reply:
    """POST /v3/services."""
    check_id("service", body.service.id, None)
    defaults = {"enabled": True, "description": "", "name": ""}
    asked = {**defaults, **_given(body.service, EntryKind.SERVICE)}
    return await _put(call, EntryKind.SERVICE, _new_id(call), _service(asked))


async def update_service(call: Call, body: UpdateService) -> Reply:
    """PATCH /v3/services/{id}."""
    check_id("service", body.service.id, call.params["service_id"])
    changed = {**await _made(call, EntryKind.SERVICE), **_given(body.service, EntryKind.SERVICE)}
    return await _put(call, EntryKind.SERVICE, call.params["service_id"], _service(changed))


def _service(body: dict[str, Any]) -> dict[str, Any]:
    for name in ("type", "enabled"):
        if body[name] is None:
            raise InvalidInput(f"A service needs {name}.", path=f"service.{name}")
    return body


async def delete_service(call: Call) -> Reply:
    """DELETE /v3/services/{id}: with its endpoints."""
    return await _delete(call, EntryKind.SERVICE)


async def list_endpoints(call: Call) -> Reply:
    """GET /v3/endpoints."""
    return await _list(call, EntryKind.ENDPOINT)


async def show_endpoint(call: Call) -> Reply:
    """GET /v3/endpoints/{id}."""
    return await _show(call, EntryKind.ENDPOINT)


async def create_endpoint(call: Call, body: CreateEndpoint) -> Reply:
    """POST /v3/endpoints."""
    check_id("endpoint", body.endpoint.id, None)
    asked = {"enabled": True, "region_id": None, **_given(body.endpoint, EntryKind.ENDPOINT)}
    return await _put_endpoint(call, _new_id(call), asked)


async def update_endpoint(call: Call, body: UpdateEndpoint) -> Reply:
    """PATCH /v3/endpoints/{id}."""
    check_id("endpoint", body.endpoint.id, call.params["endpoint_id"])
    given = _given(body.endpoint, EntryKind.ENDPOINT)
    before = await _made(call, EntryKind.ENDPOINT)
    before.pop("region" if "region" not in given else "region_id")
    return await _put_endpoint(call, call.params["endpoint_id"], {"region_id": None, **before, **given})


async def _put_endpoint(call: Call, endpoint_id: str, body: dict[str, Any]) -> Reply:
    """Raises InvalidInput for what is missing, or for a service or a region that there is not."""
    for name in ("service_id", "interface", "url", "enabled"):
        if body.get(name) is None:
            raise InvalidInput(f"An endpoint needs {name}.", path=f"endpoint.{name}")
    if body["service_id"] not in await _things(call, EntryKind.SERVICE):
        raise InvalidInput(f"There is no service {body['service_id'][:64]}.", path="endpoint.service_id")
    old_name = body.pop("region", None)
    region = body["region_id"] = body["region_id"] or old_name
    more: list[CatalogEntry] = []
    if region is not None and region not in await _things(call, EntryKind.REGION):
        if region != old_name:
            raise InvalidInput(f"There is no region {region[:64]}.", path="endpoint.region_id")
        more = [CatalogEntry(EntryKind.REGION, region, {"description": "", "parent_region_id": None})]
    return await _put(call, EntryKind.ENDPOINT, endpoint_id, {**body, "region": region}, *more)


async def delete_endpoint(call: Call) -> Reply:
    """DELETE /v3/endpoints/{id}."""
    return await _delete(call, EntryKind.ENDPOINT)


async def list_regions(call: Call) -> Reply:
    """GET /v3/regions."""
    return await _list(call, EntryKind.REGION)


async def show_region(call: Call) -> Reply:
    """GET /v3/regions/{id}."""
    return await _show(call, EntryKind.REGION)


async def create_region(call: Call, body: PutRegion) -> Reply:
    """POST /v3/regions, and PUT /v3/regions/{id}."""
    region_id = call.params.get("region_id") or body.region.id or _new_id(call)
    check_id("region", body.region.id or None, region_id)
    if len(region_id) > 255:
        raise InvalidInput("A region's id has at most 255 characters.", path="region.id")
    if region_id in await _things(call, EntryKind.REGION):
        raise Conflict(f"There is a region {region_id} already.")
    asked = {"description": "", "parent_region_id": None, **_given(body.region, EntryKind.REGION)}
    return await _put_region(call, region_id, asked)


async def update_region(call: Call, body: PutRegion) -> Reply:
    """PATCH /v3/regions/{id}."""
    region_id = call.params["region_id"]
    check_id("region", body.region.id, region_id)
    changed = {**await _made(call, EntryKind.REGION), **_given(body.region, EntryKind.REGION)}
    return await _put_region(call, region_id, changed)


async def _put_region(call: Call, region_id: str, body: dict[str, Any]) -> Reply:
    """Raises NotFound (the parent), InvalidInput (it would be its own ancestor)."""
    body["description"] = body["description"] or ""
    regions, above = await _things(call, EntryKind.REGION), body["parent_region_id"]
    if above is not None and above not in regions:
        raise _missing(EntryKind.REGION, above)
    while above is not None:
        if above == region_id:
            raise InvalidInput("A region cannot be below itself.", path="region.parent_region_id")
        above = regions[above]["parent_region_id"]
    return await _put(call, EntryKind.REGION, region_id, body)


async def delete_region(call: Call) -> Reply:
    """DELETE /v3/regions/{id}: 403 while endpoints are in it; those below it go, too."""
    return await _delete(call, EntryKind.REGION)
