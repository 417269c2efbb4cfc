# SPDX-License-Identifier: Apache-2.0
"""What once were extensions, and has long been part of the API: those of them that are served.

Source: Compute API reference, "Extensions".
"""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import NotFound

_SERVED = {
    "os-aggregates": "Aggregates",
    "os-attach-interfaces": "AttachInterfaces",
    "os-availability-zone": "AvailabilityZone",
    "os-config-drive": "ConfigDrive",
    "os-console-output": "ConsoleOutput",
    "os-consoles": "Consoles",
    "os-extended-server-attributes": "ExtendedServerAttributes",
    "os-flavor-access": "FlavorAccess",
    "os-flavor-extra-specs": "FlavorExtraSpecs",
    "os-flavor-manage": "FlavorManage",
    "os-hosts": "Hosts",
    "os-hypervisors": "Hypervisors",
    "os-instance-actions": "InstanceActions",
    "os-keypairs": "Keypairs",
    "os-lock-server": "LockServer",
    "os-pause-server": "PauseServer",
    "os-quota-class-sets": "QuotaClasses",
    "os-quota-sets": "Quotas",
    "os-server-groups": "ServerGroups",
    "os-services": "Services",
    "os-user-data": "UserData",
}


def _view(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": _SERVED[alias],
        "description": "",
        "links": [],
        "namespace": "https://docs.openstack.org/api-ref/compute/",
        "updated": "2014-12-03T00:00:00Z",
    }


async def list_extensions(call: Call) -> Reply:
    """GET /extensions."""
    return json_reply({"extensions": [_view(alias) for alias in _SERVED]})


async def show(call: Call) -> Reply:
    """GET /extensions/{alias}."""
    alias = call.params["alias"]
    if alias not in _SERVED:
        raise NotFound(f"Extension {alias[:255]} could not be found.")
    return json_reply({"extension": _view(alias)})


ROUTES = (
    Route("GET", "/extensions", list_extensions, "os_compute_api:extensions", DefaultPolicy.READER,
        note="{extensions: [...]}"),
    Route("GET", "/extensions/{alias}", show, "os_compute_api:extensions", DefaultPolicy.READER, note="{extension}"),
)  # fmt: skip
