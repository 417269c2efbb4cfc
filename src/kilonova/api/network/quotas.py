# SPDX-License-Identifier: Apache-2.0
"""/quotas of Network v2.0: network resources have no limits, so every limit is -1.

Clients call it whenever they show or delete all quotas of a project.
"""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.network import inventory, view
from kilonova.db.transaction import Snapshot
from kilonova.objects.quota import UNLIMITED

_RESOURCES = (
    *("floatingip", "network", "port", "rbac_policy", "router"),
    *("security_group", "security_group_rule", "subnet", "subnetpool"),
)


async def list_quotas(_call: Call) -> Reply:
    """List projects with quotas of their own: always empty."""
    return json_reply({"quotas": []})


async def show(_call: Call) -> Reply:
    """Show the quotas of a project: all unlimited (-1)."""
    return json_reply({"quota": dict.fromkeys(_RESOURCES, UNLIMITED)})


async def show_details(call: Call) -> Reply:
    """Show the quotas of a project, with usage."""
    used = await call.db.read(_used, call.params["project_id"])
    detail: dict[str, Any] = {
        name: {"limit": UNLIMITED, "used": used.get(name, 0), "reserved": 0} for name in _RESOURCES
    }
    return json_reply({"quota": detail})


async def delete(_call: Call) -> Reply:
    """Reset the quotas of a project: changes nothing."""
    return Reply()


def _used(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    rules = len(view.security_group_rules(project_id))
    ports = len(inventory.ports(snapshot, project_id, None))
    return {"port": ports, "security_group": 1, "security_group_rule": rules}
