# SPDX-License-Identifier: Apache-2.0
"""The state of a fleet, as its operators see it."""

from dataclasses import dataclass
from datetime import datetime

from kilonova.base.open_enum import OpenStrEnum
from kilonova.objects.ids import HostName


class ProcessState(OpenStrEnum):
    """What the conductors have recorded of a process."""

    UP = "up"
    DOWN = "down"
    DISABLED = "disabled"
    """It is up, and receives no new servers."""


@dataclass(frozen=True, slots=True)
class FleetProcess:
    """An API process, a conductor, or the process of a host.  `reason`: why it is down or disabled, if an operator or
    the host gave one.  `version` is its code version."""

    host: HostName
    binary: str
    state: ProcessState
    reason: str
    version: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class FleetHost:
    """A host: its process, what of its capacity is claimed, and its number of servers.  Capacities are zero before its
    first report."""

    process: FleetProcess
    zone: str
    vcpus: int = 0
    vcpus_used: int = 0
    memory_mib: int = 0
    memory_mib_used: int = 0
    disk_gib: int = 0
    disk_gib_used: int = 0
    servers: int = 0


AGES = ((10, "less than 10 s"), (60, "less than 1 min"), (600, "less than 10 min"), (3600, "less than 1 h"))
OLDER = "1 h or more"
"""The ages of open actions: less than so many seconds, and the rest."""


@dataclass(frozen=True, slots=True)
class OpenWork:
    """The open actions.  `ages`: how many there are of each age (see AGES; the last number is for OLDER).

    `unplaced_s` is the age of the oldest action without a host, `unfetched_s` the time since the oldest leg that its
    host has not fetched was recorded, on `unfetched_host`; None: there is none.
    """

    ages: tuple[int, ...] = (0,) * (len(AGES) + 1)
    unplaced_s: float | None = None
    unfetched_s: float | None = None
    unfetched_host: HostName | None = None


@dataclass(frozen=True, slots=True)
class Outbox:
    """Notifications that are not published yet, and the age of the oldest."""

    waiting: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DatabaseVersion:
    """`kind` is sqlite or postgresql; `revision` is that of the schema."""

    kind: str
    version: str
    revision: str


@dataclass(frozen=True, slots=True)
class FleetStore:
    """An image store: the URL and the time of its newest report, the number of its images, and of those that no other
    store has.  `live`: new copies are stored there."""

    store_id: str
    url: str
    live: bool
    seen_at: datetime
    images: int = 0
    sole: int = 0
