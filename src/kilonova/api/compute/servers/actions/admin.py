# SPDX-License-Identifier: Apache-2.0
"""Actions of administrators that do not change the guest."""

from typing import Literal

from pydantic import Field

from kilonova.api.compute.servers import resource as servers
from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.actions.simple import empty_body
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
    new: NewState = Field(alias="os-resetState")


async def reset_state(call: Call, body: ResetState) -> Reply:
    """Correct the state of a server when the shown state is wrong.  The guest does not change."""
    return await accept(call, Verb.RESET_STATE, ResetStateParams(body.new.state))


async def inject_network_info(call: Call, _body: Body) -> Reply:
    """Inject network information into a server: nothing to do.

    A guest receives its networks from its config drive and by DHCP, from its create on, as with Nova's libvirt driver.
    """
    await servers.find(call)
    return Reply()


async def reset_network(call: Call, _body: Body) -> Reply:
    """Reset the network of a server: always 410.  Only XenAPI had it, and Nova removed it."""
    await servers.find(call)
    raise HttpError(410, "This API only works with the Xen virt driver, which is not supported any more.")


_INJECT = empty_body("injectNetworkInfo")
P = "os_compute_api:os-admin-actions:"
ROUTES: ActionRoutes = {
    "os-resetState": (ActionRoute(ResetState, reset_state, P + "reset_state", DefaultPolicy.ADMIN),),
    "injectNetworkInfo": (ActionRoute(_INJECT, inject_network_info, P + "inject_network_info", DefaultPolicy.ADMIN),),
    "resetNetwork": (ActionRoute(empty_body("resetNetwork"), reset_network, P + "reset_network", success=410),),
}
