# SPDX-License-Identifier: Apache-2.0
"""Former extensions that are now part of the API.

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


EXTENSION = View[str, Call](
    "Extension",
    Member("alias", str, lambda alias, _: alias),
    Member("name", str, lambda alias, _: _SERVED[alias]),
    Member("description", str, lambda _alias, _: ""),
    Member("links", EmptyList, lambda _alias, _: []),
    Member("namespace", str, lambda _alias, _: "https://docs.openstack.org/api-ref/compute/"),
    Member("updated", str, lambda _alias, _: "2014-12-03T00:00:00Z"),
)
EXTENSIONS, ONE_EXTENSION = many("extensions", EXTENSION), one("extension", EXTENSION)


async def list_extensions(call: Call) -> Reply:
    """List the extensions that are part of the API."""
    return EXTENSIONS.reply(_SERVED, call)


async def show(call: Call) -> Reply:
    """Show one extension."""
    alias = call.params["alias"]
    if alias not in _SERVED:
        raise NotFound(f"Extension {alias[:255]} could not be found.")
    return ONE_EXTENSION.reply(alias, call)


ROUTES = (
    Route("GET", "/extensions", list_extensions, "os_compute_api:extensions", DefaultPolicy.READER,
        reply=EXTENSIONS),
    Route("GET", "/extensions/{alias}", show, "os_compute_api:extensions", DefaultPolicy.READER, reply=ONE_EXTENSION),
)  # fmt: skip
