# SPDX-License-Identifier: Apache-2.0
"""GET /limits: what a project may use.

Source: Compute API reference, "Limits".  There are no quotas: -1 means unlimited.
"""

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.compute.server_create import MOST_METADATA
from kilonova.api.microversion import v2
from kilonova.base.errors import Forbidden
from kilonova.db.readers import servers

ARGUMENTS = frozenset({"reserved", "tenant_id"})

UNLIMITED = -1


async def show_limits(call: Call) -> Reply:
    """The caller's project's; another's for an administrator who names it."""
    project_id = call.query.text("tenant_id") or call.context.project_id
    if project_id != call.context.project_id and not call.context.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:limits:other_project to be performed.")
    used = await call.db.read(servers.usage, project_id)
    absolute: dict[str, int] = {
        "maxTotalInstances": UNLIMITED,
        "maxTotalCores": UNLIMITED,
        "maxTotalRAMSize": UNLIMITED,
        "maxServerMeta": MOST_METADATA,
        "maxTotalKeypairs": UNLIMITED,
        "maxServerGroups": UNLIMITED,
        "maxServerGroupMembers": UNLIMITED,
        "totalInstancesUsed": used.instances,
        "totalCoresUsed": used.vcpus,
        "totalRAMUsed": used.memory_mib,
        "totalServerGroupsUsed": 0,
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
        absolute["maxImageMeta"] = MOST_METADATA
    if call.version < v2(57):
        absolute |= {"maxPersonality": 0, "maxPersonalitySize": 0}
    return json_reply({"limits": {"rate": [], "absolute": absolute}})
