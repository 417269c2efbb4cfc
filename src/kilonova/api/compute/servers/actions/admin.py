# SPDX-License-Identifier: Apache-2.0
"""What only an administrator does to a server as it is."""

from typing import Any, Literal

from pydantic import Field

from kilonova.api.compute.servers import resource as servers
from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.route import DefaultPolicy
from kilonova.objects.action_params import ResetStateParams
from kilonova.objects.states import Verb


class NewState(Body):
    state: Literal["active", "error"]


class ResetState(Body):
    wanted: NewState = Field(alias="os-resetState")


async def reset_state(call: Call, body: ResetState) -> Reply:
    """An administrator's word on what the server is, when what is shown is wrong.  Nothing is done to the guest."""
    return await accept(call, Verb.RESET_STATE, ResetStateParams(body.wanted.state))


class InjectNetworkInfo(Body):
    nothing: Any = Field(alias="injectNetworkInfo")


async def inject_network_info(call: Call, _body: InjectNetworkInfo) -> Reply:
    """Nothing is left to do: a guest is told of its networks by its config drive and by DHCP, from its create on.  As
    Nova's libvirt driver."""
    await servers.find(call)
    return Reply()


class ResetNetwork(Body):
    nothing: Any = Field(alias="resetNetwork")


async def reset_network(call: Call, _body: ResetNetwork) -> Reply:
    """410: it was XenAPI's, and left Nova with it."""
    await servers.find(call)
    raise HttpError(410, "This API only works with the Xen virt driver, which is not supported any more.")


P = "os_compute_api:os-admin-actions:"
ROUTES: ActionRoutes = {
    "os-resetState": (ActionRoute(ResetState, reset_state, P + "reset_state", DefaultPolicy.ADMIN),),
    "injectNetworkInfo": (
        ActionRoute(InjectNetworkInfo, inject_network_info, P + "inject_network_info", DefaultPolicy.ADMIN),
    ),
    "resetNetwork": (ActionRoute(ResetNetwork, reset_network, P + "reset_network", success=410),),
}
