# SPDX-License-Identifier: Apache-2.0
"""Which hosts are alive: kept in memory from heartbeats; the database records only changes.

After its start, or after a pause of its own process, a conductor waits a grace period before it marks any host down,
and `service_down_time` before it treats any host as gone: the conductor itself may have missed the heartbeats.
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
    """Times are monotonic.  `down_time_s` without a heartbeat makes a host down.  With `alone` the hosts run in the
    conductor's own process: a host that has not registered with this process cannot be alive."""

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
        """A heartbeat came.  A heartbeat of an older process, which was admitted before a newer one registered, has no
        effect."""
        if epoch >= self._seen.get(host, (epoch, 0.0))[0]:
            self.registered(host, epoch)

    def is_fresh(self, host: HostName, epoch: int) -> bool:
        """Whether a heartbeat of this process of the host came within the down time."""
        seen = self._seen.get(host)
        return seen is not None and seen[0] == epoch and self._clock.monotonic() - seen[1] < self._down_time_s

    def last_heard(self) -> dict[HostName, datetime]:
        """The time of the last heartbeat of each host that has sent one since the start of this process."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return {host: now - timedelta(seconds=monotonic - at) for host, (_, at) in self._seen.items()}

    def may_judge(self, interval_s: float) -> bool:
        """Whether missing heartbeats count against hosts.  If a look comes much later than its interval, this process
        itself stood still: the grace period begins again."""
        self._interval_s, self._started = interval_s, self._awake_since()
        self._last_look = now = self._clock.monotonic()
        return now - self._started >= self._grace_s

    def sign_of_life(self, host: HostName, process: HostProcess) -> Sign | None:
        """Why this process of the host may still be alive; None when no heartbeat came for the down time, in which this
        process could have received one."""
        now, (epoch, heard_at) = self._clock.monotonic(), self._seen.get(host, (0, 0.0))
        known = epoch == process.epoch
        if not known and (self._alone or not process.up):
            return None
        silent_s = now - max(heard_at if known else 0.0, self._awake_since())
        return Sign(now - heard_at if known else None) if silent_s < self._down_time_s else None

    def _awake_since(self) -> float:
        """The time since which this process has received every heartbeat that was sent."""
        now = self._clock.monotonic()
        return now if now - self._last_look > self._interval_s + self._down_time_s / 2 else self._started


def changes(tx: Transaction, liveness: Liveness, judge: bool) -> list[tuple[HostName, int, bool]]:
    """Hosts whose recorded `up` differs from their heartbeats: (host, epoch, up)."""
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
    """Compare-and-set on the epoch: a host that has registered again meanwhile does not change.  The time of the record
    is the time of the host's last heartbeat."""
    for host, epoch, up in changed:
        known = read_hosts.process_of(tx, host)
        if known is not None and known[0] == epoch:
            write_hosts.update_service(tx, host, COMPUTE, heard.get(host, now), up=up)
