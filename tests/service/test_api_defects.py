# SPDX-License-Identifier: Apache-2.0
"""A defect of ours is a 500 in the form of the API that was asked, with the request's id, whenever it shows."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from kilonova.api.app import create_app
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.base.context import CHANGED
from kilonova.base.errors import DatabaseUnavailable, NotFound
from tests.service.cloud import Cloud


async def broken(call: Call) -> Reply:
    raise ZeroDivisionError(call.path)


async def bad_header(_call: Call) -> Reply:
    return Reply(b"{}", headers=(("X-Name", "Kilonová €"),))


async def half_done(_call: Call) -> Reply:
    CHANGED.get().append("create_servers")
    raise DatabaseUnavailable("The database cannot be used now. Nothing was accepted.")


async def refused_late(_call: Call) -> Reply:
    CHANGED.get().append("create_servers")
    raise NotFound("There is none.")


ROUTES = tuple(
    Route(method, path, handler, "rule", DefaultPolicy.ANYBODY)
    for method, path, handler in (
        ("GET", "/broken", broken),
        ("GET", "/header", bad_header),
        ("POST", "/half", half_done),
        ("POST", "/late", refused_late),
    )
)
SERVICES = (
    Service("", ()),
    Service("/compute/v2.1", ROUTES, microversions=True),
    Service("/image/v2", ROUTES),
    Service("/identity/v3", ROUTES, identity=True),
    Service("/network/v2.0", ROUTES, network=True),
)


@pytest.fixture
async def http(cloud: Cloud) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the API whose rows are those above."""
    app = create_app(cloud.box.app.deps, SERVICES)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://box") as opened:
        yield opened


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("/compute/v2.1", "computeFault"),
        ("/image/v2", "computeFault"),
        ("/identity/v3", "error"),
        ("/network/v2.0", "NeutronError"),
    ],
)
async def test_each_api_says_it_in_its_own_form(http: httpx.AsyncClient, prefix: str, key: str) -> None:
    for path in ("/broken", "/header"):
        reply = await http.get(f"{prefix}{path}")
        assert reply.status_code == 500
        assert reply.headers["x-openstack-request-id"] in reply.json()[key]["message"]


async def test_what_was_accepted_is_not_answered_as_refused(http: httpx.AsyncClient) -> None:
    reply = await http.post("/compute/v2.1/half")
    assert (reply.status_code, "Retry-After" in reply.headers) == (504, False)
    assert "create_servers" in reply.json()["computeFault"]["message"]
    assert (await http.post("/compute/v2.1/late")).status_code == 404
