# SPDX-License-Identifier: Apache-2.0
"""Implied roles: admin implies member, member implies reader.  These rules cannot be changed.

Source: Identity API v3 reference, "Implied roles".
"""

from collections.abc import Iterable
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.identity import roles
from kilonova.base.errors import NotFound
from kilonova.identity.roles import RULES
from kilonova.objects.identity import Role


async def list_rules(call: Call) -> Reply:
    """List all rules of role implication."""
    by_name = {role.name: role for role in (await roles.known_roles(call)).values()}
    rules = [_rule(call, by_name[prior], [by_name[implied]]) for prior, implied in RULES.items()]
    return json_reply({"role_inferences": rules, "links": {"self": call.links.to(call.path)}})


async def list_implied(call: Call) -> Reply:
    """List the roles that a role implies directly."""
    prior = await roles.find(call)
    known = (await roles.known_roles(call)).values()
    implied = [role for role in known if role.name == RULES.get(prior.name)]
    return json_reply({"role_inference": _rule(call, prior, implied), "links": {"self": call.links.to(call.path)}})


async def show_rule(call: Call) -> Reply:
    """Show one rule of role implication; 404 if there is none."""
    prior = await roles.find(call)
    implied = (await roles.known_roles(call)).get(call.params["implied_role_id"])
    if implied is None or RULES.get(prior.name) != implied.name:
        raise NotFound(f"The role {prior.name} does not imply {call.params['implied_role_id'][:64]}.")
    shown = {"prior_role": _short(call, prior), "implies": _short(call, implied)}
    return json_reply({"role_inference": shown, "links": {"self": call.links.to(call.path)}})


async def change_rule(call: Call) -> Reply:
    """Create or delete a rule of role implication: not implemented (501)."""
    await roles.find(call)
    raise not_implemented("The action you have requested has not been implemented: implied roles cannot be changed.")


def _rule(call: Call, prior: Role, implied: Iterable[Role]) -> dict[str, Any]:
    return {"prior_role": _short(call, prior), "implies": [_short(call, role) for role in implied]}


def _short(call: Call, role: Role) -> dict[str, Any]:
    shown = roles.view(call, role)
    return {name: shown[name] for name in ("id", "name", "links")}
