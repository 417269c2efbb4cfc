# SPDX-License-Identifier: Apache-2.0
"""The server of a trap, and what it does before its fault."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from kilonova.objects.ids import InstanceId
from tests.simulation.explore.cloud import Host
from tests.simulation.explore.faults import Scene
from tests.simulation.explore.history import Exchange
from tests.simulation.explore.weather import Aim

PASSED_S = 25.0
"""How long a trap waits for a request, or for the moment of its fault."""

CHAINS = tuple(
    tuple(text.split("+"))
    for text in (
        "create", "create", "stop", "stop+start", "stop+start", "reboot", "hard reboot", "pause", "pause+unpause",
        "suspend+resume", "rescue", "rescue+unrescue", "rebuild", "resize", "resize", "resize+confirmResize",
        "resize+confirmResize", "resize+revertResize", "createImage", "createBackup", "shelve", "shelve+shelveOffload",
        "shelve+shelveOffload", "shelve+unshelve", "shelve+shelveOffload+unshelve", "shelve+shelveOffload+unshelve",
    )
)  # fmt: skip
"""What a server of a trap does; the fault meets the last request."""


@dataclass
class Target:
    """The server of a trap: its slot, and the client that sends its requests."""

    scene: Scene
    random: Random
    slot: int

    @property
    def server(self) -> InstanceId | None:
        """Its id, once it was accepted."""
        server = self.scene.clients.slots.get(self.slot)
        return None if server is None else InstanceId(server)

    @property
    def host(self) -> Host | None:
        """Where it is, or where its open action is done."""
        rows = self.scene.cloud.observer.rows(_PLACE, self.server, self.server)
        return next((self.scene.cloud.hosts[row["host"]] for row in rows if row["host"]), None)

    @property
    def state(self) -> str:
        """Its vm_state."""
        rows = self.scene.cloud.observer.rows("SELECT vm_state FROM instances WHERE id = ?", self.server)
        return rows[0]["vm_state"] if rows else ""

    async def there(self, *verbs: str) -> Host | None:
        """Its host, when it has done these verbs; None: that was not possible."""
        if not await self.prepared((*verbs, "")) or (host := self.host) is None:
            return None
        return host if host.process.lives and not host.off else None

    async def until(self, what: Callable[[], bool], within_s: float = PASSED_S) -> bool:
        """Wait until it is true."""
        return await self.scene.cloud.until(what, within_s=within_s, every_s=0.05)

    @property
    def busy(self) -> bool:
        """Whether an action of the server is open."""
        query = "SELECT 1 FROM actions WHERE instance_id = ? AND state = 'open'"
        return bool(self.scene.cloud.observer.rows(query, self.server))

    async def rests(self) -> bool:
        """Wait until no action of the server is open."""
        return await self.scene.cloud.until(lambda: not self.busy, within_s=PASSED_S, every_s=0.2)

    async def ask(self, verb: str) -> Exchange | None:
        """Send a request for it."""
        if verb == "create":
            await self.scene.clients.create(0, self.slot, self.random)
        elif self.server is not None and verb == "delete":
            await self.scene.clients.delete_server(0, self.server)
        elif self.server is not None and verb == "cancel":
            await self.scene.clients.cancel(0, self.server)
        elif self.server is not None:
            return await self.scene.clients.action(0, self.server, verb, self.random)
        return None

    async def prepared(self, chain: tuple[str, ...]) -> bool:
        """Do all of the chain except its last request.  Returns whether that was possible."""
        for verb in ("create", *chain)[: -1 if chain[0] != "create" else 0]:
            exchange = await self.ask(verb)
            refused = exchange is not None and not exchange.accepted
            if self.server is None or refused or not await self.rests():
                return False
        return True

    async def lost_time(self, longest_s: float) -> None:
        """Some time goes by, mostly little."""
        await asyncio.sleep(self.random.choice((0.0, self.random.uniform(0, 1), self.random.uniform(0, longest_s))))


@contextmanager
def aim(target: Target, what: Aim) -> Generator[Aim]:
    """Within the block the calls of the server's guest have these faults."""
    aims, server = target.scene.cloud.weather.aims, target.server
    if server is not None:
        aims[server] = what
    try:
        yield what
    finally:
        if server is not None:
            aims.pop(server, None)


_PLACE = """
SELECT host FROM actions WHERE instance_id = ? AND state = 'open' UNION ALL SELECT host FROM instances WHERE id = ?
"""
