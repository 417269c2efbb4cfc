# SPDX-License-Identifier: Apache-2.0
"""The whole matrix: which failpoint is reached during which request, and a crash at each of these pairs."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import httpx

from tests.crashes.cloud import Cloud
from tests.crashes.edits import EDITS
from tests.crashes.lane import Lane, Pair, Result, Usual
from tests.crashes.scenario import Scenario
from tests.crashes.verbs import FAILING, OF_A_FLEET, VERBS

T = TypeVar("T")

SCENARIOS: Mapping[str, Scenario] = {**VERBS, **FAILING, **OF_A_FLEET, **EDITS}
START = "a start"
"""In the place of a scenario: the process starts, and waits."""
IDLE_S = 9.0
"""Longer than the intervals of all periodic work."""


@dataclass
class Findings:
    """What a matrix has reached and found.  `broken`: scenarios that do not work without a crash, with the reason."""

    idle: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    usual: dict[str, Usual] = field(default_factory=dict[str, Usual])
    broken: dict[str, str] = field(default_factory=dict[str, str])
    results: list[Result] = field(default_factory=list[Result])

    @property
    def reached(self) -> dict[str, set[str]]:
        """By role, the failpoints that were reached."""
        every = {role: set(points) for role, points in self.idle.items()}
        for usual in self.usual.values():
            for role, points in usual.points.items():
                every.setdefault(role, set()).update(points)
        return every


class Matrix:
    """One kind of cloud in several lanes.  `make` makes the cloud of a lane; `told` receives each result."""

    def __init__(
        self,
        make: Callable[[], Cloud],
        lanes: int,
        told: Callable[[Result], None],
        lane: Callable[[Any], Lane] = Lane,
    ) -> None:
        self._make, self._told, self._lane = make, told, lane
        self._clouds: list[Cloud | None] = [None] * lanes
        self.findings = Findings()
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for cloud in self._clouds:
            if cloud is not None:
                cloud.close()

    def record(self, names: Iterable[str], idle_s: float = IDLE_S) -> list[Pair]:
        """Play these scenarios without a crash; returns the pairs."""

        def play(lane: Lane, name: str) -> bool:
            if name == START:
                self.findings.idle = lane.idle_points(idle_s)
                return True
            try:
                self.findings.usual[name] = lane.record(SCENARIOS[name])
            except (AssertionError, httpx.HTTPError) as exc:
                self.findings.broken[name] = str(exc)[:1500]
                return False
            return True

        names = list(names)
        self._share([START, *names] if idle_s else names, play)
        pairs = [Pair(role, START, point) for role, points in self.findings.idle.items() for point in points]
        return [*pairs, *(pair for name in names if name in self.findings.usual for pair in self._pairs(name))]

    def _pairs(self, name: str) -> Iterable[Pair]:
        """The failpoints of a scenario, except those that need no request, or that the same verb reaches when it
        succeeds."""
        same = self.findings.usual.get(name.removesuffix(" fails")) if name.endswith(" fails") else None
        for role, points in self.findings.usual[name].points.items():
            known = {*self.findings.idle.get(role, ()), *(same.points[role] if same is not None else ())}
            yield from (Pair(role, name, point) for point in points if point not in known)

    def crash(self, pairs: Sequence[Pair]) -> None:
        """A crash at each of the pairs."""

        def play(lane: Lane, pair: Pair) -> bool:
            result = self._crashed(lane, pair)
            with self._turn:
                self.findings.results.append(result)
                self._told(result)
            return not result.is_wrong

        self._share(pairs, play)

    def _crashed(self, lane: Lane, pair: Pair) -> Result:
        if pair.scenario == START:
            return lane.crash_at_start(pair)
        return lane.crash(pair, SCENARIOS[pair.scenario], self.findings.usual[pair.scenario])

    def _share(self, items: Sequence[T], play: Callable[[Lane, T], bool]) -> None:
        """Play all items, in all lanes.  After a False the lane gets another cloud: what is left would blur the next
        items."""
        waiting = list(reversed(items))

        def work(number: int) -> None:
            while True:
                with self._turn:
                    if not waiting:
                        return
                    item = waiting.pop()
                cloud = self._clouds[number] or self._made(number)
                if not play(self._lane(cloud), item):
                    cloud.close()
                    self._clouds[number] = None

        with ThreadPoolExecutor(len(self._clouds)) as pool:
            try:
                for done in [pool.submit(work, number) for number in range(len(self._clouds))]:
                    done.result()
            finally:
                waiting.clear()  # (of an interrupted run: each lane ends what it plays)

    def _made(self, number: int) -> Cloud:
        """A cloud with what all requests use."""
        cloud = self._clouds[number] = self._make()
        assert cloud.facts
        return cloud
