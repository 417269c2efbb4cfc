# SPDX-License-Identifier: Apache-2.0
"""A figure, its target, and its entry in the output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.stats import median, rounded


class CannotMeasure(Exception):
    """One sentence: why a figure could not be measured."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one thing, in `unit`.  The value is their median unless one is given."""

    what: str
    samples: Sequence[float]
    unit: str
    given: float | None = None

    @property
    def value(self) -> float:
        return median(self.samples) if self.given is None else self.given

    def shown(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": rounded(self.value),
            "unit": self.unit,
            "samples": [rounded(sample) for sample in self.samples],
            "n": len(self.samples),
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """One entry of the output.  `how` says in a sentence what was measured; `variants` are further series that explain
    it.  `value` is the median of the samples unless `given`."""

    key: str
    samples: Sequence[float]
    how: str
    control: Series
    variants: Mapping[str, Series] = field(default_factory=dict[str, Series])
    given: float | None = None

    @property
    def value(self) -> float:
        return median(self.samples) if self.given is None else self.given


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a figure: at most `first` (then `then`), or at least so much when `more` is better.  None:
    nothing was promised."""

    unit: str
    first: float | None
    then: float | None
    more: bool = False

    def met(self, value: float) -> bool | None:
        """Whether a value is what is wanted first."""
        if self.first is None:
            return None
        return value >= self.first if self.more else value <= self.first


TARGETS: Mapping[str, Target] = {
    "post_ms": Target("ms", 15, 7),
    "post_to_active_ms": Target("ms", 45, 20),
    "delete_to_gone_ms": Target("ms", 30, 15),
    "create_rate": Target("servers/s", 30, 100, more=True),
    "delete_rate": Target("servers/s", 30, 100, more=True),
    "cpu_s_per_server": Target("CPU-s", 0.07, 0.03),
    "list_detail_200_ms": Target("ms", 60, 25),
    "list_detail_1000_ms": Target("ms", 265, 100),
    "get_cpu_ms": Target("CPU-ms", 1.5, 0.8),
    "get_rate": Target("requests/s", 500, 1000, more=True),
    "idle_cpu": Target("CPU-s/min", 0.3, 0.1),
    "pss_mib": Target("MiB", 175, 110),
    "ready_s": Target("s", 1.5, 0.8),
    "ready_compute_s": Target("s", 1.0, 0.5),
    "boot_over_libvirt": Target("ratio", 1.5, 1.1),
    "delete_over_libvirt": Target("ratio", 1.2, 1.05),
    "page_load_kb": Target("kB", 60, 50),
    "page_ready_ms": Target("ms", 300, 150),
    "scroll_frame_ms": Target("ms", 50, 34),
    "event_p95_ms": Target("ms", 200, 100),
    "screen_ms": Target("ms", 500, 250),
    "idle_page_cpu_ms": Target("CPU-ms/min", 5, 2),
    "build_rate_growth": Target("ratio", 0.7, 0.95, more=True),
    "native_hop_us": Target("us", 150, 60),
    "sync_over_bulk": Target("ratio", 3, 1.5),
    "events_per_s": Target("events/s", None, None, more=True),
    "transaction_ms": Target("ms", None, None),
    "placement_1000_ms": Target("ms", 20, 10),
    "rpc_over_nats": Target("ratio", 1.5, 1.3),
    "rpc_rate_over_nats": Target("ratio", 0.6, 0.75, more=True),
    "rpc_rate_16_callers": Target("requests/s", 5 * 468, 10 * 468, more=True),
    "fleet_post_to_active_ms": Target("ms", 60, 40),
    "fleet_create_rate": Target("servers/s", 60, 100, more=True),
    "fleet_create_statements": Target("statements", 14, 12),
    "fleet_create_messages": Target("messages", 6, 6),
    "fleet_create_fsyncs": Target("fsyncs", None, None),
    "record_cost": Target("%", 2, 2),
}
"""Every figure, with its unit and what we want of it first and then."""


def entry(figure: Figure) -> dict[str, Any]:
    """A measured figure as it is printed."""
    target = TARGETS[figure.key]
    shown: dict[str, Any] = {
        "value": rounded(figure.value),
        "unit": target.unit,
        "samples": [rounded(sample) for sample in figure.samples],
        "n": len(figure.samples),
        "control": figure.control.shown(),
        "target_first": target.first,
        "target_then": target.then,
        "met_first": target.met(figure.value),
        "how": figure.how,
    }
    if figure.variants:
        shown["variants"] = {name: series.shown() for name, series in figure.variants.items()}
    return shown


def missing(key: str, reason: str) -> dict[str, Any]:
    """The entry of a figure that could not be measured."""
    target = TARGETS[key]
    return {
        "value": None,
        "unit": target.unit,
        "samples": [],
        "n": 0,
        "control": None,
        "target_first": target.first,
        "target_then": target.then,
        "met_first": None if target.first is None else False,
        "missing": reason,
    }
