# SPDX-License-Identifier: Apache-2.0
"""Which hosts are alive: kept in the memory of each conductor from heartbeats, which every conductor receives.

After its start, after a pause of its own process, and after a time in which it received nothing, a conductor waits a
grace period before it suspects any host, and `service_down_time` before it treats any host as gone: the conductor
itself may have missed the heartbeats.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kilonova.base.clock import Clock
from kilonova.conductor.hosts.processes import Sign
from kilonova.db.readers.hosts import HostLevel, HostProcess
from kilonova.objects.ids import HostName


@dataclass(slots=True)
class _Seen:
    """What this process has of a host: `heard_at` is the time of the last heartbeat of that epoch, `since` the time
    from which the silence of that epoch counts; None: since this process receives heartbeats."""

    epoch: int
    heard_at: float | None = None
    since: float | None = None
    up: bool = True

    def last_at(self, otherwise: float) -> float:
        return max(otherwise if at is None else at for at in (self.heard_at, self.since))


class Liveness:
    """Times are monotonic.  `down_time_s` without a heartbeat makes a host down.  With `alone` the hosts run in the
    conductor's own process: a host that has not registered with this process cannot be alive."""

    def __init__(self, clock: Clock, *, down_time_s: float, grace_s: float, alone: bool = False) -> None:
        self._clock, self._alone = clock, alone
        self._down_time_s, self._grace_s = down_time_s, grace_s
        self._started = self._last_look = clock.monotonic()
        self._interval_s = 0.0
        self._received = False
        self._looked = False
        self.started_at = clock.now()
        self._seen: dict[HostName, _Seen] = {}

    def registered(self, host: HostName, epoch: int) -> None:
        """A process of the host has this epoch from now on."""
        self._seen[host] = _Seen(epoch, self._clock.monotonic())

    def heard(self, host: HostName, epoch: int) -> None:
        """A heartbeat came, or another sign of life.  A heartbeat of an older process than the newest known has no
        effect."""
        self._received = True
        seen = self._seen.get(host)
        if seen is None or epoch > seen.epoch:
            self.registered(host, epoch)
        elif epoch == seen.epoch:
            seen.heard_at = self._clock.monotonic()

    def took_any(self) -> bool:
        """Whether a heartbeat of any host came since the last call."""
        received, self._received = self._received, False
        return received

    def note(self, levels: Iterable[HostLevel]) -> None:
        """Compare with the records.  The silence of a process that this conductor did not know, or that another
        conductor has called up, counts from now on."""
        now = self._clock.monotonic()
        for level in levels:
            seen = self._seen.get(level.host)
            if seen is None or seen.epoch != level.epoch:
                self._seen[level.host] = _Seen(level.epoch, since=now if self._looked else None, up=level.up)
            elif level.up and not seen.up:
                seen.since, seen.up = now, True
            else:
                seen.up = level.up
        self._looked = True

    def is_fresh(self, host: HostName, epoch: int) -> bool:
        """Whether a heartbeat of this process of the host came within the down time."""
        seen = self._seen.get(host)
        if seen is None or seen.epoch != epoch or seen.heard_at is None:
            return False
        return self._clock.monotonic() - seen.heard_at < self._down_time_s

    def is_silent(self, host: HostName, epoch: int) -> bool:
        """Whether nothing came from this process of the host for the down time.  See `may_judge`."""
        seen = self._seen.get(host)
        if seen is None or seen.epoch != epoch:
            return False
        return self._clock.monotonic() - seen.last_at(-self._down_time_s) >= self._down_time_s

    def last_heard(self) -> dict[HostName, datetime]:
        """The time of the last heartbeat of each host that has sent one since the start of this process."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        heard = ((host, seen.heard_at) for host, seen in self._seen.items())
        return {host: now - timedelta(seconds=monotonic - at) for host, at in heard if at is not None}

    def deaf(self) -> None:
        """This process cannot receive heartbeats now: the grace period begins again."""
        self._started, self._looked = self._clock.monotonic(), False
        for seen in self._seen.values():
            seen.since = None

    def may_judge(self, interval_s: float) -> bool:
        """Whether missing heartbeats count against hosts.  If a look comes much later than its interval, this process
        itself stood still: the grace period begins again."""
        self._interval_s, self._started = interval_s, self._awake_since()
        self._last_look = now = self._clock.monotonic()
        return now - self._started >= self._grace_s

    def sign_of_life(self, host: HostName, process: HostProcess) -> Sign | None:
        """Why this process of the host may still be alive; None when no heartbeat came for the down time, in which this
        process could have received one."""
        now, seen = self._clock.monotonic(), self._seen.get(host)
        if seen is None or seen.epoch != process.epoch:
            if self._alone or not process.up:
                return None
            seen = self._seen[host] = _Seen(process.epoch, since=now if self._looked else None)
        elif seen.heard_at is None and (self._alone or not process.up):
            return None
        awake = self._awake_since()
        silent_s = now - max(seen.last_at(awake), awake)
        if silent_s >= self._down_time_s:
            return None
        return Sign(None if seen.heard_at is None else now - seen.heard_at)

    def _awake_since(self) -> float:
        """The time since which this process has received every heartbeat that was sent."""
        now = self._clock.monotonic()
        return now if now - self._last_look > self._interval_s + self._down_time_s / 2 else self._started
