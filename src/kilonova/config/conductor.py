# SPDX-License-Identifier: Apache-2.0
"""[conductor]: the place of the database, and the checks of actions and hosts."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "conductor"
OPTIONS = [
    cfg.BoolOpt("use_local", default=False, help="Run the conductor inside this process, over the in-memory bus."),
    cfg.FloatOpt("watchdog_interval", default=5.0, min=0.01, help="Seconds between checks of deadlines and liveness."),
    cfg.FloatOpt(
        "grace_period", default=30.0, min=0, help="Seconds after the conductor's start before it declares a host down."
    ),
    cfg.FloatOpt(
        "host_wait",
        default=60.0,
        min=0,
        help="Seconds that a build waits for a host that is coming back before there is no valid host; 0: none.",
    ),
]


@dataclass(frozen=True, slots=True)
class ConductorSettings:
    """Durations in seconds."""

    use_local: bool
    watchdog_interval: float
    grace_period: float
    host_wait: float


def settings(group: cfg.ConfigOpts.GroupAttr) -> ConductorSettings:
    """The frozen settings of the group."""
    return ConductorSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
