# SPDX-License-Identifier: Apache-2.0
"""The shared objects of the conductor's endpoints, and the conductor's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova import CODE_VERSION
from kilonova.base.clock import Clock
from kilonova.base.failpoints import Failpoints
from kilonova.conductor.engine.plan import PLANS, Plan
from kilonova.config.conductor import ConductorSettings
from kilonova.config.database import KEEP_ALL, Retention
from kilonova.config.filter_scheduler import DEFAULTS, FilterSchedulerSettings
from kilonova.config.quota import QuotaSettings
from kilonova.db.engine import Database
from kilonova.objects.ids import HostName
from kilonova.objects.states import Verb
from kilonova.rpcapi.versions import ConductorVersion


@dataclass(frozen=True, slots=True)
class Tools:
    """The shared objects of each endpoint.  `conductors` is the lowest code version of the live conductors."""

    db: Database
    clock: Clock
    quotas: QuotaSettings
    failpoints: Failpoints
    conductors: ConductorVersion = field(default_factory=lambda: ConductorVersion(CODE_VERSION))


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a conductor.

    `host` is the host of this process.  `down_time_s`: a host without a heartbeat for longer is down.
    `resize_confirm_window_s`: an unconfirmed resize is confirmed after it (0: never).  `offload_after_s`: a shelved
    server is offloaded after it (negative: only on request).  `retention`: what is not purged.  `alone`: the only host
    is in this process.  `report_interval_s`: how often it reports itself.  `scheduling`: how hosts are chosen.
    `plans`: the legs of verbs that need several hosts.
    """

    settings: ConductorSettings
    host: HostName
    down_time_s: float
    resize_confirm_window_s: float
    offload_after_s: float
    retention: Retention = KEEP_ALL
    alone: bool = False
    report_interval_s: float = 10.0
    scheduling: FilterSchedulerSettings = DEFAULTS
    plans: Mapping[Verb, Plan] = field(default_factory=lambda: PLANS)
