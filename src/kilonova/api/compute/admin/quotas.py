# SPDX-License-Identifier: Apache-2.0
"""/os-quota-sets and /os-quota-class-sets: limits of projects.

Source: Compute API reference, "Quota sets" and "Quota class sets".  Projects have limits; single users (`user_id`) have
none.
"""

from dataclasses import asdict

from kilonova.api.compute.admin.quota_models import (
    QUOTA_CLASS,
    QUOTA_DETAILS,
    QUOTA_SET,
    UPDATED_QUOTA_CLASS,
    UPDATED_QUOTA_SET,
    WITHOUT_EFFECT,
    Quotas,
    UpdateQuotaClassSet,
    UpdateQuotaSet,
    of_classes,
    of_projects,
)
from kilonova.api.compute.strict import NO_QUERY, STRICT
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers.identity import find_project
from kilonova.db.readers.quotas import DEFAULT_CLASS, LimitsAndUsage, class_key
from kilonova.db.transaction import Snapshot
from kilonova.objects.quota import Limits
from kilonova.rpcapi.api_to_conductor import DELETE_QUOTAS, SET_QUOTAS, DeleteQuotas, SetQuotas

ARGUMENTS = frozenset({"user_id"})
_LONGEST_CLASS = 58


async def show(call: Call) -> Reply:
    """Show the limits of a project: its own, and the defaults for the rest."""
    limits_and_usage = await _standing(call)
    return QUOTA_SET.reply(Quotas(call.params["project_id"], limits_and_usage.limits), call)


async def show_defaults(call: Call) -> Reply:
    """Show the default limits of projects."""
    await _standing(call)
    return QUOTA_SET.reply(Quotas(call.params["project_id"], await _defaults(call)), call)


async def show_detail(call: Call) -> Reply:
    """Show the limits and the usage of a project."""
    limits_and_usage = await _standing(call)
    used = {**asdict(limits_and_usage.used), "server_groups": limits_and_usage.server_groups}
    return QUOTA_DETAILS.reply(Quotas(call.params["project_id"], limits_and_usage.limits, used), call)


async def update(call: Call, body: UpdateQuotaSet) -> Reply:
    """Update the limits of a project."""
    _refuse_user(call)
    limits = body.quota_set.given(of_projects(call.version), "quota_set")
    await _standing(call)
    project_id = call.params["project_id"]
    await call.deps.rpc.call(SET_QUOTAS, SetQuotas(project_id, limits, body.quota_set.force))
    limits_and_usage = await _standing(call)
    return UPDATED_QUOTA_SET.reply(Quotas(project_id, limits_and_usage.limits), call)


async def delete(call: Call) -> Reply:
    """Reset a project to the default limits."""
    _refuse_user(call)
    await call.deps.rpc.call(DELETE_QUOTAS, DeleteQuotas(call.params["project_id"]))
    return Reply()


async def show_class(call: Call) -> Reply:
    """Show the limits of a quota class.

    The class "default" has the limits of projects without their own limits.  Other classes can be set and shown, as in
    Nova, and have no effect.
    """
    return QUOTA_CLASS.reply(await _of_class(call), call)


async def update_class(call: Call, body: UpdateQuotaClassSet) -> Reply:
    """Update the limits of a quota class.  They take precedence over the configuration."""
    limits = body.quota_class_set.given(of_classes(call.version), "quota_class_set")
    await call.deps.rpc.call(SET_QUOTAS, SetQuotas(class_key(_class(call)), limits, force=True))
    return UPDATED_QUOTA_CLASS.reply(await _of_class(call), call)


def _class(call: Call) -> str:
    name = call.params["class_id"]
    if len(name) > _LONGEST_CLASS:
        raise InvalidInput(f"The name of a quota class has at most {_LONGEST_CLASS} characters.", path="class_id")
    return name


async def _of_class(call: Call) -> Quotas:
    name = _class(call)
    return Quotas(name, await call.db.read(read_quotas.class_limits, _configured(call), name))


def _refuse_user(call: Call) -> None:
    if call.query.text("user_id") is not None:
        raise InvalidInput("Quotas of single users are not supported: quotas belong to projects.", path="user_id")


async def _standing(call: Call) -> LimitsAndUsage:
    project_id = call.params["project_id"]
    return await call.db.read(_of_project, _configured(call), project_id, project_id == call.context.project_id)


def _of_project(snapshot: Snapshot, configured: Limits, project_id: str, is_known: bool) -> LimitsAndUsage:
    if not is_known and find_project(snapshot, project_id=project_id) is None:
        raise InvalidInput(f"Project ID {project_id[:64]} is not a valid project.", path="project_id")
    return read_quotas.limits_and_usage(snapshot, configured, project_id)


def _configured(call: Call) -> Limits:
    return {**WITHOUT_EFFECT, **call.deps.quotas.defaults}


async def _defaults(call: Call) -> Limits:
    return await call.db.read(read_quotas.limits, _configured(call), DEFAULT_CLASS)


ROUTES = (
    Route("GET", "/os-quota-sets/{project_id}", show, "os_compute_api:os-quota-sets:show", DefaultPolicy.READER,
        reply=QUOTA_SET, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}/defaults", show_defaults, "os_compute_api:os-quota-sets:defaults",
        DefaultPolicy.READER, reply=QUOTA_SET, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-sets/{project_id}/detail", show_detail, "os_compute_api:os-quota-sets:detail",
        DefaultPolicy.READER, reply=QUOTA_DETAILS, query=ARGUMENTS, strict=STRICT),
    Route("PUT", "/os-quota-sets/{project_id}", update, "os_compute_api:os-quota-sets:update", DefaultPolicy.ADMIN,
        reply=UPDATED_QUOTA_SET, body=UpdateQuotaSet, query=ARGUMENTS, strict=STRICT),
    Route("DELETE", "/os-quota-sets/{project_id}", delete, "os_compute_api:os-quota-sets:delete", DefaultPolicy.ADMIN,
        202, query=ARGUMENTS, strict=STRICT),
    Route("GET", "/os-quota-class-sets/{class_id}", show_class, "os_compute_api:os-quota-class-sets:show",
        DefaultPolicy.ADMIN, reply=QUOTA_CLASS, query=NO_QUERY, strict=STRICT),
    Route("PUT", "/os-quota-class-sets/{class_id}", update_class, "os_compute_api:os-quota-class-sets:update",
        DefaultPolicy.ADMIN, reply=UPDATED_QUOTA_CLASS, body=UpdateQuotaClassSet, query=NO_QUERY, strict=STRICT),
)  # fmt: skip
