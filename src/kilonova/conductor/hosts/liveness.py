# SPDX-License-Identifier: Apache-2.0
"""Who lives: kept in memory from heartbeats; the database hears of changes only.

After its own start (or a pause of its own) a conductor waits a grace period before it calls anyone down, and
`service_down_time` before it takes anyone for gone: what was silent was perhaps the conductor.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from kilonova.base.clock import Clock
from kilonova.conductor.hosts.processes import Sign
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import COMPUTE, HostProcess
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.ids import HostName


class Liveness:
    """Times are of the clock's monotonic; `down_time_s` without heartbeat makes a host down.  With `alone` the hosts
    are in the conductor's own process: none that it has not heard can live."""

    def __init__(self, clock: Clock, *, down_time_s: float, grace_s: float, alone: bool = False) -> None:
        self._clock, self._alone = clock, alone
        self._down_time_s, self._grace_s = down_time_s, grace_s
        self._started = self._last_look = clock.monotonic()
        self._interval_s = 0.0
        self.started_at = clock.now()
        self._seen: dict[HostName, tuple[int, float]] = {}

    def registered(self, host: HostName, epoch: int) -> None:
        """A process of the host has this epoch from now on."""
        self._seen[host] = (epoch, self._clock.monotonic())

    def heard(self, host: HostName, epoch: int) -> None:
        """A heartbeat came.  That of an older process, which was let through before a newer one registered, counts
        nothing."""
        if epoch >= self._seen.get(host, (epoch, 0.0))[0]:
            self.registered(host, epoch)

    def is_fresh(self, host: HostName, epoch: int) -> bool:
        """Whether this very process of the host was heard within the down time."""
        seen = self._seen.get(host)
        return seen is not None and seen[0] == epoch and self._clock.monotonic() - seen[1] < self._down_time_s

    def last_heard(self) -> dict[HostName, datetime]:
        """When each host was heard, of those that were since this process's start."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return {host: now - timedelta(seconds=monotonic - at) for host, (_, at) in self._seen.items()}

    def may_judge(self, interval_s: float) -> bool:
        """Whether silence can be held against hosts.  A look that comes much later than its interval means that this
        process itself stood still: the grace period begins anew."""
        self._interval_s, self._started = interval_s, self._awake_since()
        self._last_look = now = self._clock.monotonic()
        return now - self._started >= self._grace_s

    def sign_of_life(self, host: HostName, process: HostProcess) -> Sign | None:
        """Why this process of the host may still live; None when it was silent for the down time, in which it could
        have been heard."""
        now, (epoch, heard_at) = self._clock.monotonic(), self._seen.get(host, (0, 0.0))
        known = epoch == process.epoch
        if not known and (self._alone or not process.up):
            return None
        silent_s = now - max(heard_at if known else 0.0, self._awake_since())
        return Sign(now - heard_at if known else None) if silent_s < self._down_time_s else None

    def _awake_since(self) -> float:
        """Since when this process has heard what there was to hear."""
        now = self._clock.monotonic()
        return now if now - self._last_look > self._interval_s + self._down_time_s / 2 else self._started


def changes(tx: Transaction, liveness: Liveness, judge: bool) -> list[tuple[HostName, int, bool]]:
    """Hosts whose recorded `up` is not what was heard: (host, epoch, up)."""
    found: list[tuple[HostName, int, bool]] = []
    for service in read_hosts.list_services(tx, binary=COMPUTE):
        fresh = liveness.is_fresh(service.host, service.epoch)
        if fresh != service.up and (fresh or judge):
            found.append((service.host, service.epoch, fresh))
    return found


def record(
    tx: Transaction,
    changed: list[tuple[HostName, int, bool]],
    heard: Mapping[HostName, datetime],
    now: datetime,
) -> None:
    """Compare-and-set on the epoch: a host that has registered anew meanwhile is left alone.  The time of the record
    is that at which the host was last heard."""
    for host, epoch, up in changed:
        known = read_hosts.process_of(tx, host)
        if known is not None and known[0] == epoch:
            write_hosts.update_service(tx, host, COMPUTE, heard.get(host, now), up=up)
