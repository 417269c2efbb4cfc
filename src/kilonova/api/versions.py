# SPDX-License-Identifier: Apache-2.0
"""Version documents, with which every client begins, without a token.

Compute's list begins with v2.0.  Each document repeats the self link that the list has for it.
Sources: Compute API reference, "Versions"; Identity and Image likewise.
"""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import MAX, MIN
from kilonova.api.http.route import DefaultPolicy, Route, Service

IDENTITY_VERSION = "v3.14"
IMAGE_VERSION = "v2.9"


def _entry(base: str, version_id: str, path: str, **fields: str) -> dict[str, Any]:
    return {"id": version_id, **fields, "links": [{"rel": "self", "href": f"{base}{path}/"}]}


def _compute_v20(base: str) -> dict[str, Any]:
    return _entry(
        base, "v2.0", "/compute/v2", status="SUPPORTED", version="", min_version="", updated="2011-01-21T11:33:21Z"
    )


def _compute_v21(base: str) -> dict[str, Any]:
    return _entry(
        base,
        "v2.1",
        "/compute/v2.1",
        status="CURRENT",
        version=str(MAX),
        min_version=str(MIN),
        updated="2013-07-23T11:33:21Z",
    )


def _media_types(kind: str) -> dict[str, Any]:
    return {"media-types": [{"base": "application/json", "type": f"application/vnd.openstack.{kind}+json"}]}


def _identity_v3(base: str) -> dict[str, Any]:
    return {
        **_entry(base, IDENTITY_VERSION, "/identity/v3", status="stable", updated="2020-04-07T00:00:00Z"),
        **_media_types("identity-v3"),
    }


async def compute_list(call: Call) -> Reply:
    """List the versions of the Compute API; v2.0 is the first."""
    base = call.links.base
    return json_reply({"versions": [_compute_v20(base), _compute_v21(base)]})


async def compute_v20(call: Call) -> Reply:
    """Show version 2.0 of the Compute API."""
    return json_reply({"version": {**_compute_v20(call.links.base), **_media_types("compute;version=2")}})


async def compute_v21(call: Call) -> Reply:
    """Show version 2.1 of the Compute API, with the range of microversions."""
    return json_reply({"version": {**_compute_v21(call.links.base), **_media_types("compute;version=2.1")}})


async def identity_list(call: Call) -> Reply:
    """List the versions of the Identity API."""
    return json_reply({"versions": {"values": [_identity_v3(call.links.base)]}})


async def identity_v3(call: Call) -> Reply:
    """Show version 3 of the Identity API."""
    return json_reply({"version": _identity_v3(call.links.base)})


async def image_list(call: Call) -> Reply:
    """List the versions of the Image API."""
    return json_reply({"versions": [_entry(call.links.base, IMAGE_VERSION, "/image/v2", status="CURRENT")]})


def _network_v20(base: str) -> dict[str, Any]:
    return _entry(base, "v2.0", "/network/v2.0", status="CURRENT", updated="2013-01-01T00:00:00Z")


async def network_list(call: Call) -> Reply:
    """List the versions of the Network API."""
    return json_reply({"versions": [_network_v20(call.links.base)]})


async def network_v20(call: Call) -> Reply:
    """List the resources of version 2.0 of the Network API."""
    links = call.links
    kinds = ("network", "subnet", "port")
    return json_reply(
        {
            "resources": [
                {"name": kind, "collection": f"{kind}s", "links": [{"rel": "self", "href": links.to(f"/{kind}s")}]}
                for kind in kinds
            ]
        }
    )


SERVICES = (
    Service(
        "/compute",
        (Route("GET", "", compute_list, "versions", DefaultPolicy.ANYBODY, note="{versions: [...]}, v2.0 first"),),
        open=True,
    ),
    Service(
        "/compute/v2",
        (Route("GET", "", compute_v20, "versions", DefaultPolicy.ANYBODY, note="{version}"),),
        open=True,
    ),
    Service(
        "/identity",
        (
            Route(
                "GET",
                "",
                identity_list,
                "versions",
                DefaultPolicy.ANYBODY,
                success=300,
                note="{versions: {values: [...]}}",
            ),
        ),
        open=True,
    ),
    Service(
        "/image",
        (
            Route("GET", "", image_list, "versions", DefaultPolicy.ANYBODY, success=300, note="{versions: [...]}"),
            Route("GET", "/versions", image_list, "versions", DefaultPolicy.ANYBODY, note="{versions: [...]}"),
        ),
        open=True,
    ),
    Service(
        "/network",
        (Route("GET", "", network_list, "versions", DefaultPolicy.ANYBODY, note="{versions: [...]}"),),
        open=True,
    ),
)
