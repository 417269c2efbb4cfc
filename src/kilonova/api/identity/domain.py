# SPDX-License-Identifier: Apache-2.0
"""The only domain, called Default, and the form of Identity's lists."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateDomain, Domain
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.objects.identity import DOMAIN_ID

DOMAIN = {"id": DOMAIN_ID, "name": "Default"}


def is_default_domain(domain: Domain | None) -> bool:
    """Whether this names the default domain, by id or by name; None does, too."""
    if domain is None:
        return True
    if domain.id is not None:
        return domain.id == DOMAIN["id"]
    return (domain.name or "").casefold() == DOMAIN["name"].casefold()


def collection(call: Call, name: str, members: Iterable[Any]) -> Reply:
    """A reply with a list as Identity shows it."""
    links = {"self": call.links.to(call.path), "previous": None, "next": None}
    return json_reply({name: list(members), "links": links})


def check_domain(domain_id: str | None) -> None:
    """Raises NotFound, as Keystone does, for any domain except the default one."""
    if domain_id not in (None, DOMAIN["id"]):
        raise NotFound(f"Could not find domain: {str(domain_id)[:64]}. The only domain is {DOMAIN['id']}.")


def check_id(of: str, body_id: str | None, actual: str | None) -> None:
    """Raises InvalidInput when a body's id differs from the resource's id: clients cannot choose or change ids."""
    if body_id is not None and body_id != actual:
        raise InvalidInput("The service chooses ids, and they cannot be changed.", path=f"{of}.id")


def refuse_unsupported(of: str, **members: Any) -> None:
    """Raises InvalidInput for the first member of `of` that is not empty: it would not be stored."""
    for name, value in members.items():
        if value:
            raise InvalidInput(f"{name} is not supported.", path=f"{of}.{name}")


async def list_domains(call: Call) -> Reply:
    """List domains: the default one."""
    return collection(call, "domains", matching(call.query, [view(call)]))


async def show_domain(call: Call) -> Reply:
    """Show the default domain."""
    check_domain(call.params["domain_id"])
    return json_reply({"domain": view(call)})


async def create_domain(_call: Call, body: CreateDomain) -> Reply:
    """Create a domain: always refused (ADR 0019)."""
    if body.domain.name.casefold() == DOMAIN["name"].casefold():
        raise Conflict(f"A domain called {DOMAIN['name']} exists already.")
    raise Forbidden(f"The only domain is {DOMAIN['name']}: no others can be created.")


async def change_domain(call: Call) -> Reply:
    """Change or delete a domain: always refused."""
    check_domain(call.params["domain_id"])
    raise Forbidden(f"The domain {DOMAIN['name']} is the only one: it cannot be changed or deleted.")


def view(call: Call) -> dict[str, Any]:
    """The domain as Identity shows it."""
    links = {"self": call.links.to(f"/domains/{DOMAIN['id']}")}
    return {**DOMAIN, "description": "The default domain", "enabled": True, "tags": [], "options": {}, "links": links}
