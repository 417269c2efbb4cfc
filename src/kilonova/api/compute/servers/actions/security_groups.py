# SPDX-License-Identifier: Apache-2.0
"""addSecurityGroup and removeSecurityGroup.

Each project has one group, the default, and every NIC is in it.  Adding it changes nothing.  In Neutron its removal
would stop all traffic; that is not supported here, so the removal is refused.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.network.view import DEFAULT_GROUP
from kilonova.base.errors import Conflict, NotFound
from kilonova.networks.ids import security_group_id
from kilonova.objects.instance import Instance


class GroupName(Body):
    """A group's name, or its id."""

    name: Annotated[str, StringConstraints(max_length=255, pattern=r"\S")]


class AddSecurityGroup(Body):
    group: GroupName = Field(alias="addSecurityGroup")


class RemoveSecurityGroup(Body):
    group: GroupName = Field(alias="removeSecurityGroup")


async def add(call: Call, body: AddSecurityGroup) -> Reply:
    """Add a security group to a server: 202 for the default group, which it has; 404 for any other."""
    _require_known(await find(call), body.group.name)
    return Reply()


async def remove(call: Call, body: RemoveSecurityGroup) -> Reply:
    """Remove a security group from a server: 409 for the default group; 404 for any other."""
    instance = await find(call)
    _require_known(instance, body.group.name)
    raise Conflict(
        f"Security group {DEFAULT_GROUP} cannot be removed from instance {instance.id}: it is the only group."
    )


def _require_known(instance: Instance, name: str) -> None:
    if name not in (DEFAULT_GROUP, security_group_id(instance.project_id)):
        raise NotFound(f"Security group {name} is not found for project {instance.project_id}")
    if not instance.addresses:
        raise NotFound(f"instance_id {instance.id} could not be found as device id on any ports")


ROUTES: ActionRoutes = {
    "addSecurityGroup": (ActionRoute(AddSecurityGroup, add, "os_compute_api:os-security-groups:add"),),
    "removeSecurityGroup": (ActionRoute(RemoveSecurityGroup, remove, "os_compute_api:os-security-groups:remove"),),
}
