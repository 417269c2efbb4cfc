# SPDX-License-Identifier: Apache-2.0
"""Whether the disk has space for new records, and which requests are accepted without it (docs/adr/0014).

Deletes, stops and requests of administrators are accepted; a request that only needs more space is refused before it
begins.
"""

import asyncio
import os
from pathlib import Path
from typing import Protocol

import structlog

from kilonova.base.context import RequestContext
from kilonova.base.errors import KilonovaError, RpcTimeout, RpcUnavailable, StorageFull
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import Workers
from kilonova.db.engine import Database
from kilonova.rpcapi.api_to_conductor_admin import CHECK_CONDUCTOR, CheckConductor
from kilonova.rpcapi.caller import Caller

log = structlog.get_logger(__name__)

FLOOR_BYTES = 64 << 20
PARTS = 20
"""The disk is full when less than FLOOR_BYTES are free, or, on a small disk, less than this fraction (1/n)."""
PERIOD_S = 5.0
LOOK_LIMIT_S = 2.0

ON_FULL = frozenset(
    {
        "os_compute_api:servers:stop",
        "os_compute_api:servers:confirm_resize",
        "os_compute_api:servers:revert_resize",
        "os_compute_api:os-deferred-delete:force",
        "os_compute_api:os-shelve:shelve_offload",
        "os_compute_api:os-pause-server:pause",
        "os_compute_api:os-console-output",
        "os_compute_api:os-remote-consoles",
        "identity:authenticate",
        "identity:change_password",
    }
)
"""Rules that are allowed on a full disk besides reads and deletes: they free space, or need none."""
_TAKE_NONE = frozenset({"GET", "HEAD", "DELETE"})


class Space(Protocol):
    """Whether requests that need space can be accepted."""

    def check(self, context: RequestContext, method: str, rule: str) -> None:
        """Raises StorageFull for a request that needs space, while there is none."""
        ...

    async def trouble(self) -> str:
        """Why the service cannot record anything now, in one sentence; empty if it can."""
        ...


class ConductorSpace:
    """The space of the conductors: they write the database, and refuse what they cannot record."""

    def __init__(self, rpc: Caller) -> None:
        self._rpc = rpc

    def check(self, context: RequestContext, method: str, rule: str) -> None:
        """Accepts each request: the conductor decides."""

    async def trouble(self) -> str:
        """The answer of a conductor, or why there is none."""
        try:
            return (await self._rpc.call(CHECK_CONDUCTOR, CheckConductor())).trouble
        except (RpcUnavailable, RpcTimeout) as exc:
            return f"No conductor answers, so nothing can be changed: {exc.message}"
        except KilonovaError as exc:
            return exc.message


class DiskSpace:
    """The space of the file system of `state`; `tasks` check it every PERIOD_S seconds."""

    def __init__(self, state: Path, workers: Workers, db: Database, tasks: Supervisor) -> None:
        self._state, self._workers, self._db = state, workers, db
        self._full = ""
        tasks.periodic("room", PERIOD_S, self._look, limit_s=LOOK_LIMIT_S)

    def check(self, context: RequestContext, method: str, rule: str) -> None:
        """Raises StorageFull for a request that needs space."""
        if self._full and method not in _TAKE_NONE and rule not in ON_FULL and not context.is_admin:
            raise StorageFull(f"{self._full} Only deletes and stops are accepted until there is more.")

    async def trouble(self) -> str:
        """Why the service cannot record anything now, in one sentence; empty if it can."""
        try:
            async with asyncio.timeout(LOOK_LIMIT_S):
                await self._look()
        except TimeoutError:
            return "The disk of the database does not answer."
        return self._full or await self._db.trouble()

    async def _look(self) -> None:
        was, (self._full, free) = self._full, await self._workers.run(_full, self._state)
        if self._full and not was:
            words = "no disk space: only deletes, stops and requests of administrators are accepted"
            log.error(words, why=self._full, place=str(self._state), free_bytes=free)
        elif was and not self._full:
            log.info("there is disk space again")


def _full(state: Path) -> tuple[str, int]:
    """The problem of the disk, in a sentence that clients can see, and the free bytes."""
    try:
        found = os.statvfs(state)
    except OSError as exc:
        return f"The disk of the database cannot be used: {exc.strerror}.", 0
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return "" if free >= min(FLOOR_BYTES, total // PARTS) else "The disk of the database is full.", free
