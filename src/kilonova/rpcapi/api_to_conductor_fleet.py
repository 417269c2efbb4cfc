# SPDX-License-Identifier: Apache-2.0
"""Calls of operators to the conductor about the fleet as a whole."""

from dataclasses import dataclass, field
from datetime import datetime

from kilonova.base.errors import Conflict, NotFound
from kilonova.objects.fleet import DatabaseVersion, FleetHost, FleetProcess, FleetStore, OpenWork, Outbox
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import SUBJECT
from kilonova.rpcapi.method import Method

HOSTS_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class ReadFleet:
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """`conductor` replies at `now`, by its clock.  `problems` are sentences: what an operator must correct."""

    conductor: HostName
    now: datetime
    database: DatabaseVersion
    processes: tuple[FleetProcess, ...]
    work: OpenWork
    outbox: Outbox
    problems: tuple[str, ...] = ()
    stores: tuple[FleetStore, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadHosts:
    """Hosts whose names are greater than `after`."""

    after: str = ""


@dataclass(frozen=True, slots=True)
class FleetHosts:
    """At most HOSTS_PER_PAGE hosts, by name.  `more`: there are others after them."""

    hosts: tuple[FleetHost, ...] = field(default_factory=tuple[FleetHost, ...])
    more: bool = False


@dataclass(frozen=True, slots=True)
class ForgetStore:
    """The image store will never return."""

    store_id: str


@dataclass(frozen=True, slots=True)
class StoreForgotten:
    """How many copies of images the store had, and of how many images they were the last copy."""

    images: int
    sole: int


READ_FLEET = Method(
    SUBJECT,
    "read_fleet",
    ReadFleet,
    FleetStatus,
    "The processes, the open actions and the database of the fleet, and what an operator must correct.",
    timeout_s=10,
    changes=False,
    since=2,
)
READ_HOSTS = Method(
    SUBJECT,
    "read_hosts",
    ReadHosts,
    FleetHosts,
    "One page of the hosts of the fleet, with their capacity.",
    timeout_s=10,
    changes=False,
    since=2,
)
FORGET_STORE = Method(
    SUBJECT,
    "forget_store",
    ForgetStore,
    StoreForgotten,
    "Delete the record of an image store and of its copies. Conflict: the store is live. NotFound: there is none.",
    (NotFound, Conflict),
    since=2,
)
