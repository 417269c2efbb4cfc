# SPDX-License-Identifier: Apache-2.0
"""Guests' figures as metrics, read from the hypervisor when metrics are requested."""

import asyncio
from collections.abc import Iterator, Mapping

import structlog
from prometheus_client.core import GaugeMetricFamily

from kilonova.base.errors import KilonovaError
from kilonova.base.metrics import Collector, Metrics
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.objects.ids import InstanceId
from kilonova.virt.capabilities import GuestFigures
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)

LIMIT_S = 3.0

FAMILIES: Mapping[str, tuple[str, str]] = {
    "cpu_seconds": ("kilonova_guest_cpu_seconds", "CPU time of a guest since its start."),
    "memory_bytes": ("kilonova_guest_memory_bytes", "Memory that a guest has."),
    "disk_bytes": ("kilonova_guest_disk_bytes", "What a guest's root disk occupies on the host."),
    "received_bytes": ("kilonova_guest_received_bytes", "Traffic to a guest since its start."),
    "sent_bytes": ("kilonova_guest_sent_bytes", "Traffic from a guest since its start."),
}


class GuestMetrics(Collector):
    """Registers itself and the driver's view of its hypervisor with `metrics`."""

    def __init__(self, driver: ComputeDriver, virtapi: ComputeVirtAPI, metrics: Metrics) -> None:
        self._driver, self._known = driver, dict[InstanceId, GuestFigures]()
        metrics.gauge("kilonova_hypervisor_up", "The hypervisor is in service.", lambda: float(bool(virtapi.enabled)))
        if driver.reachability is not None:
            what = "Native calls that were abandoned and have not returned."
            metrics.gauge("kilonova_abandoned_native_calls", what, driver.reachability.abandoned_calls)
        metrics.registry.register(self)

    async def refresh(self) -> None:
        """Read again.  When the hypervisor does not answer in time there are no figures, rather than old ones."""
        self._known = {}
        if self._driver.statistics is None:
            return
        try:
            async with asyncio.timeout(LIMIT_S):
                self._known = dict(await self._driver.statistics.guest_figures())
        except (KilonovaError, TimeoutError) as exc:
            log.info("guests' figures could not be read", error=str(exc) or "no answer")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family per figure, one sample per guest."""
        for field, (name, what) in FAMILIES.items():
            family = GaugeMetricFamily(name, what, labels=["instance"])
            for instance_id, figures in self._known.items():
                family.add_metric([instance_id], float(getattr(figures, field)))
            yield family
