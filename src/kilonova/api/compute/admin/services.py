# SPDX-License-Identifier: Apache-2.0
"""Services: who serves, and an operator's word on them.

Source: Compute API reference, "Compute services".  Binaries are shown under the names that clients look for:
nova-compute for kilonova-compute, and so on.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import StringConstraints

from kilonova.api.compute.admin.service_lookup import INTERNAL, all_services
from kilonova.api.compute.fields import Boolean
from kilonova.api.compute.integer_ids import pick, shown_id
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.ids import require_uuid
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
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
    """A reason belongs to disabling."""

    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: _Reason | None = None
    forced_down: Boolean | None = None


class ServiceByHost(Body):
    """The form before 2.53."""

    since: ClassVar = {"forced_down": v2(11)}

    host: _HostText
    binary: _HostText
    disabled_reason: _Reason | None = None
    forced_down: Boolean | None = None


def shown_binary(binary: str) -> str:
    """The name under which clients know a service of ours."""
    return _SHOWN + binary.removeprefix(_OURS) if binary.startswith(_OURS) else binary


def _stored_binary(binary: str | None) -> str | None:
    if binary is not None and binary.startswith(_SHOWN):
        return _OURS + binary.removeprefix(_SHOWN)
    return binary


def shown_zone(service: Service) -> str:
    """Only hosts are in a zone of their own."""
    return service.zone if service.binary == COMPUTE else INTERNAL


async def list_services(call: Call) -> Reply:
    """GET /os-services."""
    found = await _services(call, call.query.text("host"), call.query.text("binary"))
    return json_reply({"services": [_service(service, call) for service in found]})


async def _services(call: Call, host: str | None, binary: str | None) -> list[Service]:
    found = await all_services(call)
    binary = _stored_binary(binary)
    return [s for s in found if host in (None, s.host) and binary in (None, s.binary)]


async def update(call: Call, body: ServiceChanges) -> Reply:
    """PUT /os-services/{id}, from 2.53."""
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
    return json_reply({"service": _service(after, call)})


async def delete(call: Call) -> Reply:
    """DELETE /os-services/{id}: one that is down, with its host and all that the host had."""
    asked = call.params["service_id"]
    if call.version < v2(53) and not (asked.isascii() and asked.isdigit()):
        raise InvalidInput("id must be an integer", path="service_id")
    service = pick(await all_services(call), asked, call.version, "Service")
    _require_host(service.binary)
    await call.deps.rpc.call(DELETE_SERVICE, DeleteService(service.id))
    return Reply()


async def enable(call: Call, body: ServiceByHost) -> Reply:
    """PUT /os-services/enable, below 2.53."""
    return await _switch(call, body, disabled=False)


async def disable(call: Call, body: ServiceByHost) -> Reply:
    """PUT /os-services/disable, below 2.53."""
    return await _switch(call, body, disabled=True)


async def disable_with_reason(call: Call, body: ServiceByHost) -> Reply:
    """PUT /os-services/disable-log-reason, below 2.53."""
    if body.disabled_reason is None:
        raise InvalidInput("Missing disabled reason field", path="disabled_reason")
    return await _switch(call, body, disabled=True)


async def no_such_word(call: Call) -> Reply:
    """PUT /os-services/{word}, below 2.53: of any other word."""
    raise NotFound(f"Unknown action: {call.params['service_id'][:64]}.")


async def force_down(call: Call, body: ServiceByHost) -> Reply:
    """PUT /os-services/force-down, from 2.11 and below 2.53."""
    if body.forced_down is None:
        raise InvalidInput("Missing forced_down field", path="forced_down")
    service = await _by_host(call, body)
    await call.deps.rpc.call(UPDATE_SERVICE, UpdateService(service.id, forced_down=body.forced_down))
    answer = {"host": body.host, "binary": body.binary, "forced_down": body.forced_down}
    return json_reply({"service": answer})


async def _switch(call: Call, body: ServiceByHost, *, disabled: bool) -> Reply:
    service = await _by_host(call, body)
    await call.deps.rpc.call(
        UPDATE_SERVICE,
        UpdateService(service.id, disabled=disabled, disabled_reason=body.disabled_reason if disabled else None),
    )
    answer = {"host": body.host, "binary": body.binary, "status": "disabled" if disabled else "enabled"}
    if body.disabled_reason is not None:
        answer["disabled_reason"] = body.disabled_reason
    return json_reply({"service": answer})


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


def _service(service: Service, call: Call) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": shown_id(service.id, call.version),
        "binary": shown_binary(service.binary),
        "host": service.host,
        "zone": shown_zone(service),
        "status": "disabled" if service.disabled else "enabled",
        "state": "up" if service.up and not service.forced_down else "down",
        "updated_at": micros(service.updated_at),
        "disabled_reason": service.disabled_reason,
    }
    if call.version >= v2(11):
        shown["forced_down"] = service.forced_down
    return shown


ROUTES = (
    Route("GET", "/os-services", list_services, "os_compute_api:os-services:list", DefaultPolicy.ADMIN,
        note="{services: [...]}", query=ARGUMENTS, strict=STRICT),
    Route("PUT", "/os-services/{service_id}", update, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        note="{service}", body=ServiceChanges, min=v2(53)),
    Route("DELETE", "/os-services/{service_id}", delete, "os_compute_api:os-services:delete", DefaultPolicy.ADMIN,
        204),
    Route("PUT", "/os-services/enable", enable, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        note="{service}", body=ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/disable", disable, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        note="{service}", body=ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/disable-log-reason", disable_with_reason, "os_compute_api:os-services:update",
        DefaultPolicy.ADMIN, note="{service}", body=ServiceByHost, max=v2(52)),
    Route("PUT", "/os-services/force-down", force_down, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        note="{service}", body=ServiceByHost, min=v2(11), max=v2(52)),
    Route("PUT", "/os-services/{service_id}", no_such_word, "os_compute_api:os-services:update", DefaultPolicy.ADMIN,
        note="404: any other word", max=v2(52)),
)  # fmt: skip
