# SPDX-License-Identifier: Apache-2.0
"""The metrics of a conductor about the fleet: hosts, open actions, the outbox, and the use of the database.

All conductors report the same numbers of hosts, actions and notifications, because they read the same database.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from kilonova.base.clock import Clock
from kilonova.base.errors import KilonovaError
from kilonova.base.metrics import Collector, Metrics
from kilonova.db.engine import Database
from kilonova.db.readers import fleet as read_fleet
from kilonova.db.transaction import Snapshot
from kilonova.objects.fleet import AGES, OpenWork, Outbox, ProcessState

log = structlog.get_logger(__name__)

LIMIT_S = 3.0
BOUNDS = [*(str(limit) for limit, _ in AGES), "+Inf"]

Facts = tuple[list[ProcessState], OpenWork, Outbox]


def _read(snapshot: Snapshot, now: datetime) -> Facts:
    return read_fleet.host_states(snapshot), read_fleet.open_work(snapshot, now), read_fleet.outbox_state(snapshot, now)


class FleetMetrics(Collector):
    """Registers itself with `metrics`."""

    def __init__(self, db: Database, clock: Clock, metrics: Metrics) -> None:
        self._db, self._clock = db, clock
        self._facts: Facts | None = None
        metrics.registry.register(self)

    async def refresh(self) -> None:
        """Read again.  When the database does not answer in time there are no numbers, rather than old ones."""
        self._facts = None
        try:
            async with asyncio.timeout(LIMIT_S):
                self._facts = await self._db.read(_read, self._clock.now())
        except (KilonovaError, TimeoutError) as exc:
            log.info("the numbers of the fleet could not be read", error=str(exc) or "no answer")

    def collect(self) -> Iterator[Metric]:
        """The numbers of the last refresh."""
        yield GaugeMetricFamily("kilonova_database_up", "1 when the database answered.", float(self._facts is not None))
        if self._facts is None:
            return
        states, work, outbox = self._facts
        counted = Counter(states)
        hosts = GaugeMetricFamily("kilonova_hosts", "Hosts of the fleet, by state.", labels=["state"])
        for state in ProcessState:
            hosts.add_metric([state], counted[state])
        yield hosts
        what = "Open actions, by age: at most so many seconds, and older than the bound before."
        ages = GaugeMetricFamily("kilonova_open_actions", what, labels=["age"])
        for bound, count in zip(BOUNDS, work.ages, strict=True):
            ages.add_metric([bound], count)
        yield ages
        for name, what, value in (
            ("unplaced_actions_oldest", "Age of the oldest action without a host.", work.unplaced_s),
            ("unfetched_actions_oldest", "Since an action has a host that has not fetched it.", work.unfetched_s),
            ("unpublished_notifications_oldest", "Age of the oldest unpublished notification.", outbox.oldest_s),
        ):
            yield GaugeMetricFamily(f"kilonova_{name}_seconds", what, value or 0.0)
        what = "Notifications that are not published yet."
        yield GaugeMetricFamily("kilonova_unpublished_notifications", what, outbox.waiting)
