# SPDX-License-Identifier: Apache-2.0
"""All routes together, and the document that describes them."""

from functools import lru_cache

from pydantic_core import to_json

from kilonova.api import health, versions
from kilonova.api.compute import routes as compute
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import MAX, Microversion, negotiate
from kilonova.api.http.openapi import document
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.http.views import Others, View
from kilonova.api.identity import routes as identity
from kilonova.api.image import routes as image
from kilonova.api.image import store_urls
from kilonova.api.network import routes as network
from kilonova.db.transaction import Snapshot

DOCUMENT = View[dict[str, object], Call]("", others=Others(object, lambda document, _: document))


async def describe(call: Call) -> Reply:
    """Show the OpenAPI document of a microversion: the newest unless `microversion` names another."""
    negotiated = negotiate(None, call.query.text("microversion") or str(MAX))
    if negotiated.problem is not None:
        kind, message = negotiated.problem
        raise kind(message, path="microversion")
    return Reply(await call.db.read(_described, negotiated.version))


def _described(_snapshot: Snapshot, version: Microversion) -> bytes:
    """Runs in a thread of the database's readers, because it takes too long for the event loop."""
    return _encoded(version)


@lru_cache(maxsize=4)
def _encoded(version: Microversion) -> bytes:
    return to_json(document(SERVICES, version))


_DESCRIBE = Route("GET", "/openapi.json", describe, "openapi", DefaultPolicy.ANYBODY,
                reply=DOCUMENT, note="an OpenAPI 3.1 document", query=frozenset({"microversion"}))  # fmt: skip

SERVICES: tuple[Service, ...] = (
    Service("", (*health.ROUTES, _DESCRIBE), open=True),
    *versions.SERVICES,
    identity.SERVICE,
    compute.SERVICE,
    image.SERVICE,
    store_urls.SERVICE,
    network.SERVICE,
)
"""Everything that is served."""
