# SPDX-License-Identifier: Apache-2.0
"""Implied roles: admin implies member, member implies reader.  These rules cannot be changed.

Source: Identity API v3 reference, "Implied roles".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.http.route import Route
from kilonova.api.http.views import ListOf, Member, Shape, View
from kilonova.api.identity import roles
from kilonova.api.identity.domain import SelfLink, self_link
from kilonova.api.identity.roles import ROLE
from kilonova.api.identity.routing import ADMIN, SYSTEM, P, list_route
from kilonova.base.errors import NotFound
from kilonova.identity.roles import RULES
from kilonova.objects.identity import Role


@dataclass(frozen=True, slots=True)
class _Rule:
    """A role, and the roles that it implies directly."""

    prior: Role
    implied: Sequence[Role]


async def list_rules(call: Call) -> Reply:
    """List all rules of role implication."""
    by_name = {role.name: role for role in (await roles.known_roles(call)).values()}
    return _RULES.reply([_Rule(by_name[prior], [by_name[implied]]) for prior, implied in RULES.items()], call)


async def list_implied(call: Call) -> Reply:
    """List the roles that a role implies directly."""
    prior = await roles.find(call)
    known = (await roles.known_roles(call)).values()
    implied = [role for role in known if role.name == RULES.get(prior.name)]
    return _RULE_OF_ROLE.reply(_Rule(prior, implied), call)


async def show_rule(call: Call) -> Reply:
    """Show one rule of role implication; 404 if there is none."""
    prior = await roles.find(call)
    implied = (await roles.known_roles(call)).get(call.params["implied_role_id"])
    if implied is None or RULES.get(prior.name) != implied.name:
        raise NotFound(f"The role {prior.name} does not imply {call.params['implied_role_id'][:64]}.")
    return _ONE_RULE.reply(_Rule(prior, [implied]), call)


async def change_rule(call: Call) -> Reply:
    """Create or delete a rule of role implication: not implemented (501)."""
    await roles.find(call)
    raise not_implemented("The action you have requested has not been implemented: implied roles cannot be changed.")


_REFERENCE = ROLE.but("RoleReference", without=("domain_id", "description", "options"))
_RULE = View[_Rule, Call](
    "RoleInference",
    Member("prior_role", _REFERENCE, lambda rule, _: rule.prior),
    Member("implies", ListOf(_REFERENCE), lambda rule, _: rule.implied),
)
_SINGLE_RULE = View[_Rule, Call](
    "SingleRoleInference",
    Member("prior_role", _REFERENCE, lambda rule, _: rule.prior),
    Member("implies", _REFERENCE, lambda rule, _: rule.implied[0]),
)


def _with_link(name: str, kind: Shape) -> View[Any, Call]:
    return View(
        "", Member(name, kind, lambda subject, _: subject), Member("links", SelfLink, lambda _, call: self_link(call))
    )


_RULES = _with_link("role_inferences", ListOf(_RULE))
_RULE_OF_ROLE = _with_link("role_inference", _RULE)
_ONE_RULE = _with_link("role_inference", _SINGLE_RULE)
_IMPLIES = "/roles/{role_id}/implies"
_IMPLIED = _IMPLIES + "/{implied_role_id}"

ROUTES = (
    list_route("/role_inferences", list_rules, "list_role_inference_rules", SYSTEM, _RULES),
    Route("GET", _IMPLIES, list_implied, P + "list_implied_roles", SYSTEM, reply=_RULE_OF_ROLE),
    Route("GET", _IMPLIED, show_rule, P + "get_implied_role", SYSTEM, reply=_ONE_RULE),
    Route("PUT", _IMPLIED, change_rule, P + "create_implied_role", ADMIN, note="501: not implemented"),
    Route("DELETE", _IMPLIED, change_rule, P + "delete_implied_role", ADMIN, note="501: not implemented"),
)
