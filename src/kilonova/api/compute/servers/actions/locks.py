# SPDX-License-Identifier: Apache-2.0
"""lock and unlock."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.objects.action_params import LockParams
from kilonova.objects.states import Verb

WITH_REASON = v2(73)


class LockReason(Body):
    locked_reason: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Lock(Body):
    reason: LockReason | None = Field(alias="lock")


class PlainLock(Body):
    nothing: Any = Field(alias="lock")


class Unlock(Body):
    nothing: Any = Field(alias="unlock")


async def lock(call: Call, body: Lock | PlainLock) -> Reply:
    """Its owner's actions are refused until it is unlocked; an administrator's are not."""
    reason = body.reason if isinstance(body, Lock) else None
    return await accept(call, Verb.LOCK, LockParams(None if reason is None else reason.locked_reason))


async def unlock(call: Call, _body: Unlock) -> Reply:
    """What an administrator locked, only an administrator unlocks."""
    return await accept(call, Verb.UNLOCK)


ROUTES: ActionRoutes = {
    "lock": (
        ActionRoute(PlainLock, lock, "os_compute_api:os-lock-server:lock", max=v2(72)),
        ActionRoute(Lock, lock, "os_compute_api:os-lock-server:lock", min=WITH_REASON),
    ),
    "unlock": (ActionRoute(Unlock, unlock, "os_compute_api:os-lock-server:unlock"),),
}
