# SPDX-License-Identifier: Apache-2.0
"""The one domain, called Default, and the form of Identity's lists."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.identity.models import Domain
from kilonova.base.errors import InvalidInput, NotFound

DOMAIN = {"id": "default", "name": "Default"}


def is_ours(domain: Domain | None) -> bool:
    """Whether this names the one domain; no word is one for it."""
    if domain is None:
        return True
    if domain.id is not None:
        return domain.id == DOMAIN["id"]
    return (domain.name or "").casefold() == DOMAIN["name"].casefold()


def collection(call: Call, name: str, members: Iterable[Any]) -> Reply:
    """A list as Identity shows it."""
    links = {"self": call.links.to(call.path), "previous": None, "next": None}
    return json_reply({name: list(members), "links": links})


def in_domain(call: Call) -> bool:
    """Whether a list that is filtered by domain has anything in it."""
    return call.query.text("domain_id") in (None, DOMAIN["id"])


def check_domain(domain_id: str | None) -> None:
    """Raises NotFound, as Identity does, for a domain that is not the one."""
    if domain_id not in (None, DOMAIN["id"]):
        raise NotFound(f"Could not find domain: {str(domain_id)[:64]}. There is one, {DOMAIN['id']}.")


def refuse_unkept(of: str, **members: Any) -> None:
    """Raises InvalidInput for the first member of `of` that is given and not empty: it would be lost without a word."""
    for name, value in members.items():
        if value:
            raise InvalidInput(f"{name} is not supported here.", path=f"{of}.{name}")


async def list_domains(call: Call) -> Reply:
    """GET /v3/domains."""
    name = call.query.text("name")
    there = name is None or name.casefold() == DOMAIN["name"].casefold()
    return collection(call, "domains", [_view(call)] if there else [])


async def show_domain(call: Call) -> Reply:
    """GET /v3/domains/{id}."""
    if call.params["domain_id"] != DOMAIN["id"]:
        raise NotFound(f"Could not find domain: {call.params['domain_id'][:64]}.")
    return json_reply({"domain": _view(call)})


def _view(call: Call) -> dict[str, Any]:
    links = {"self": call.links.to(f"/domains/{DOMAIN['id']}")}
    return {**DOMAIN, "description": "The default domain", "enabled": True, "tags": [], "options": {}, "links": links}
