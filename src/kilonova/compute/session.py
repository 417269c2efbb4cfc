# SPDX-License-Identifier: Apache-2.0
"""This process's standing with the conductor: who it is, and the epoch that its reports bear."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from kilonova import CODE_VERSION
from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnavailable, RpcTimeout, RpcUnavailable, StaleWrite
from kilonova.config.default import DefaultSettings
from kilonova.objects.ids import HostName
from kilonova.rpcapi.host import HostAPI, RegisterHost

log = structlog.get_logger(__name__)

T = TypeVar("T")

BINARY = "kilonova-compute"
WAIT_FIRST_S = 0.2
WAIT_MOST_S = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """`node_id` stays with the host's state directory, `boot_id` changes when the machine boots, `process_id` is fresh
    at each start of the service."""

    host: HostName
    node_id: str
    boot_id: str
    process_id: str


class Session:
    """Registers, and registers again when told that it is stale.  `registrations` counts: what was told before the last
    one may be known no more."""

    def __init__(self, identity: Identity, conductor: HostAPI, clock: Clock, settings: DefaultSettings) -> None:
        self.identity, self.conductor = identity, conductor
        self._clock, self._settings = clock, settings
        self.epoch: int | None = None
        self.registrations = 0

    async def register(self) -> None:
        """Waits for the conductor as long as it takes, with backoff, and says so.

        Raises StateError when the conductor knows this host, or this node, otherwise (renamed or copied).
        """
        request = RegisterHost(
            host=self.identity.host,
            process_id=self.identity.process_id,
            node_id=self.identity.node_id,
            boot_id=self.identity.boot_id,
            binary=BINARY,
            topic=self._settings.compute_topic,
            version=CODE_VERSION,
            availability_zone=self._settings.default_availability_zone,
            resume_guests=self._settings.resume_guests_state_on_host_boot,
        )
        pause = WAIT_FIRST_S
        while True:
            try:
                standing = await self.conductor.register(request)
                if standing.rebooted:
                    log.info("this machine has booted: guests are started", count=standing.resumed)
                self.epoch = standing.epoch
                self.registrations += 1
                return
            except (RpcTimeout, RpcUnavailable, DatabaseUnavailable) as exc:
                log.warning("waiting for the conductor", host=self.identity.host, error=str(exc))
            await self._clock.sleep(pause * self._clock.random.uniform(0.8, 1.2))
            pause = min(pause * 2, WAIT_MOST_S)

    async def call(self, ask: Callable[[int], Awaitable[T]]) -> T:
        """`ask(epoch)`; when the conductor knows a newer process of this host, register and ask once more."""
        if self.epoch is None:
            await self.register()
        try:
            return await ask(self.epoch or 0)
        except StaleWrite:
            log.warning("registering again: the conductor knows another process of this host", host=self.identity.host)
            await self.register()
            return await ask(self.epoch or 0)
