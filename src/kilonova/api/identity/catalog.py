# SPDX-License-Identifier: Apache-2.0
"""The service catalog: the URL of each service as the client reaches it.  It contains this process's own services and
those that an administrator added."""

import hashlib
from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from kilonova.api.http.call import Call
from kilonova.db.readers import service_catalog as readers
from kilonova.objects.identity import CatalogEntry, EntryKind

REGION = "RegionOne"

_SERVICES = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
)
_INTERFACES = ("public", "internal", "admin")


class CatalogEndpoint(TypedDict):
    """An endpoint in the catalog of a token."""

    id: str
    interface: str
    region: str | None
    region_id: str | None
    url: str


class CatalogService(TypedDict):
    """A service with its endpoints, in the catalog of a token."""

    type: str
    name: str
    id: str
    endpoints: list[CatalogEndpoint]


def own_catalog(base: str) -> list[CatalogService]:
    """The services of this process.  Their ids are hashes of their names, so that they never change."""
    return [
        {
            "type": kind,
            "name": name,
            "id": stable_id(kind),
            "endpoints": [
                {
                    "id": stable_id(kind, interface),
                    "interface": interface,
                    "region": REGION,
                    "region_id": REGION,
                    "url": f"{base}{path}",
                }
                for interface in _INTERFACES
            ],
        }
        for kind, name, path in _SERVICES
    ]


async def catalog_of(call: Call, user_id: str, project_id: str) -> list[CatalogService]:
    """The catalog for a user and a project; `project_id` is empty for a token without a project."""
    services = own_catalog(call.links.base)
    entries: list[CatalogEntry] = await call.db.read(readers.list_entries)
    for entry in entries:
        if entry.kind is EntryKind.SERVICE and entry.body["enabled"]:
            name: str = entry.body.get("name") or ""
            services.append({"type": entry.body["type"], "name": name, "id": entry.id, "endpoints": []})
    values = {"user_id": user_id, **({"project_id": project_id, "tenant_id": project_id} if project_id else {})}
    by_id = {service["id"]: service for service in services}
    for entry in entries:
        if entry.kind is EntryKind.ENDPOINT and entry.body["enabled"] and entry.body["service_id"] in by_id:
            url = _fill_placeholders(entry.body["url"], values)
            if url is not None:
                by_id[entry.body["service_id"]]["endpoints"].append(_endpoint(entry.id, entry.body, url))
    return services


def _endpoint(endpoint_id: str, body: Mapping[str, Any], url: str) -> CatalogEndpoint:
    region: str | None = body["region_id"]
    return {"id": endpoint_id, "interface": body["interface"], "region_id": region, "region": region, "url": url}


def _fill_placeholders(url: str, values: Mapping[str, str]) -> str | None:
    """The URL with $(project_id)s and similar placeholders filled in; None when one of them has no value, because the
    token has no project."""
    for name, word in values.items():
        url = url.replace(f"$({name})s", word).replace(f"%({name})s", word)
    return None if "$(" in url or "%(" in url else url


def stable_id(*words: str) -> str:
    """An id that is a hash of names, so that it never changes."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()[:32]
