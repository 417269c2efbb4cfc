# SPDX-License-Identifier: Apache-2.0
"""stop, start, reboot, pause, unpause, suspend, resume."""

from typing import Any, Literal

from pydantic import Field

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.objects.action_params import RebootParams
from kilonova.objects.states import Verb


class Stop(Body):
    nothing: Any = Field(alias="os-stop")


class Start(Body):
    nothing: Any = Field(alias="os-start")


class RebootKind(Body):
    type: Literal["SOFT", "HARD", "Soft", "Hard", "soft", "hard"]


class Reboot(Body):
    reboot: RebootKind


class Pause(Body):
    nothing: Any = Field(alias="pause")


class Unpause(Body):
    nothing: Any = Field(alias="unpause")


class Suspend(Body):
    nothing: Any = Field(alias="suspend")


class Resume(Body):
    nothing: Any = Field(alias="resume")


async def stop(call: Call, _body: Stop) -> Reply:
    """ACTIVE to SHUTOFF; the guest is asked first."""
    return await accept(call, Verb.STOP)


async def start(call: Call, _body: Start) -> Reply:
    """SHUTOFF to ACTIVE."""
    return await accept(call, Verb.START)


async def reboot(call: Call, body: Reboot) -> Reply:
    """SOFT asks the guest, HARD does not."""
    return await accept(call, Verb.REBOOT, RebootParams("HARD" if body.reboot.type.upper() == "HARD" else "SOFT"))


async def pause(call: Call, _body: Pause) -> Reply:
    """ACTIVE to PAUSED."""
    return await accept(call, Verb.PAUSE)


async def unpause(call: Call, _body: Unpause) -> Reply:
    """PAUSED to ACTIVE."""
    return await accept(call, Verb.UNPAUSE)


async def suspend(call: Call, _body: Suspend) -> Reply:
    """ACTIVE to SUSPENDED: the guest's memory goes to the host's disk."""
    return await accept(call, Verb.SUSPEND)


async def resume(call: Call, _body: Resume) -> Reply:
    """SUSPENDED to ACTIVE: it goes on where it was."""
    return await accept(call, Verb.RESUME)


ROUTES: ActionRoutes = {
    "os-stop": (ActionRoute(Stop, stop, "os_compute_api:servers:stop"),),
    "os-start": (ActionRoute(Start, start, "os_compute_api:servers:start"),),
    "reboot": (ActionRoute(Reboot, reboot, "os_compute_api:servers:reboot"),),
    "pause": (ActionRoute(Pause, pause, "os_compute_api:os-pause-server:pause"),),
    "unpause": (ActionRoute(Unpause, unpause, "os_compute_api:os-pause-server:unpause"),),
    "suspend": (ActionRoute(Suspend, suspend, "os_compute_api:os-suspend-server:suspend"),),
    "resume": (ActionRoute(Resume, resume, "os_compute_api:os-suspend-server:resume"),),
}
