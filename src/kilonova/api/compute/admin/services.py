# SPDX-License-Identifier: Apache-2.0
"""Compute services: list them, enable, disable or force them down.

Source: Compute API reference, "Compute services".  Binaries have the names that clients expect: nova-compute for
kilonova-compute, and so on.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from kilonova.api.compute.admin.service_lookup import INTERNAL, all_services
from kilonova.api.compute.fields import Boolean
from kilonova.api.compute.integer_ids import number_of, pick
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.ids import require_uuid
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import OMIT, Member, View, many, one
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.base.unset import UNSET, unset_if_none
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.service import Service
from kilonova.rpcapi.api_to_conductor import UPDATE_SERVICE, UpdateService
from kilonova.rpcapi.api_to_conductor_admin import DELETE_SERVICE, DeleteService

ARGUMENTS = frozenset({"host", "binary"})

_OURS, _SHOWN = "kilonova-", "nova-"

_Reason = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_HostText = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ServiceChanges(Body):
    """`disabled_reason` needs the status disabled."""

    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: _Reason | None = None
    forced_down: Boolean | None = None


class ServiceByHost(Body):
    """A service by host and binary, until 2.52."""

    since: ClassVar = {"forced_down": v2(11)}

    host: _HostText
    binary: _HostText
    disabled_reason: _Reason | None = None
    forced_down: Boolean | None = None


def shown_binary(binary: str) -> str:
    """The name of a service for clients."""
    return _SHOWN + binary.removeprefix(_OURS) if binary.startswith(_OURS) else binary


def _stored_binary(binary: str | None) -> str | None:
    if binary is not None and binary.startswith(_SHOWN):
        return _OURS + binary.removeprefix(_SHOWN)
    return binary


def shown_zone(service: Service) -> str:
    """The availability zone of a compute service; "internal" for other services."""
    return service.zone if service.binary == COMPUTE else INTERNAL


M = Member[Service, Call]
_SERVICE = View(
    "ComputeService",
    M("id", int, lambda service, _: number_of(service.id), until=v2(52)),
    M("id", str, lambda service, _: service.id, since=v2(53)),
    M("binary", str, lambda service, _: shown_binary(service.binary)),
    M("host", str, lambda service, _: service.host),
    M("zone", str, lambda service, _: shown_zone(service)),
    M("status", str, lambda service, _: "disabled" if service.disabled else "enabled"),
    M("state", str, lambda service, _: "up" if service.up and not service.forced_down else "down"),
    M("updated_at", str | None, lambda service, _: micros(service.updated_at)),
    M("disabled_reason", str | None, lambda service, _: service.disabled_reason),
    M("forced_down", bool, lambda service, _: service.forced_down, since=v2(11)),
)
_ALL, _ONE = many("services", _SERVICE), one("service", _SERVICE)


@dataclass(frozen=True, slots=True)
class _Switched:
    """The answer to enabling or disabling a service until 2.52."""

    request: ServiceByHost
    disabled: bool


def _reason(switched: _Switched, _: Call) -> object:
    reason = switched.request.disabled_reason
    return OMIT if reason is None else reason


_S = Member[_Switched, Call]
_SWITCHED = one(
    "service",
    View(
        "ServiceStatus",
        _S("host", str, lambda switched, _: switched.request.host),
        _S("binary", str, lambda switched, _: switched.request.binary),
        _S("status", str, lambda switched, _: "disabled" if switched.disabled else "enabled"),
        _S("disabled_reason", str, _reason, optional=True),
    ),
)
_F = Member[tuple[str, str, bool], Call]
_FORCED = one(
    "service",
    View(
        "ServiceForcedDown",
        _F("host", str, lambda forced, _: forced[0]),
        _F("binary", str, lambda forced, _: forced[1]),
        _F("forced_down", bool, lambda forced, _: forced[2]),
    ),
)


async def list_services(call: Call) -> Reply:
    """List services."""
    found = await _services(call, call.query.text("host"), call.query.text("binary"))
    return _ALL.reply(found, call)


async def _services(call: Call, host: str | None, binary: str | None) -> list[Service]:
    found = await all_services(call)
    binary = _stored_binary(binary)
    return [s for s in found if host in (None, s.host) and binary in (None, s.binary)]


async def update(call: Call, body: ServiceChanges) -> Reply:
    """Enable, disable or force down a compute service (from 2.53)."""
    require_uuid("service_id", call.params["service_id"])
    if not body.model_fields_set:
        raise InvalidInput(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified.", path="status"
        )
    if body.disabled_reason is not None and body.status != "disabled":
        raise InvalidInput('Specifying disabled_reason requires that status is "disabled".', path="disabled_reason")
    service = pick(await all_services(call), call.params["service_id"], call.version, "Service")
    _require_host(service.binary)
    await call.deps.rpc.call(
        UPDATE_SERVICE,
        UpdateService(
            service_id=service.id,
            disabled=UNSET if body.status is None else body.status == "disabled",
            disabled_reason=body.disabled_reason,
            forced_down=unset_if_none(body.forced_down),
        ),
    )
    after = await call.db.read(hosts.get_service, service.id)
    return _ONE.reply(after, call)


async def delete(call: Call) -> Reply:
    """Delete a service that is down, with its host and the records of that host."""
    wanted = call.params["service_id"]
    if call.version < v2(53) and not (wanted.isascii() and wanted.isdigit()):
        raise InvalidInput("id must be an integer", path="service_id")
    service = pick(await all_services(call), wanted, call.version, "Service")
    _require_host(service.binary)
    await call.deps.rpc.call(DELETE_SERVICE, DeleteService(service.id))
    return Reply()


async def enable(call: Call, body: ServiceByHost) -> Reply:
    """Enable a service (until 2.52)."""
    return await _switch(call, body, disabled=False)


async def disable(call: Call, body: ServiceByHost) -> Reply:
    """Disable a service (until 2.52)."""
    return await _switch(call, body, disabled=True)


async def disable_with_reason(call: Call, body: ServiceByHost) -> Reply:
    """Disable a service with a reason (until 2.52)."""
    if body.disabled_reason is None:
        raise InvalidInput("Missing disabled reason field", path="disabled_reason")
    return await _switch(call, body, disabled=True)


async def unknown_action(call: Call) -> Reply:
    """Any other action on services: 404 (until 2.52)."""
    raise NotFound(f"Unknown action: {call.params['service_id'][:64]}.")


async def force_down(call: Call, body: ServiceByHost) -> Reply:
    """Force down a service, or take that back (2.11 to 2.52)."""
    if body.forced_down is None:
        raise InvalidInput("Missing forced_down field", path="forced_down")
    service = await _by_host(call, body)
    await call.deps.rpc.call(UPDATE_SERVICE, UpdateService(service.id, forced_down=body.forced_down))
    return _FORCED.reply((body.host, body.binary, body.forced_down), call)


async def _switch(call: Call, body: ServiceByHost, *, disabled: bool) -> Reply:
    service = await _by_host(call, body)
    await call.deps.rpc.call(
        UPDATE_SERVICE,
        UpdateService(service.id, disabled=disabled, disabled_reason=body.disabled_reason if disabled else None),
    )
    return _SWITCHED.reply(_Switched(body, disabled=disabled), call)


def _require_host(binary: str) -> None:
    if binary != COMPUTE:
        shown = shown_binary(binary)
        message = f"Updating a {shown} service is not supported. Only nova-compute services can be updated."
        raise InvalidInput(message, path="status")


async def _by_host(call: Call, body: ServiceByHost) -> Service:
    _require_host(_stored_binary(body.binary) or "")
    for service in await _services(call, body.host, body.binary):
        return service
    raise NotFound(f"Could not find binary {body.binary} on host {body.host}.")


ROUTES = (
    Route("GET", "/os-services", list_services, "os_compute_api:os-services:list", DefaultPolicy.ADMIN,
        reply=_ALL, query=ARGUMENTS, strict=STRICT),
    Route("PUT", "/os-services/{service_id}", update, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        reply=_ONE, body=ServiceChanges, min=v2(53)),
    Route("DELETE", "/os-services/{service_id}", delete, "os_compute_api:os-services:delete", DefaultPolicy.ADMIN,
        204),
    Route("PUT", "/os-services/enable", enable, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        reply=_SWITCHED, body=ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/disable", disable, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        reply=_SWITCHED, body=ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/disable-log-reason", disable_with_reason, "os_compute_api:os-services:update",
        DefaultPolicy.ADMIN, reply=_SWITCHED, body=ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/force-down", force_down, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        reply=_FORCED, body=ServiceByHost, min=v2(11), max=v2(52)),
    Route("PUT", "/os-services/{service_id}", unknown_action, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        note="always 404: unknown action", max=v2(52)),
)  # fmt: skip
