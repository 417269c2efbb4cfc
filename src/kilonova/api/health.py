# SPDX-License-Identifier: Apache-2.0
"""The root: an index of services, and health checks."""

from kilonova import __version__
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.route import DefaultPolicy, Route


async def index(call: Call) -> Reply:
    """Show the URLs of the services."""
    base = call.links.base
    return json_reply(
        {
            "name": "kilonova",
            "version": __version__,
            "services": {
                "identity": f"{base}/identity/v3",
                "compute": f"{base}/compute/v2.1",
                "image": f"{base}/image",
            },
        }
    )


async def healthz(call: Call) -> Reply:
    """Check that this process answers."""
    return json_reply({"healthy": True})


async def readyz(call: Call) -> Reply:
    """Check whether servers can be created: 503 with the reason while they cannot."""
    ready, reason = call.deps.ready()
    if ready:
        reason = await call.deps.room.trouble()
    if not reason:
        return json_reply({"ready": True})
    return json_reply({"ready": False, "reason": reason}, status=503)


ROUTES = (
    Route("GET", "", index, "root", DefaultPolicy.ANYBODY, note="{name, version, services}"),
    Route("GET", "/healthz", healthz, "healthz", DefaultPolicy.ANYBODY, note="{healthy}"),
    Route(
        "GET",
        "/readyz",
        readyz,
        "readyz",
        DefaultPolicy.ANYBODY,
        note="{ready[, reason]}; 503 while not ready",
        also=(503,),
    ),
)
