# SPDX-License-Identifier: Apache-2.0
"""The use of the database by one process, as metrics."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from kilonova.base.metrics import Collector, Metrics
from kilonova.db.engine import Database


class DatabaseMetrics(Collector):
    """The use of the database by one process; registers itself with `metrics`."""

    def __init__(self, db: Database, metrics: Metrics) -> None:
        self._db = db
        metrics.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The connections of the pool, and the repeated transactions."""
        used = self._db.usage()
        name = "kilonova_database_connections"
        yield GaugeMetricFamily(f"{name}_busy", "Connections to the database in use.", used.busy)
        yield GaugeMetricFamily(f"{name}_max", "The most connections to the database.", used.size)
        what = "Transactions that ran again, by reason."
        family = CounterMetricFamily("kilonova_repeated_transactions", what, labels=["reason"])
        for reason, count in used.repeated.items():
            family.add_metric([reason], count)
        yield family
