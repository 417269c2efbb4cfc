# SPDX-License-Identifier: Apache-2.0
"""Availability zones, as the hosts say which they are in.

Source: Compute API reference, "Availability zones".
"""

from typing import Any

from kilonova.api.compute.admin.service_lookup import all_services
from kilonova.api.compute.admin.services import shown_binary, shown_zone
from kilonova.api.compute.strict import NO_QUERY, STRICT
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.service import Service


async def list_zones(call: Call) -> Reply:
    """GET /os-availability-zone: names, without hosts."""
    services = [service for service in await call.db.read(hosts.list_services) if service.binary == COMPUTE]
    return json_reply(
        {"availabilityZoneInfo": [{**_zone(name, some), "hosts": None} for name, some in _by_zone(services).items()]}
    )


async def list_zones_detail(call: Call) -> Reply:
    """GET /os-availability-zone/detail: with the enabled services of each host; those that are no hosts are in
    "internal".  A zone without an enabled service has no hosts."""
    services = await all_services(call)
    return json_reply(
        {
            "availabilityZoneInfo": [
                {**_zone(name, some), "hosts": _hosts(some)} for name, some in _by_zone(services).items()
            ]
        }
    )


def _by_zone(services: list[Service]) -> dict[str, list[Service]]:
    zones: dict[str, list[Service]] = {}
    for service in services:
        zones.setdefault(shown_zone(service), []).append(service)
    return dict(sorted(zones.items()))


def _zone(name: str, services: list[Service]) -> dict[str, Any]:
    """A zone is available while one of its services is enabled."""
    return {"zoneName": name, "zoneState": {"available": any(not service.disabled for service in services)}}


def _hosts(services: list[Service]) -> dict[str, dict[str, Any]] | None:
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        if service.disabled:
            continue
        found.setdefault(service.host, {})[shown_binary(service.binary)] = {
            "active": True,
            "available": service.up and not service.forced_down,
            "updated_at": micros(service.updated_at),
        }
    return found or None


ROUTES = (
    Route("GET", "/os-availability-zone", list_zones, "os_compute_api:os-availability-zone:list",
        DefaultPolicy.READER, note="{availabilityZoneInfo: [...]}", query=NO_QUERY, strict=STRICT),
    Route("GET", "/os-availability-zone/detail", list_zones_detail, "os_compute_api:os-availability-zone:detail",
        DefaultPolicy.ADMIN, note="{availabilityZoneInfo: [...]}", query=NO_QUERY, strict=STRICT),
)  # fmt: skip
