# SPDX-License-Identifier: Apache-2.0
"""Filters, then weighers, then a random choice among the best few hosts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kilonova.base.clock import Random
from kilonova.objects.ids import HostName
from kilonova.objects.messages import NO_VALID_HOST
from kilonova.objects.placement import Choice, Refusal
from kilonova.objects.service import ComputeNode
from kilonova.scheduler.filters import refusal
from kilonova.scheduler.request import PlacementRequest
from kilonova.scheduler.weighers import priority, weight


def choose(request: PlacementRequest, nodes: Iterable[ComputeNode], random: Random) -> Choice:
    """The hosts to try in this order, and each refused host with its reason.  The first host is chosen at random among
    the best few (`host_subset_size`), so that many concurrent builds do not all choose one."""
    refusals: list[Refusal] = []
    fit: list[ComputeNode] = []
    for node in nodes:
        refused = refusal(request, node)
        if refused is None:
            fit.append(node)
        else:
            refusals.append(refused)
    weights = {node.service.host: weight(request, node) for node in fit}
    first = {node.service.host: priority(request, node) for node in fit}
    ordered = sorted(weights, key=lambda host: (-first[host], -weights[host], host))
    if len(ordered) > 1:
        few = ordered[: request.rules.host_subset_size]
        best = [host for host in few if first[host] == first[ordered[0]]]
        ordered.insert(0, ordered.pop(random.randrange(len(best))))
    return Choice(tuple(ordered), tuple(refusals), weights)


MOST_REASONS = 4
"""How many reasons of one filter a sentence lists."""


def explain(refusals: Sequence[Refusal]) -> str:
    """One sentence with the reasons of each filter, for the fault of an instance without a host."""
    if not refusals:
        return f"{NO_VALID_HOST} There is no compute host."
    by_filter: dict[str, dict[str, list[HostName]]] = defaultdict(lambda: defaultdict(list))
    for one in refusals:
        by_filter[one.filter][one.reason].append(one.host)
    parts = [part for name, by_reason in by_filter.items() for part in _parts(name, by_reason)]
    return f"{NO_VALID_HOST} {'; '.join(parts)}."


def _parts(name: str, by_reason: Mapping[str, Sequence[HostName]]) -> list[str]:
    """What one filter refused; with many reasons, the most frequent ones."""
    often = sorted(by_reason, key=lambda reason: -len(by_reason[reason]))
    shown = list(by_reason) if len(often) <= MOST_REASONS else often[: MOST_REASONS - 1]
    parts = [f"{name} refused {_hosts(by_reason[reason])} ({reason})" for reason in shown]
    rest = [host for reason in often if reason not in shown for host in by_reason[reason]]
    return [*parts, f"{name} refused {_hosts(rest)} (similar reasons)"] if rest else parts


def _hosts(hosts: Sequence[HostName]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts, {hosts[0]} among them"
