# SPDX-License-Identifier: Apache-2.0
"""What a guest used over the last hour: columns of rates, made from the counters of its hypervisor.  Pure."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from typing_extensions import TypedDict

from kilonova.objects.diagnostics import GuestDiagnostics

PERIOD_S = 10.0
KEPT = 360
"""Samples in an hour."""


class Columns(TypedDict):
    """One entry per sample, the oldest first; None where a value is not known.

    `at` in seconds since 1970.  `cpu` in percent of all virtual CPUs.  `memory` in MiB: the part in use, of
    `memory_maximum`.  The others in bytes a second, `rx` and `tx` as the guest sees them.
    """

    period: float
    vcpus: int
    memory_maximum: int
    at: list[float]
    cpu: list[float | None]
    memory: list[float | None]
    disk_read: list[float | None]
    disk_write: list[float | None]
    net_rx: list[float | None]
    net_tx: list[float | None]


@dataclass(frozen=True, slots=True)
class Counters:
    """The sums of one sample; times in seconds, the rest in bytes."""

    at: datetime
    cpu_s: float
    disk_read: int
    disk_write: int
    net_rx: int
    net_tx: int


@dataclass(frozen=True, slots=True)
class Point:
    """One sample; None: not known."""

    at: float
    cpu: float | None = None
    memory: float | None = None
    disk_read: float | None = None
    disk_write: float | None = None
    net_rx: float | None = None
    net_tx: float | None = None


@dataclass(slots=True)
class History:
    """The samples of one guest."""

    points: deque[Point] = field(default_factory=lambda: deque[Point](maxlen=KEPT))
    before: Counters | None = None
    vcpus: int = 0
    memory_maximum: int = 0

    def add(self, at: datetime, found: GuestDiagnostics | None) -> None:
        """Add a sample; None: the guest does not run, or its host does not answer."""
        if found is None:
            self.before = None
            self.points.append(Point(at.timestamp()))
            return
        self.vcpus, self.memory_maximum = len(found.cpus), found.memory_maximum_kib // 1024
        memory = None if found.memory_used_kib is None else found.memory_used_kib / 1024
        now = _counters(at, found)
        self.points.append(_point(now, self.before, max(1, self.vcpus), memory))
        self.before = now

    def columns(self) -> Columns:
        """All samples."""
        points = self.points
        return {
            "period": PERIOD_S,
            "vcpus": self.vcpus,
            "memory_maximum": self.memory_maximum,
            "at": [one.at for one in points],
            "cpu": [one.cpu for one in points],
            "memory": [one.memory for one in points],
            "disk_read": [one.disk_read for one in points],
            "disk_write": [one.disk_write for one in points],
            "net_rx": [one.net_rx for one in points],
            "net_tx": [one.net_tx for one in points],
        }


def _counters(at: datetime, found: GuestDiagnostics) -> Counters:
    return Counters(
        at,
        sum(cpu.time_ns for cpu in found.cpus) / 1e9,
        sum(disk.read_bytes for disk in found.disks),
        sum(disk.write_bytes for disk in found.disks),
        sum(nic.rx_octets for nic in found.nics),
        sum(nic.tx_octets for nic in found.nics),
    )


def _point(now: Counters, before: Counters | None, vcpus: int, memory: float | None) -> Point:
    """The rates between two samples.  Counters begin again with the guest: then no rate is known."""
    elapsed_s = 0.0 if before is None else (now.at - before.at).total_seconds()
    if before is None or elapsed_s <= 0 or now.cpu_s < before.cpu_s:
        return Point(now.at.timestamp(), memory=memory)

    def rate(after: float, earlier: float) -> float | None:
        return round((after - earlier) / elapsed_s, 1) if after >= earlier else None

    return Point(
        now.at.timestamp(),
        round(100 * (now.cpu_s - before.cpu_s) / elapsed_s / vcpus, 1),
        memory,
        rate(now.disk_read, before.disk_read),
        rate(now.disk_write, before.disk_write),
        rate(now.net_rx, before.net_rx),
        rate(now.net_tx, before.net_tx),
    )
