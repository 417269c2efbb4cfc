# SPDX-License-Identifier: Apache-2.0
"""Calls of a conductor to a host for `kilonova verify`: what exists there, and what is orphaned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, NotSupported
from kilonova.objects.host_contents import CacheContents, GuestContents, NetworkContents
from kilonova.objects.ids import ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.rpcapi.batch import Each
from kilonova.rpcapi.method import Method
from kilonova.rpcapi.to_host import SUBJECT

GUESTS_PER_PAGE = 100
CHECK_WAIT_S = 4.0
"""How long a host waits for its checksums before it replies that they are not complete."""


@dataclass(frozen=True, slots=True)
class ListContents:
    """Guests whose ids are greater than `after`.  Without `after` the reply also has what is not of one guest, and the
    look is recorded."""

    after: str = ""


@dataclass(frozen=True, slots=True)
class HostContents:
    """At most GUESTS_PER_PAGE guests, by id; `more`: there are others.  `busy` guests have an action, or are not idle
    on the host.  `deleted`, `elsewhere`, `unknown`: see host_to_conductor.GuestClasses.  `drifted`: the recorded power
    state of these is another one."""

    guests: Each[GuestContents] = ()
    more: bool = False
    busy: tuple[InstanceId, ...] = ()
    deleted: tuple[InstanceId, ...] = ()
    elsewhere: tuple[InstanceId, ...] = ()
    unknown: tuple[InstanceId, ...] = ()
    drifted: tuple[InstanceId, ...] = ()
    cache: CacheContents = field(default_factory=CacheContents)
    networks: NetworkContents = field(default_factory=NetworkContents)


@dataclass(frozen=True, slots=True)
class CheckBases:
    """`begin` a round of checksums, or wait for the one in progress."""

    begin: bool


@dataclass(frozen=True, slots=True)
class BasesChecked:
    """`running`: the round is not complete.  `damaged`: names of cached images without their checksum."""

    running: bool
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MendHost:
    """Remove what was an orphan in an earlier look, at least `pause_s` seconds ago, and still is; report the power
    states; define and start the host's network; reserve the addresses of these servers, and fetch these images again.
    `grants` as in to_host.CacheImages."""

    pause_s: float
    unreserved: Each[Instance] = ()
    images: Each[ImageRef] = ()
    grants: Mapping[ImageId, str] = field(default_factory=dict[ImageId, str], repr=False)


@dataclass(frozen=True, slots=True)
class HostMended:
    """Orphans by `orphan`: those that were removed, those that were not seen before or not long enough ago, and those
    that could not be removed, with the reason.  `failures`: sentences about the rest."""

    removed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    failures: tuple[str, ...] = ()


def orphan(code: str, subject: str) -> str:
    """The name of an orphan: the code and the subject of its difference."""
    return f"{code} {subject}"


# One attempt: a second one would only wait behind the first at a hypervisor that does not respond.
LIST_CONTENTS = Method(
    SUBJECT,
    "list_contents",
    ListContents,
    HostContents,
    "One page of what exists on the host. NotSupported: its driver cannot list it.",
    (NotSupported, HypervisorUnavailable, HypervisorError),
    timeout_s=15,
    attempt_s=15,
    changes=False,
    since=2,
)
CHECK_BASES = Method(
    SUBJECT,
    "check_bases",
    CheckBases,
    BasesChecked,
    "Compare the cached images with their checksums, in the background. A repeat begins no second round.",
    timeout_s=10,
    attempt_s=10,
    changes=False,
    since=2,
)
MEND_HOST = Method(
    SUBJECT,
    "mend_host",
    MendHost,
    HostMended,
    "Remove orphans that an earlier look has found, and make the host as it is recorded. A repeat is safe.",
    (NotSupported, HypervisorUnavailable, HypervisorError),
    timeout_s=30,
    attempt_s=30,
    since=2,
)
