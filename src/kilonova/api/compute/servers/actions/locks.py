# SPDX-License-Identifier: Apache-2.0
"""lock and unlock."""

from typing import Annotated

from pydantic import Field, StringConstraints

from kilonova.api.compute.servers.actions.accept import accept
from kilonova.api.compute.servers.actions.simple import empty_body, simple
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


async def lock(call: Call, body: Body) -> Reply:
    """Lock a server: actions of its owner are refused until it is unlocked; those of administrators are not."""
    reason = body.reason if isinstance(body, Lock) else None
    return await accept(call, Verb.LOCK, LockParams(None if reason is None else reason.locked_reason))


ROUTES: ActionRoutes = {
    "lock": (
        ActionRoute(empty_body("lock", "PlainLock"), lock, "os_compute_api:os-lock-server:lock", max=v2(72)),
        ActionRoute(Lock, lock, "os_compute_api:os-lock-server:lock", min=WITH_REASON),
    ),
    **simple(
        "unlock",
        Verb.UNLOCK,
        "os_compute_api:os-lock-server:unlock",
        "Unlock a server; the lock of an administrator can only be removed by an administrator.",
    ),
}
