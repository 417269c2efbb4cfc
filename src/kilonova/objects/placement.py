# SPDX-License-Identifier: Apache-2.0
"""The result of the scheduler, and the record of a placement."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kilonova.objects.ids import HostName
from kilonova.objects.server_group import GroupPolicy


@dataclass(frozen=True, slots=True)
class GroupConstraint:
    """The policy of an instance's server group, and how many other members of the group each host has.  `most_per_host`
    is the limit for anti-affinity."""

    policy: GroupPolicy
    members: Mapping[HostName, int]
    most_per_host: int = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason of a filter for the refusal of a host."""

    host: HostName
    filter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Hosts in the order in which to try them, and what the filters refused."""

    hosts: tuple[HostName, ...]
    refusals: tuple[Refusal, ...] = ()
    weights: Mapping[HostName, float] = field(default_factory=dict[HostName, float])


MOST_NAMED = 10
"""How many hosts, reasons and weights a record of a placement lists; it has counts for the rest."""


@dataclass(frozen=True, slots=True)
class RefusedHosts:
    """How many hosts a filter refused; the names of some, and the most frequent reason."""

    filter: str
    count: int
    hosts: tuple[HostName, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class WeighedHost:
    host: HostName
    weight: float


@dataclass(frozen=True, slots=True)
class PlacementRecord:
    """What happened when an instance was placed, for operators.

    `hosts` is the number of hosts there were, `candidates` of those that passed the filters.  `chosen` None: no host
    could take the instance.  `weighed` has the first few candidates in the order in which they are tried.  `lost`:
    candidates that could not take the instance after all, because another build was faster.  `left_out`: how many of
    the hosts were not compared in detail, because the database has shown that others are better or that they cannot
    take it.
    """

    at: datetime
    hosts: int
    candidates: int
    chosen: HostName | None
    refused: tuple[RefusedHosts, ...] = ()
    weighed: tuple[WeighedHost, ...] = ()
    lost: tuple[Refusal, ...] = ()
    left_out: int = 0


def recorded(
    choice: Choice, now: datetime, *, chosen: HostName | None, lost: Sequence[Refusal], left_out: int = 0
) -> PlacementRecord:
    """The record of a placement, of bounded size."""
    return PlacementRecord(
        at=now,
        hosts=len(choice.hosts) + len(choice.refusals) + left_out,
        candidates=len(choice.hosts),
        chosen=chosen,
        refused=_refused_hosts(choice.refusals),
        weighed=tuple(WeighedHost(host, round(choice.weights[host], 4)) for host in choice.hosts[:MOST_NAMED]),
        lost=tuple(lost[:MOST_NAMED]),
        left_out=left_out,
    )


def _refused_hosts(refusals: Iterable[Refusal]) -> tuple[RefusedHosts, ...]:
    """The refusals in short, by filter."""
    by_filter: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        by_filter.setdefault(refusal.filter, []).append(refusal)
    return tuple(
        RefusedHosts(name, len(found), tuple(one.host for one in found[:MOST_NAMED]), _most_frequent(found))
        for name, found in by_filter.items()
    )


def _most_frequent(refusals: Iterable[Refusal]) -> str:
    return Counter(refusal.reason for refusal in refusals).most_common(1)[0][0]
