# SPDX-License-Identifier: Apache-2.0
"""The password that a guest has encrypted for its owner and posted to its metadata service.  There is no such service
here, so there is never one to be told or cleared."""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.route import DefaultPolicy, Route


async def show(call: Call) -> Reply:
    """GET /servers/{id}/os-server-password: none."""
    await find(call)
    return json_reply({"password": ""})


async def clear(call: Call) -> Reply:
    """DELETE /servers/{id}/os-server-password."""
    await find(call)
    return Reply()


ROUTES = (
    Route("GET", "/servers/{server_id}/os-server-password", show, "os_compute_api:os-server-password:show",
        DefaultPolicy.READER, note="{password}: empty"),
    Route("DELETE", "/servers/{server_id}/os-server-password", clear, "os_compute_api:os-server-password:clear",
        DefaultPolicy.MEMBER, 204),
)  # fmt: skip
