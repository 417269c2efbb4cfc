# SPDX-License-Identifier: Apache-2.0
"""/quotas of Network v2.0: nothing of a network is counted here, so -1 for everything.

Clients ask it whenever they show, or forget, all of a project's quotas.
"""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.network import inventory as facts
from kilonova.api.network import view
from kilonova.db.transaction import Snapshot
from kilonova.objects.quota import UNLIMITED

_RESOURCES = (
    *("floatingip", "network", "port", "rbac_policy", "router"),
    *("security_group", "security_group_rule", "subnet", "subnetpool"),
)


async def list_quotas(_call: Call) -> Reply:
    """GET /quotas: no project has limits of its own."""
    return json_reply({"quotas": []})


async def show(_call: Call) -> Reply:
    """GET /quotas/{project}, and what it would be by default."""
    return json_reply({"quota": dict.fromkeys(_RESOURCES, UNLIMITED)})


async def show_details(call: Call) -> Reply:
    """GET /quotas/{project}/details: with what the project has of each."""
    used = await call.db.read(_used, call.params["project_id"])
    detail: dict[str, Any] = {
        name: {"limit": UNLIMITED, "used": used.get(name, 0), "reserved": 0} for name in _RESOURCES
    }
    return json_reply({"quota": detail})


async def delete(_call: Call) -> Reply:
    """DELETE /quotas/{project}: there are none to forget."""
    return Reply()


def _used(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    rules = len(view.security_group_rules(project_id))
    ports = len(facts.ports(snapshot, project_id, None))
    return {"port": ports, "security_group": 1, "security_group_rule": rules}
