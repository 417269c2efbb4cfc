# SPDX-License-Identifier: Apache-2.0
"""Filters, then weighers, then a random choice among the best few hosts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from kilonova.base.clock import Random
from kilonova.objects.ids import HostName
from kilonova.objects.messages import NO_VALID_HOST
from kilonova.objects.placement import Choice, PlacementRequest, Refusal
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.filters import FILTERS
from kilonova.scheduler.groups import preference
from kilonova.scheduler.weighers import WEIGHERS

BEST_FEW = 3
"""The first host is chosen at random among this number of the best, so that many concurrent builds do not all choose
one."""


def choose(request: PlacementRequest, nodes: Iterable[ComputeNode], random: Random) -> Choice:
    """The hosts to try in this order, and each refused host with its reason."""
    refusals: list[Refusal] = []
    fit: list[ComputeNode] = []
    for node in nodes:
        refusal = _refusal(request, node)
        if refusal is None:
            fit.append(node)
        else:
            refusals.append(refusal)
    weights = {node.service.host: sum(m * weigh(node) for weigh, m in WEIGHERS.items()) for node in fit}
    liked = {node.service.host: preference(request, node) for node in fit}
    ordered = sorted(weights, key=lambda host: (-liked[host], -weights[host], host))
    if len(ordered) > 1:
        best = [host for host in ordered[:BEST_FEW] if liked[host] == liked[ordered[0]]]
        ordered.insert(0, ordered.pop(random.randrange(len(best))))
    return Choice(tuple(ordered), tuple(refusals), weights)


def _refusal(request: PlacementRequest, node: ComputeNode) -> Refusal | None:
    for name, check in FILTERS.items():
        reason = check(request, node)
        if reason is not None:
            return Refusal(node.service.host, name, reason)
    return None


def explain(refusals: Sequence[Refusal]) -> str:
    """One sentence with the reasons of each filter, for the fault of an instance without a host."""
    if not refusals:
        return f"{NO_VALID_HOST} There is no compute host."
    by_filter: dict[tuple[str, str], list[HostName]] = defaultdict(list)
    for refusal in refusals:
        by_filter[refusal.filter, refusal.reason].append(refusal.host)
    parts = [f"{name} refused {_hosts(hosts)} ({reason})" for (name, reason), hosts in by_filter.items()]
    return f"{NO_VALID_HOST} {'; '.join(parts)}."


def _hosts(hosts: Sequence[HostName]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts, {hosts[0]} among them"
