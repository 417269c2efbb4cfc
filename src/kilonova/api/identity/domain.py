# SPDX-License-Identifier: Apache-2.0
"""The one domain, called Default, and the form of Identity's lists."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateDomain, Domain
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.objects.identity import DOMAIN_ID

DOMAIN = {"id": DOMAIN_ID, "name": "Default"}


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


def check_domain(domain_id: str | None) -> None:
    """Raises NotFound, as Identity does, for a domain that is not the one."""
    if domain_id not in (None, DOMAIN["id"]):
        raise NotFound(f"Could not find domain: {str(domain_id)[:64]}. There is one, {DOMAIN['id']}.")


def check_id(of: str, asked: str | None, actual: str | None) -> None:
    """Raises InvalidInput for an id in a body that is not the thing's own: ids are Identity's to give."""
    if asked is not None and asked != actual:
        raise InvalidInput("Ids are given here, and stay.", path=f"{of}.id")


def refuse_unkept(of: str, **members: Any) -> None:
    """Raises InvalidInput for the first member of `of` that is given and not empty: it would be lost without a word."""
    for name, value in members.items():
        if value:
            raise InvalidInput(f"{name} is not supported here.", path=f"{of}.{name}")


async def list_domains(call: Call) -> Reply:
    """GET /v3/domains."""
    return collection(call, "domains", matching(call.query, [view(call)]))


async def show_domain(call: Call) -> Reply:
    """GET /v3/domains/{id}."""
    check_domain(call.params["domain_id"])
    return json_reply({"domain": view(call)})


async def create_domain(_call: Call, body: CreateDomain) -> Reply:
    """POST /v3/domains: refused (ADR 0019)."""
    if body.domain.name.casefold() == DOMAIN["name"].casefold():
        raise Conflict(f"There is a domain called {DOMAIN['name']} already.")
    raise Forbidden(f"There is one domain here, {DOMAIN['name']}: no others can be made.")


async def change_domain(call: Call) -> Reply:
    """PATCH and DELETE /v3/domains/{id}: refused."""
    check_domain(call.params["domain_id"])
    raise Forbidden(f"The domain {DOMAIN['name']} is the only one: it stays, and stays as it is.")


def view(call: Call) -> dict[str, Any]:
    """The domain as Identity shows it."""
    links = {"self": call.links.to(f"/domains/{DOMAIN['id']}")}
    return {**DOMAIN, "description": "The default domain", "enabled": True, "tags": [], "options": {}, "links": links}
