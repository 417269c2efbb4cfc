# SPDX-License-Identifier: Apache-2.0
"""Version documents.  Every client requests them first, without a token.

Compute's list begins with v2.0.  Each document repeats the self link that the list has for it.  Sources: Compute API
reference, "Versions"; Identity and Image likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Link, Reply
from kilonova.api.http.microversion import MAX, MIN
from kilonova.api.http.route import DefaultPolicy, Handler, Route, Service
from kilonova.api.http.views import OMIT, Member, View, many, one

IDENTITY_VERSION = "v3.14"
IMAGE_VERSION = "v2.9"


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """A version of an API.  `path` is below the service's root; `media` is the name of its media type."""

    id: str
    path: str
    status: str
    version: str | None = None
    min_version: str | None = None
    updated: str | None = None
    media: str = ""


class MediaType(TypedDict):
    """A media type of an API's documents."""

    base: str
    type: str


def _or_omit(value: object) -> object:
    return OMIT if value is None else value


def _media_types(version: ApiVersion) -> list[MediaType]:
    return [{"base": "application/json", "type": f"application/vnd.openstack.{version.media}+json"}]


def _links(version: ApiVersion, call: Call) -> list[Link]:
    return [{"rel": "self", "href": f"{call.links.base}{version.path}/"}]


M = Member[ApiVersion, Call]
_ENTRY = View(
    "Version",
    M("id", str, lambda version, _: version.id),
    M("status", str, lambda version, _: version.status),
    M("version", str, lambda version, _: _or_omit(version.version), optional=True),
    M("min_version", str, lambda version, _: _or_omit(version.min_version), optional=True),
    M("updated", str, lambda version, _: _or_omit(version.updated), optional=True),
    M("links", list[Link], _links),
)
_DOCUMENT = _ENTRY.but("VersionDocument", M("media-types", list[MediaType], lambda version, _: _media_types(version)))
_VERSIONS = many("versions", _ENTRY)
_VERSION = one("version", _DOCUMENT)
_VALUES = one("versions", many("values", _DOCUMENT))

COMPUTE_V20 = ApiVersion("v2.0", "/compute/v2", "SUPPORTED", "", "", "2011-01-21T11:33:21Z", media="compute;version=2")
COMPUTE_V21 = ApiVersion(
    "v2.1", "/compute/v2.1", "CURRENT", str(MAX), str(MIN), "2013-07-23T11:33:21Z", media="compute;version=2.1"
)
IDENTITY_V3 = ApiVersion(
    IDENTITY_VERSION, "/identity/v3", "stable", updated="2020-04-07T00:00:00Z", media="identity-v3"
)
IMAGE_V2 = ApiVersion(IMAGE_VERSION, "/image/v2", "CURRENT")
NETWORK_V20 = ApiVersion("v2.0", "/network/v2.0", "CURRENT", updated="2013-01-01T00:00:00Z")


async def compute_list(call: Call) -> Reply:
    """List the versions of the Compute API; v2.0 is the first."""
    return _VERSIONS.reply([COMPUTE_V20, COMPUTE_V21], call)


async def compute_v20(call: Call) -> Reply:
    """Show version 2.0 of the Compute API."""
    return _VERSION.reply(COMPUTE_V20, call)


async def compute_v21(call: Call) -> Reply:
    """Show version 2.1 of the Compute API, with the range of microversions."""
    return _VERSION.reply(COMPUTE_V21, call)


async def identity_list(call: Call) -> Reply:
    """List the versions of the Identity API."""
    return _VALUES.reply([IDENTITY_V3], call)


async def identity_v3(call: Call) -> Reply:
    """Show version 3 of the Identity API."""
    return _VERSION.reply(IDENTITY_V3, call)


async def image_list(call: Call) -> Reply:
    """List the versions of the Image API."""
    return _VERSIONS.reply([IMAGE_V2], call)


async def network_list(call: Call) -> Reply:
    """List the versions of the Network API."""
    return _VERSIONS.reply([NETWORK_V20], call)


class NetworkResource(TypedDict):
    """A kind of resource of the Network API."""

    name: str
    collection: str
    links: list[Link]


def _resources(kinds: Sequence[str], call: Call) -> list[NetworkResource]:
    return [
        {"name": kind, "collection": f"{kind}s", "links": [{"rel": "self", "href": call.links.to(f"/{kind}s")}]}
        for kind in kinds
    ]


_RESOURCES = View[Sequence[str], Call]("", Member("resources", list[NetworkResource], _resources))


async def network_v20(call: Call) -> Reply:
    """List the resources of version 2.0 of the Network API."""
    return _RESOURCES.reply(("network", "subnet", "port"), call)


def _route(handler: Handler, reply: View[Any, Call], path: str = "", success: int = 200) -> Route:
    return Route("GET", path, handler, "versions", DefaultPolicy.ANYBODY, success, reply)


COMPUTE_ROUTE = _route(compute_v21, _VERSION)
IDENTITY_ROUTE = _route(identity_v3, _VERSION)
IMAGE_ROUTE = _route(image_list, _VERSIONS)
NETWORK_ROUTE = _route(network_v20, _RESOURCES)
"""The documents of the versions that are served."""

SERVICES = (
    Service("/compute", (_route(compute_list, _VERSIONS),), open=True),
    Service("/compute/v2", (_route(compute_v20, _VERSION),), open=True),
    Service("/identity", (_route(identity_list, _VALUES, success=300),), open=True),
    Service(
        "/image",
        (_route(image_list, _VERSIONS, success=300), _route(image_list, _VERSIONS, "/versions")),
        open=True,
    ),
    Service("/network", (_route(network_list, _VERSIONS),), open=True),
)
