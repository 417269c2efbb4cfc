# SPDX-License-Identifier: Apache-2.0
"""GET /limits: what a project may use.

Source: Compute API reference, "Limits".  -1 means unlimited.
"""

from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.db.readers import quotas
from kilonova.objects.quota import UNLIMITED

ARGUMENTS = frozenset({"reserved", "tenant_id"})


async def show_limits(call: Call) -> Reply:
    """The caller's project's; another's for an administrator who names it."""
    project_id = call.query.text("tenant_id") or call.context.project_id
    if project_id != call.context.project_id:
        call.permit("os_compute_api:limits:other_project")
    standing = await call.db.read(quotas.standing, call.deps.quotas.defaults, project_id)
    limits, used = standing.limits, standing.used
    absolute: dict[str, int] = {
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalRAMSize": limits["ram"],
        "maxServerMeta": limits["metadata_items"],
        "maxTotalKeypairs": limits["key_pairs"],
        "maxServerGroups": limits["server_groups"],
        "maxServerGroupMembers": limits["server_group_members"],
        "totalInstancesUsed": used.instances,
        "totalCoresUsed": used.cores,
        "totalRAMUsed": used.ram,
        "totalServerGroupsUsed": standing.server_groups,
    }
    if call.version < v2(36):
        absolute |= {
            "maxTotalFloatingIps": UNLIMITED,
            "maxSecurityGroups": UNLIMITED,
            "maxSecurityGroupRules": UNLIMITED,
            "totalFloatingIpsUsed": 0,
            "totalSecurityGroupsUsed": 0,
        }
    if call.version < v2(39):
        absolute["maxImageMeta"] = limits["metadata_items"]
    if call.version < v2(57):
        absolute |= {
            "maxPersonality": limits["injected_files"],
            "maxPersonalitySize": limits["injected_file_content_bytes"],
        }
    return json_reply({"limits": {"rate": [], "absolute": absolute}})


ROUTES = (
    Route("GET", "/limits", show_limits, "os_compute_api:limits", DefaultPolicy.READER, note="{limits}",
        query=ARGUMENTS, strict=STRICT),
)  # fmt: skip
