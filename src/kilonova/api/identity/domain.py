# SPDX-License-Identifier: Apache-2.0
"""The only domain, called Default, and the form of Identity's lists."""

from collections.abc import Iterable
from typing import Any

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import OMIT, ListOf, Member, Shown, View, one
from kilonova.api.identity.filters import arguments, matching
from kilonova.api.identity.models import CreateDomain, DomainRef
from kilonova.api.identity.routing import ADMIN, TOKEN, P, list_route
from kilonova.base.errors import Conflict, Forbidden, InvalidInput, NotFound
from kilonova.objects.identity import DOMAIN_ID


class DomainReference(TypedDict):
    """A domain by id and name."""

    id: str
    name: str


class SelfLink(TypedDict):
    """The URL of a resource itself."""

    self: str


class CollectionLinks(TypedDict):
    """The URL of a list.  Lists of Identity have one page."""

    self: str
    previous: None
    next: None


DOMAIN: DomainReference = {"id": DOMAIN_ID, "name": "Default"}


def is_default_domain(domain: DomainRef | None) -> bool:
    """Whether this names the default domain, by id or by name; None does, too."""
    if domain is None:
        return True
    if domain.id is not None:
        return domain.id == DOMAIN["id"]
    return (domain.name or "").casefold() == DOMAIN["name"].casefold()


Entry = dict[str, Any]
"""An entry of a list as its view made it: filters compare what is shown."""


def present(value: object) -> object:
    """The value of an optional field: None omits the field."""
    return OMIT if value is None else value


def collection_links(call: Call) -> CollectionLinks:
    """The links of a list."""
    return {"self": call.links.to(call.path), "previous": None, "next": None}


def self_link(call: Call) -> SelfLink:
    """The link of the request's own path."""
    return {"self": call.links.to(call.path)}


def collection(name: str, view: View[Any, Call]) -> View[Iterable[Entry], Call]:
    """`{name: [...], links}`.  The entries are made with `view` before."""
    return View(
        "",
        Member(name, ListOf(Shown(view)), lambda entries, _: list(entries)),
        Member("links", CollectionLinks, lambda _, call: collection_links(call)),
    )


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
    return DOMAINS.reply(matching(call.query, [DOMAIN_VIEW.show(DOMAIN, call)]), call)


async def show_domain(call: Call) -> Reply:
    """Show the default domain."""
    check_domain(call.params["domain_id"])
    return _ONE.reply(DOMAIN, call)


async def create_domain(_call: Call, body: CreateDomain) -> Reply:
    """Create a domain: always refused (ADR 0019)."""
    if body.domain.name.casefold() == DOMAIN["name"].casefold():
        raise Conflict(f"A domain called {DOMAIN['name']} exists already.")
    raise Forbidden(f"The only domain is {DOMAIN['name']}: no others can be created.")


async def change_domain(call: Call) -> Reply:
    """Change or delete a domain: always refused."""
    check_domain(call.params["domain_id"])
    raise Forbidden(f"The domain {DOMAIN['name']} is the only one: it cannot be changed or deleted.")


DOMAIN_VIEW = View[DomainReference, Call](
    "Domain",
    Member("id", str, lambda domain, _: domain["id"]),
    Member("name", str, lambda domain, _: domain["name"]),
    Member("description", str, lambda _, __: "The default domain"),
    Member("enabled", bool, lambda _, __: True),
    Member("tags", list[str], lambda _, __: []),
    Member("options", dict[str, Any], lambda _, __: {}),
    Member("links", SelfLink, lambda domain, call: {"self": call.links.to(f"/domains/{domain['id']}")}),
)
DOMAINS = collection("domains", DOMAIN_VIEW)
_ONE = one("domain", DOMAIN_VIEW)
_DOMAIN = "/domains/{domain_id}"

ROUTES = (
    list_route("/domains", list_domains, "list_domains", TOKEN, DOMAINS, arguments("name", "enabled")),
    Route("POST", "/domains", create_domain, P + "create_domain", ADMIN, body=CreateDomain, note="always 403"),
    Route("GET", _DOMAIN, show_domain, P + "get_domain", TOKEN, reply=_ONE),
    Route("PATCH", _DOMAIN, change_domain, P + "update_domain", ADMIN, note="always 403"),
    Route("DELETE", _DOMAIN, change_domain, P + "delete_domain", ADMIN, note="always 403"),
)
