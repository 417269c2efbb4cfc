# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id}/topology, from 2.78: how a server's memory and processors lie on its host's NUMA nodes."""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route


async def show_topology(call: Call) -> Reply:
    """No guest here is given a topology of its own."""
    await find(call)
    return json_reply({"nodes": [], "pagesize_kb": None})


ROUTES = (
    Route("GET", "/servers/{server_id}/topology", show_topology, "compute:server:topology:index",
        DefaultPolicy.READER, note="{nodes: [], pagesize_kb: null}", min=v2(78)),
)  # fmt: skip
