# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/roles/{role_id}/permissions: what the policy permits to a role."""

from pydantic_core import to_json

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.policy import BASE
from kilonova.api.identity import roles
from kilonova.api.ui.files import SAFE
from kilonova.base.context import RequestContext
from kilonova.identity.roles import with_implied

RULE = "kilonova:roles:permissions"


async def show(call: Call) -> Reply:
    """Show each rule of the policy in force, and whether it permits its operation to a user with this role alone, in
    the user's own project and for the user's own things."""
    role, policy = await roles.find(call), call.deps.policy
    holder = RequestContext(call.context.request_id, "user", "project", with_implied((role.name,)))
    rules = [
        {"rule": rule, "check": check, "permitted": policy.allows(rule, holder, {})}
        for rule, check in sorted(policy.in_force.items())
        if rule not in BASE
    ]
    body = to_json({"role": role.name, "rules": rules})
    return Reply(body, headers=(*SAFE, ("Cache-Control", "no-store")))
