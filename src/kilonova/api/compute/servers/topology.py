# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id}/topology, from 2.78: a server's memory and processors by the NUMA nodes of its host."""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, Member, View
from kilonova.objects.instance import Instance

TOPOLOGY = View[Instance, Call](
    "ServerTopology",
    Member("nodes", EmptyList, lambda _server, _: []),
    Member("pagesize_kb", None, lambda _server, _: None),
)


async def show_topology(call: Call) -> Reply:
    """Show the NUMA topology of a server: guests have no NUMA topology here."""
    return TOPOLOGY.reply(await find(call), call)


ROUTES = (
    Route("GET", "/servers/{server_id}/topology", show_topology, "compute:server:topology:index",
        DefaultPolicy.READER, reply=TOPOLOGY, min=v2(78)),
)  # fmt: skip
