# SPDX-License-Identifier: Apache-2.0
"""The root: an index of services, and health checks."""

from urllib.parse import urlsplit

from typing_extensions import TypedDict

from kilonova import __version__
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import OMIT, Member, View


class ServiceUrls(TypedDict):
    """The URLs of the services."""

    identity: str
    compute: str
    image: str


def _urls(base: str) -> ServiceUrls:
    return {"identity": f"{base}/identity/v3", "compute": f"{base}/compute/v2.1", "image": f"{base}/image"}


_INDEX = View[str, Call](
    "",
    Member("name", str, lambda _, __: "kilonova"),
    Member("version", str, lambda _, __: __version__),
    Member("services", ServiceUrls, lambda base, _: _urls(base)),
)
_HEALTHY = View[None, Call]("", Member("healthy", bool, lambda _, __: True))
_READY = View[str, Call](
    "",
    Member("ready", bool, lambda reason, _: not reason),
    Member("reason", str, lambda reason, _: reason or OMIT, optional=True),
)


async def index(call: Call) -> Reply:
    """Show the URLs of the services; a browser is redirected to the web page."""
    if call.deps.has_page and "text/html" in call.headers.get("accept", ""):
        return Reply(status=303, headers=(("Location", f"{_path(call.links.base)}/ui/"), ("Vary", "Accept")))
    return _INDEX.reply(call.links.base, call, headers=(("Vary", "Accept"),))


def _path(base: str) -> str:
    """The prefix of a proxy; usually empty."""
    return urlsplit(base).path


async def healthz(call: Call) -> Reply:
    """Check that this process answers."""
    return _HEALTHY.reply(None, call)


async def readyz(call: Call) -> Reply:
    """Check whether servers can be created: 503 with the reason while they cannot."""
    ready, reason = call.deps.ready()
    if ready:
        reason = await call.deps.disk_space.trouble()
    return _READY.reply(reason, call, status=503 if reason else 200)


ROUTES = (
    Route("GET", "", index, "root", DefaultPolicy.ANYBODY, reply=_INDEX),
    Route("GET", "/healthz", healthz, "healthz", DefaultPolicy.ANYBODY, reply=_HEALTHY),
    Route("GET", "/readyz", readyz, "readyz", DefaultPolicy.ANYBODY, reply=_READY, also=(503,)),
)
