# SPDX-License-Identifier: Apache-2.0
"""The password that a guest encrypts for its owner and posts to the metadata service.

There is no metadata service here, so a server never has this password.
"""

from typing import Literal

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View

PASSWORD = View[str, Call]("", Member("password", Literal[""], lambda password, _: password))


async def show(call: Call) -> Reply:
    """Show the encrypted password of a server: always empty."""
    await find(call)
    return PASSWORD.reply("", call)


async def clear(call: Call) -> Reply:
    """Clear the encrypted password of a server: changes nothing."""
    await find(call)
    return Reply()


ROUTES = (
    Route("GET", "/servers/{server_id}/os-server-password", show, "os_compute_api:os-server-password:show",
        DefaultPolicy.READER, reply=PASSWORD),
    Route("DELETE", "/servers/{server_id}/os-server-password", clear, "os_compute_api:os-server-password:clear",
        DefaultPolicy.MEMBER, 204),
)  # fmt: skip
