# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id}/topology, from 2.78: how a server's memory and processors lie on its host's NUMA nodes."""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply


async def show_topology(call: Call) -> Reply:
    """No guest here is given a topology of its own."""
    await find(call)
    return json_reply({"nodes": [], "pagesize_kb": None})
