# SPDX-License-Identifier: Apache-2.0
"""The whole matrix: which failpoint is reached during which request, and a crash at each of these pairs."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.crashes.cloud import Cloud
from tests.crashes.edits import EDITS
from tests.crashes.lane import Lane, Pair, Result, Usual
from tests.crashes.scenario import Scenario
from tests.crashes.verbs import FAILING, VERBS

SCENARIOS: Mapping[str, Scenario] = {**VERBS, **FAILING, **EDITS}
START = "start"
"""In the place of a scenario: the process starts, and waits."""
IDLE_S = 9.0
"""Longer than the intervals of all periodic work."""


@dataclass
class Findings:
    """What a matrix has reached and found.  `broken`: scenarios that do not work without a crash, with the reason."""

    usual: dict[str, Usual] = field(default_factory=dict[str, Usual])
    reached: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    broken: dict[str, str] = field(default_factory=dict[str, str])
    results: list[Result] = field(default_factory=list[Result])


class Matrix:
    """One kind of cloud in several lanes.  `make` makes the cloud of a lane; `told` receives each result."""

    def __init__(
        self,
        make: Callable[[int], Cloud],
        scenarios: Iterable[str],
        told: Callable[[Result], None],
        lane: Callable[[Any], Lane] = Lane,
    ) -> None:
        self._make, self._names, self._told, self._lane = make, list(scenarios), told, lane
        self.findings = Findings()
        self._turn = threading.Lock()

    def record(self, idle_s: float = IDLE_S) -> list[Pair]:
        """Play all scenarios without a crash in a lane of its own; returns the pairs."""
        cloud = self._make(0)
        try:
            return self._recorded(self._lane(cloud), idle_s)
        finally:
            cloud.close()

    def _recorded(self, lane: Lane, idle_s: float) -> list[Pair]:
        idle = lane.idle_points(idle_s)
        pairs = [Pair(role, START, point) for role, points in idle.items() for point in points]
        for role, points in idle.items():
            self.findings.reached.setdefault(role, set()).update(points)
        for name in self._names:
            try:
                usual = lane.record(SCENARIOS[name])
            except AssertionError as exc:
                self.findings.broken[name] = str(exc)[:1500]
                lane.recover()
                continue
            self.findings.usual[name] = usual
            for role, points in usual.points.items():
                known = {*idle[role], *self._without_failure(name, role)}
                pairs += [Pair(role, name, point) for point in points if point not in known]
                self.findings.reached[role].update(points)
        return pairs

    def _without_failure(self, name: str, role: str) -> Sequence[str]:
        """The points of the same verb when it succeeds: a failure repeats them."""
        usual = self.findings.usual.get(name.removesuffix(" fails")) if name in FAILING else None
        return usual.points[role] if usual else ()

    def crash(self, pairs: Sequence[Pair], lanes: int) -> None:
        """A crash at each of the pairs."""
        waiting = list(reversed(pairs))
        with ThreadPoolExecutor(lanes) as pool:
            for done in [pool.submit(self._work, number, waiting) for number in range(1, lanes + 1)]:
                done.result()

    def _work(self, number: int, waiting: list[Pair]) -> None:
        cloud: Cloud | None = None
        try:
            while pair := self._next(waiting):
                cloud = cloud or self._make(number)
                result = self._crashed(self._lane(cloud), pair)
                self.findings.results.append(result)
                self._told(result)
                if result.is_wrong:  # what it left would blur the next ones
                    cloud.close()
                    cloud, number = None, number + 100
        finally:
            if cloud is not None:
                cloud.close()

    def _next(self, waiting: list[Pair]) -> Pair | None:
        with self._turn:
            return waiting.pop() if waiting else None

    def _crashed(self, lane: Lane, pair: Pair) -> Result:
        if pair.scenario == START:
            return lane.crash_at_start(pair)
        return lane.crash(pair, SCENARIOS[pair.scenario], self.findings.usual[pair.scenario])
