# SPDX-License-Identifier: Apache-2.0
"""GET /limits: the limits and the usage of a project.

Source: Compute API reference, "Limits".  -1 means unlimited.
"""

from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import MAX, Microversion, v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, Member, View, one
from kilonova.db.readers import quotas
from kilonova.db.readers.quotas import LimitsAndUsage
from kilonova.objects.quota import UNLIMITED

ARGUMENTS = frozenset({"reserved", "tenant_id"})


def _limit(name: str, resource: str, until: Microversion = MAX) -> Member[LimitsAndUsage, Call]:
    return Member(name, int, lambda limits_and_usage, _: limits_and_usage.limits[resource], until=until)


def _constant(name: str, value: int) -> Member[LimitsAndUsage, Call]:
    return Member(name, int, lambda _, __: value, until=v2(35))


M = Member[LimitsAndUsage, Call]
_LIMITS = one(
    "limits",
    View(
        "",
        M("rate", EmptyList, lambda _, __: []),
        M(
            "absolute",
            View(
                "AbsoluteLimits",
                _limit("maxTotalInstances", "instances"),
                _limit("maxTotalCores", "cores"),
                _limit("maxTotalRAMSize", "ram"),
                _limit("maxServerMeta", "metadata_items"),
                _limit("maxTotalKeypairs", "key_pairs"),
                _limit("maxServerGroups", "server_groups"),
                _limit("maxServerGroupMembers", "server_group_members"),
                M("totalInstancesUsed", int, lambda limits_and_usage, _: limits_and_usage.used.instances),
                M("totalCoresUsed", int, lambda limits_and_usage, _: limits_and_usage.used.cores),
                M("totalRAMUsed", int, lambda limits_and_usage, _: limits_and_usage.used.ram),
                M("totalServerGroupsUsed", int, lambda limits_and_usage, _: limits_and_usage.server_groups),
                _constant("maxTotalFloatingIps", UNLIMITED),
                _constant("maxSecurityGroups", UNLIMITED),
                _constant("maxSecurityGroupRules", UNLIMITED),
                _constant("totalFloatingIpsUsed", 0),
                _constant("totalSecurityGroupsUsed", 0),
                _limit("maxImageMeta", "metadata_items", until=v2(38)),
                _limit("maxPersonality", "injected_files", until=v2(56)),
                _limit("maxPersonalitySize", "injected_file_content_bytes", until=v2(56)),
            ),
            lambda limits_and_usage, _: limits_and_usage,
        ),
    ),
)


async def show_limits(call: Call) -> Reply:
    """Show limits and usage of the caller's project.  Administrators can name another project."""
    project_id = call.query.text("tenant_id") or call.context.project_id
    if project_id != call.context.project_id:
        call.permit("os_compute_api:limits:other_project")
    limits_and_usage = await call.db.read(quotas.limits_and_usage, call.deps.quotas.defaults, project_id)
    return _LIMITS.reply(limits_and_usage, call)


ROUTES = (
    Route("GET", "/limits", show_limits, "os_compute_api:limits", DefaultPolicy.READER, reply=_LIMITS,
        query=ARGUMENTS, strict=STRICT),
)  # fmt: skip
