# SPDX-License-Identifier: Apache-2.0
"""/os-quota-sets and /os-quota-class-sets: what projects may use.

Source: Compute API reference, "Quota sets" and "Quota class sets".  Limits are of projects; a user has none of his own,
which `user_id` would mean.
"""

from dataclasses import asdict

from kilonova.api.compute.admin.quota_models import (
    WITHOUT_EFFECT,
    UpdateQuotaClassSet,
    UpdateQuotaSet,
    of_classes,
    of_projects,
)
from kilonova.api.compute.strict import NO_QUERY, STRICT
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers.identity import find_project
from kilonova.db.readers.quotas import DEFAULT_CLASS, Standing, class_key
from kilonova.db.transaction import Snapshot
from kilonova.objects.quota import Limits
from kilonova.rpcapi.api_to_conductor import DELETE_QUOTAS, SET_QUOTAS, DeleteQuotas, SetQuotas

ARGUMENTS = frozenset({"user_id"})
_LONGEST_CLASS = 58


async def show(call: Call) -> Reply:
    """GET /os-quota-sets/{project}: the project's own limits where it has some, the defaults for the rest."""
    standing = await _standing(call)
    return json_reply({"quota_set": {"id": call.params["project_id"], **_shown(call, standing.limits)}})


async def show_defaults(call: Call) -> Reply:
    """GET /os-quota-sets/{project}/defaults."""
    await _standing(call)
    return json_reply({"quota_set": {"id": call.params["project_id"], **_shown(call, await _defaults(call))}})


async def show_detail(call: Call) -> Reply:
    """GET /os-quota-sets/{project}/detail: with what is used.  Nothing is ever reserved: it is taken at once."""
    standing = await _standing(call)
    used = {**asdict(standing.used), "server_groups": standing.server_groups}
    detail = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in _shown(call, standing.limits).items()
    }
    return json_reply({"quota_set": {"id": call.params["project_id"], **detail}})


async def update(call: Call, body: UpdateQuotaSet) -> Reply:
    """PUT /os-quota-sets/{project}."""
    _refuse_user(call)
    limits = body.quota_set.asked(of_projects(call.version), "quota_set")
    await _standing(call)
    project_id = call.params["project_id"]
    await call.deps.rpc.call(SET_QUOTAS, SetQuotas(project_id, limits, body.quota_set.force))
    standing = await _standing(call)
    return json_reply({"quota_set": _shown(call, standing.limits)})


async def delete(call: Call) -> Reply:
    """DELETE /os-quota-sets/{project}: back to the defaults.  That it has no limits of its own is no error."""
    _refuse_user(call)
    await call.deps.rpc.call(DELETE_QUOTAS, DeleteQuotas(call.params["project_id"]))
    return Reply()


async def show_class(call: Call) -> Reply:
    """GET /os-quota-class-sets/{class}: of the class "default", what projects without limits of their own may use.
    Other classes can be set and read as in Nova, and no project is in them."""
    return json_reply({"quota_class_set": {"id": _class(call), **await _of_class(call)}})


async def update_class(call: Call, body: UpdateQuotaClassSet) -> Reply:
    """PUT /os-quota-class-sets/{class}: wins over the configuration."""
    limits = body.quota_class_set.asked(of_classes(call.version), "quota_class_set")
    await call.deps.rpc.call(SET_QUOTAS, SetQuotas(class_key(_class(call)), limits, force=True))
    return json_reply({"quota_class_set": await _of_class(call)})


def _class(call: Call) -> str:
    name = call.params["class_id"]
    if len(name) > _LONGEST_CLASS:
        raise InvalidInput(f"The name of a quota class has at most {_LONGEST_CLASS} characters.", path="class_id")
    return name


async def _of_class(call: Call) -> dict[str, int]:
    limits = await call.db.read(read_quotas.class_limits, _configured(call), _class(call))
    return {name: limits[name] for name in of_classes(call.version)}


def _refuse_user(call: Call) -> None:
    if call.query.text("user_id") is not None:
        raise InvalidInput("Quotas of single users are not supported: they are of the project.", path="user_id")


async def _standing(call: Call) -> Standing:
    project_id = call.params["project_id"]
    return await call.db.read(_of_project, _configured(call), project_id, project_id == call.context.project_id)


def _of_project(snapshot: Snapshot, configured: Limits, project_id: str, is_known: bool) -> Standing:
    if not is_known and find_project(snapshot, project_id=project_id) is None:
        raise InvalidInput(f"Project ID {project_id[:64]} is not a valid project.", path="project_id")
    return read_quotas.standing(snapshot, configured, project_id)


def _configured(call: Call) -> Limits:
    return {**WITHOUT_EFFECT, **call.deps.quotas.defaults}


async def _defaults(call: Call) -> Limits:
    return await call.db.read(read_quotas.limits, _configured(call), DEFAULT_CLASS)


def _shown(call: Call, limits: Limits) -> dict[str, int]:
    return {name: limits[name] for name in of_projects(call.version)}


ROUTES = (
    Route("GET", "/os-quota-sets/{project_id}", show, "os_compute_api:os-quota-sets:show", DefaultPolicy.READER,
        note="{quota_set}", query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}/defaults", show_defaults, "os_compute_api:os-quota-sets:defaults",
        DefaultPolicy.READER, note="{quota_set}", query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}/detail", show_detail, "os_compute_api:os-quota-sets:detail",
        DefaultPolicy.READER, note="{quota_set}, each with limit, in_use, reserved", query=ARGUMENTS, strict=STRICT),
    Route("PUT", "/os-quota-sets/{project_id}", update, "os_compute_api:os-quota-sets:update", DefaultPolicy.ADMIN,
        note="{quota_set}", body=UpdateQuotaSet, query=ARGUMENTS, strict=STRICT),
    Route("DELETE", "/os-quota-sets/{project_id}", delete, "os_compute_api:os-quota-sets:delete", DefaultPolicy.ADMIN,
        202, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-class-sets/{class_id}", show_class, "os_compute_api:os-quota-class-sets:show",
        DefaultPolicy.ADMIN, note="{quota_class_set}", query=NO_QUERY, strict=STRICT),
    Route("PUT", "/os-quota-class-sets/{class_id}", update_class, "os_compute_api:os-quota-class-sets:update",
        DefaultPolicy.ADMIN, note="{quota_class_set}", body=UpdateQuotaClassSet, query=NO_QUERY, strict=STRICT),
)  # fmt: skip
