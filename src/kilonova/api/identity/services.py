# SPDX-License-Identifier: Apache-2.0
"""The catalog piece by piece: services, endpoints and the one region.  They are what this process serves: nobody edits
them.

Source: Identity API v3 reference, "Service catalog and endpoints", "Regions".
"""

from collections.abc import Sequence
from typing import Any

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.identity.catalog import REGION, catalog
from kilonova.api.identity.domain import collection
from kilonova.base.errors import NotFound

SERVICE_ARGUMENTS = frozenset({"type", "name"})
ENDPOINT_ARGUMENTS = frozenset({"interface", "service_id", "region_id"})


async def list_services(call: Call) -> Reply:
    """GET /v3/services."""
    return collection(call, "services", _filtered(call, _services(call), SERVICE_ARGUMENTS))


async def show_service(call: Call) -> Reply:
    """GET /v3/services/{id}: by id only; a name is 404."""
    return _shown("service", _services(call), call.params["service_id"])


async def list_endpoints(call: Call) -> Reply:
    """GET /v3/endpoints."""
    return collection(call, "endpoints", _filtered(call, _endpoints(call), ENDPOINT_ARGUMENTS))


async def show_endpoint(call: Call) -> Reply:
    """GET /v3/endpoints/{id}."""
    return _shown("endpoint", _endpoints(call), call.params["endpoint_id"])


async def list_regions(call: Call) -> Reply:
    """GET /v3/regions."""
    return collection(call, "regions", _regions(call))


async def show_region(call: Call) -> Reply:
    """GET /v3/regions/{id}."""
    return _shown("region", _regions(call), call.params["region_id"])


_Things = Sequence[dict[str, Any]]


def _filtered(call: Call, things: _Things, names: frozenset[str]) -> _Things:
    wanted = {name: text for name in names if (text := call.query.text(name)) is not None}
    return [thing for thing in things if all(thing[name] == text for name, text in wanted.items())]


def _shown(kind: str, things: _Things, asked: str) -> Reply:
    for thing in things:
        if thing["id"] == asked:
            return json_reply({kind: thing})
    raise NotFound(f"Could not find {kind}: {asked[:64]}.")


def _enabled(call: Call, path: str) -> dict[str, Any]:
    return {"enabled": True, "links": {"self": call.links.to(path)}}


def _services(call: Call) -> _Things:
    return [
        {
            **{name: one[name] for name in ("id", "type", "name")},
            "description": "",
            **_enabled(call, f"/services/{one['id']}"),
        }
        for one in catalog(call.links.base)
    ]


def _endpoints(call: Call) -> _Things:
    return [
        {**endpoint, "service_id": one["id"], **_enabled(call, f"/endpoints/{endpoint['id']}")}
        for one in catalog(call.links.base)
        for endpoint in one["endpoints"]
    ]


def _regions(call: Call) -> _Things:
    links = {"self": call.links.to(f"/regions/{REGION}")}
    return [{"id": REGION, "description": "", "parent_region_id": None, "links": links}]
