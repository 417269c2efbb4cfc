# SPDX-License-Identifier: Apache-2.0
"""Availability zones.  Each host reports its zone.

Source: Compute API reference, "Availability zones".
"""

from typing_extensions import TypedDict

from kilonova.api.compute.admin.service_lookup import all_services
from kilonova.api.compute.admin.services import shown_binary, shown_zone
from kilonova.api.compute.strict import NO_QUERY, STRICT
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import Member, View, many
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.service import Service


class ZoneState(TypedDict):
    """A zone is available while one of its services is enabled."""

    available: bool


class ZoneService(TypedDict):
    """A service of a host in a zone."""

    active: bool
    available: bool
    updated_at: str | None


ZoneHosts = dict[str, dict[str, ZoneService]]
"""Services by their binary, by host."""

_Zone = tuple[str, list[Service]]


async def list_zones(call: Call) -> Reply:
    """List the names of availability zones, without hosts."""
    services = [service for service in await call.db.read(hosts.list_services) if service.binary == COMPUTE]
    return _NAMES.reply(_by_zone(services).items(), call)


async def list_zones_detail(call: Call) -> Reply:
    """List availability zones with the enabled services of each host.

    Services other than compute services are in "internal".  A zone without an enabled service has no hosts.
    """
    return _DETAILS.reply(_by_zone(await all_services(call)).items(), call)


def _by_zone(services: list[Service]) -> dict[str, list[Service]]:
    zones: dict[str, list[Service]] = {}
    for service in services:
        zones.setdefault(shown_zone(service), []).append(service)
    return dict(sorted(zones.items()))


def _state(services: list[Service]) -> ZoneState:
    return {"available": any(not service.disabled for service in services)}


def _hosts(services: list[Service]) -> ZoneHosts | None:
    found: ZoneHosts = {}
    for service in services:
        if service.disabled:
            continue
        found.setdefault(service.host, {})[shown_binary(service.binary)] = {
            "active": True,
            "available": service.up and not service.forced_down,
            "updated_at": micros(service.updated_at),
        }
    return found or None


_NAME = Member[_Zone, Call]("zoneName", str, lambda zone, _: zone[0])
_STATE = Member[_Zone, Call]("zoneState", ZoneState, lambda zone, _: _state(zone[1]))
_NAMES = many(
    "availabilityZoneInfo", View("AvailabilityZone", _NAME, _STATE, Member("hosts", None, lambda _, __: None))
)
_DETAILS = many(
    "availabilityZoneInfo",
    View("AvailabilityZoneDetail", _NAME, _STATE, Member("hosts", ZoneHosts | None, lambda zone, _: _hosts(zone[1]))),
)

ROUTES = (
    Route("GET", "/os-availability-zone", list_zones, "os_compute_api:os-availability-zone:list",
        DefaultPolicy.READER, reply=_NAMES, query=NO_QUERY, strict=STRICT),
    Route("GET", "/os-availability-zone/detail", list_zones_detail, "os_compute_api:os-availability-zone:detail",
        DefaultPolicy.ADMIN, reply=_DETAILS, query=NO_QUERY, strict=STRICT),
)  # fmt: skip
