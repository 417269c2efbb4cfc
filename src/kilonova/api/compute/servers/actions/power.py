# SPDX-License-Identifier: Apache-2.0
"""stop, start, reboot, pause, unpause, suspend, resume."""

from typing import Literal

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.actions.simple import simple
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.objects.action_params import RebootParams
from kilonova.objects.states import Verb


class RebootKind(Body):
    type: Literal["SOFT", "HARD", "Soft", "Hard", "soft", "hard"]


class Reboot(Body):
    reboot: RebootKind


async def reboot(call: Call, body: Reboot) -> Reply:
    """Reboot a server: SOFT requests it from the guest, HARD resets the guest."""
    return await accept(call, Verb.REBOOT, RebootParams("HARD" if body.reboot.type.upper() == "HARD" else "SOFT"))


ROUTES: ActionRoutes = {
    **simple("os-stop", Verb.STOP, "os_compute_api:servers:stop", "ACTIVE to SHUTOFF: shut the guest down."),
    **simple("os-start", Verb.START, "os_compute_api:servers:start", "SHUTOFF to ACTIVE."),
    "reboot": (ActionRoute(Reboot, reboot, "os_compute_api:servers:reboot"),),
    **simple("pause", Verb.PAUSE, "os_compute_api:os-pause-server:pause", "ACTIVE to PAUSED."),
    **simple("unpause", Verb.UNPAUSE, "os_compute_api:os-pause-server:unpause", "PAUSED to ACTIVE."),
    **simple(
        "suspend",
        Verb.SUSPEND,
        "os_compute_api:os-suspend-server:suspend",
        "ACTIVE to SUSPENDED: the guest's memory is saved to the host's disk.",
    ),
    **simple(
        "resume", Verb.RESUME, "os_compute_api:os-suspend-server:resume", "SUSPENDED to ACTIVE, from the saved memory."
    ),
}
