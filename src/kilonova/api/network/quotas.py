# SPDX-License-Identifier: Apache-2.0
"""/quotas of Network v2.0: network resources have no limits, so every limit is -1.

Clients call it whenever they show or delete all quotas of a project.
"""

from collections.abc import Mapping

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, Member, View, one
from kilonova.api.network import inventory, view
from kilonova.db.transaction import Snapshot
from kilonova.objects.quota import UNLIMITED

_RESOURCES = (
    *("floatingip", "network", "port", "rbac_policy", "router"),
    *("security_group", "security_group_rule", "subnet", "subnetpool"),
)


class QuotaDetail(TypedDict):
    """The limit and the usage of a resource; -1 means unlimited."""

    limit: int
    used: int
    reserved: int


def _detail(resource: str) -> Member[Mapping[str, int], Call]:
    def get(used: Mapping[str, int], _: Call) -> QuotaDetail:
        return {"limit": UNLIMITED, "used": used.get(resource, 0), "reserved": 0}

    return Member(resource, QuotaDetail, get)


_NO_QUOTAS = View[list[str], Call]("", Member("quotas", EmptyList, lambda quotas, _: quotas))
_QUOTA = one(
    "quota", View[None, Call]("NetworkQuota", *(Member(name, int, lambda _, __: UNLIMITED) for name in _RESOURCES))
)
_DETAILS = one("quota", View("NetworkQuotaDetails", *map(_detail, _RESOURCES)))


async def list_quotas(call: Call) -> Reply:
    """List projects with quotas of their own: always empty."""
    return _NO_QUOTAS.reply([], call)


async def show(call: Call) -> Reply:
    """Show the quotas of a project: all unlimited (-1)."""
    return _QUOTA.reply(None, call)


async def show_details(call: Call) -> Reply:
    """Show the quotas of a project, with usage."""
    return _DETAILS.reply(await call.db.read(_used, call.params["project_id"]), call)


async def delete(_call: Call) -> Reply:
    """Reset the quotas of a project: changes nothing."""
    return Reply()


def _used(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    rules = len(view.rules_of(project_id))
    ports = len(inventory.ports(snapshot, project_id, None))
    return {"port": ports, "security_group": 1, "security_group_rule": rules}


_PATH = "/quotas/{project_id}"
_READER = DefaultPolicy.READER

ROUTES = (
    Route("GET", "/quotas", list_quotas, "get_quota", _READER, reply=_NO_QUOTAS),
    Route("GET", _PATH, show, "get_quota", _READER, reply=_QUOTA),
    Route("GET", _PATH + "/default", show, "get_quota", _READER, reply=_QUOTA),
    Route("GET", _PATH + "/details", show_details, "get_quota", _READER, reply=_DETAILS),
    Route("DELETE", _PATH, delete, "delete_quota", DefaultPolicy.ADMIN, 204),
)
