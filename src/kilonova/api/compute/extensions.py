# SPDX-License-Identifier: Apache-2.0
"""Former extensions of the Compute API, which are part of it today: those that are served.

Source: Compute API reference, "Extensions".
"""

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, Member, View, many, one
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


_EXTENSION = View[str, Call](
    "Extension",
    Member("alias", str, lambda alias, _: alias),
    Member("name", str, lambda alias, _: _SERVED[alias]),
    Member("description", str, lambda _, __: ""),
    Member("links", EmptyList, lambda _, __: []),
    Member("namespace", str, lambda _, __: "https://docs.openstack.org/api-ref/compute/"),
    Member("updated", str, lambda _, __: "2014-12-03T00:00:00Z"),
)
_ALL, _ONE = many("extensions", _EXTENSION), one("extension", _EXTENSION)


async def list_extensions(call: Call) -> Reply:
    """List API extensions."""
    return _ALL.reply(_SERVED, call)


async def show(call: Call) -> Reply:
    """Show an API extension."""
    alias = call.params["alias"]
    if alias not in _SERVED:
        raise NotFound(f"Extension {alias[:255]} could not be found.")
    return _ONE.reply(alias, call)


_RULE, _READER = "os_compute_api:extensions", DefaultPolicy.READER

ROUTES = (
    Route("GET", "/extensions", list_extensions, _RULE, _READER, reply=_ALL),
    Route("GET", "/extensions/{alias}", show, _RULE, _READER, reply=_ONE),
)
