# SPDX-License-Identifier: Apache-2.0
"""One lane of the matrix: a cloud in which one request after the other meets a process that dies."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from tests.crashes.cloud import BOX, COMPUTE, Cloud
from tests.crashes.scenario import Scenario
from tests.crashes.view import View, differences
from tests.live.box import wait_for

DEATH_S, SETTLE_S, CLEAN_S = 15.0, 45.0, 25.0
QUIET_S = 0.4
"""A request is over when no failpoint was reached for so long after its last effect."""

DONE, REFUSED, REPEATED = "done", "not accepted", "repeated"
MISSED = "not reached"
"""Work that follows from the time, such as a second report of a long action, may miss its failpoint."""
DIFFERENT, UNCLEAN, BROKEN = WRONG = ("different", "differences", "broken")


@dataclass(frozen=True)
class Pair:
    """A failpoint of a role, reached during a scenario."""

    role: str
    scenario: str
    point: str


@dataclass(frozen=True)
class Result:
    """What came of one crash: one of the outcomes, with the reason of a wrong one."""

    role: str
    scenario: str
    point: str
    outcome: str
    why: str = ""
    seconds: float = 0.0

    @property
    def is_wrong(self) -> bool:
        """Whether the promise is broken."""
        return self.outcome in WRONG


@dataclass(frozen=True)
class Usual:
    """A scenario without a crash: its last view, and the failpoints that each role has reached."""

    view: View
    points: dict[str, list[str]]


class Lane:
    """A cloud, and the requests that it has served."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def record(self, scenario: Scenario) -> Usual:
        """Play it without a crash.  AssertionError when it does not do what it should."""
        cloud = self.cloud
        subject = scenario.prepare(cloud)
        before = scenario.view(cloud, subject)
        self._quiet()
        self._arm(scenario, "", "")
        reply = scenario.request(cloud, subject)
        assert reply.status_code < 300, f"{scenario.name}: {reply.status_code} {reply.text}"
        self._quiet(keep=True)
        view = self._last_view(scenario, subject, before)
        points = {role: self._hits(role) for role in cloud.victims}
        self._arm(scenario, "", "", fails=False)
        self._compare()
        scenario.clean_up(cloud, subject)
        return Usual(view, points)

    def crash(self, pair: Pair, scenario: Scenario, usual: Usual) -> Result:
        """Play it with a crash at the failpoint, and compare."""
        begun = time.monotonic()
        try:
            outcome, why = self._crash(pair, scenario, usual)
        except (AssertionError, httpx.HTTPError, ValueError, KeyError) as exc:
            outcome, why = BROKEN, f"{type(exc).__name__}: {exc}"[:2000]
            with contextlib.suppress(AssertionError, httpx.HTTPError):
                self.recover()
        return Result(**asdict(pair), outcome=outcome, why=why, seconds=round(time.monotonic() - begun, 2))

    def crash_at_start(self, pair: Pair) -> Result:
        """A process dies at a failpoint that it reaches without a request, while it starts or afterwards."""
        begun, outcome, why = time.monotonic(), DONE, ""
        try:
            self.cloud.arm(pair.role, f"{pair.point}=kill")
            for victim in self.cloud.every:  # (a host that starts makes a conductor work)
                victim.kill()
            for victim in self.cloud.every:
                victim.start()
            if not self._died(pair.role):
                outcome, why = MISSED, "no process died"
            self.recover()
            time.sleep(0.1)
            self.cloud.revive()
            why = self._compare(must=False) or why
            outcome = UNCLEAN if why and outcome == DONE else outcome
        except (AssertionError, httpx.HTTPError) as exc:
            outcome, why = BROKEN, f"{type(exc).__name__}: {exc}"[:2000]
        return Result(**asdict(pair), outcome=outcome, why=why, seconds=round(time.monotonic() - begun, 2))

    def idle_points(self, seconds: float) -> dict[str, list[str]]:
        """The failpoints that are reached without a request: all processes start, and wait.

        They do so twice: the first start also does what requests before it have left, such as notifications.
        """
        for _ in range(2):
            for victim in self.cloud.every:
                victim.kill()
                victim.forget_hits()
            self.recover()
            time.sleep(seconds)
        return {role: self._hits(role) for role in self.cloud.victims}

    def recover(self) -> None:
        """Disarm everything, and start what has died."""
        for role in self.cloud.victims:
            self.cloud.arm(role, "")
        self.cloud.revive()
        wait_for(self._serves, within_s=60)

    def _serves(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self.cloud.client.http.get("/readyz").status_code == 200
        return False

    def _crash(self, pair: Pair, scenario: Scenario, usual: Usual) -> tuple[str, str]:
        cloud = self.cloud
        subject = scenario.prepare(cloud)
        before = scenario.view(cloud, subject)
        reply, died = self._broken(pair, scenario, subject)
        self._arm(scenario, pair.role, "")
        cloud.revive()
        wait_for(self._serves, within_s=60)
        if not died:
            outcome, why = MISSED, f"the reply was {reply}"
        else:
            outcome, why = self.judged(pair, scenario, subject, (before, usual.view), answered=reply is not None)
        self._arm(scenario, pair.role, "", fails=False)
        if not why and (found := self._compare(must=False)):
            outcome, why = UNCLEAN, found
        scenario.clean_up(cloud, subject)
        return outcome, why

    def _broken(self, pair: Pair, scenario: Scenario, subject: str) -> tuple[int | None, bool]:
        """The status of the reply, if there is one, and whether the failpoint was reached."""
        self._arm(scenario, pair.role, f"{pair.point}=kill")
        return self._sent(scenario, subject), self._died(pair.role)

    def judged(
        self, _pair: Pair, scenario: Scenario, subject: str, views: tuple[View, View], *, answered: bool
    ) -> tuple[str, str]:
        """The outcome, with the views before and without a crash.  Accepted: it ends as without a crash.  Not accepted:
        nothing has changed."""
        before, usual = views
        accepted = scenario.accepted(self.cloud, subject)
        if answered and not accepted:
            return DIFFERENT, "it was answered, and nothing is recorded of it"
        # What failed is tried again from its first step when its process dies while it is undone.
        often = ("starts",) if scenario.fails else ()
        wanted = _without(usual if accepted else before, often)
        seen: list[View] = []

        def look() -> bool:
            seen.append(scenario.view(self.cloud, subject))
            return _without(seen[-1], often) == wanted

        with contextlib.suppress(AssertionError):
            wait_for(look, within_s=SETTLE_S)
            return (DONE if answered else REPEATED if not usual else DONE) if accepted else REFUSED, ""
        return DIFFERENT, f"{seen[-1]} and not {wanted}"

    def _sent(self, scenario: Scenario, subject: str) -> int | None:
        """The status of the reply; None where it says nothing about the outcome, or there is none."""
        try:
            status = scenario.request(self.cloud, subject).status_code
        except httpx.HTTPError:
            return None
        assert status < 300 or status in (503, 504), status
        return status if status < 300 else None

    def _arm(self, scenario: Scenario, role: str, plan: str, *, fails: bool = True) -> None:
        """Arm the role; `fails`: the hosts also fail where the scenario says so."""
        failing = f"{scenario.fails}=fail" if scenario.fails and fails else ""
        for victim in self.cloud.every:
            mine = [plan] if victim.role == role and plan else []
            mine += [failing] if failing and victim.role in (BOX, COMPUTE) else []
            victim.arm(",".join(mine))

    def _died(self, role: str) -> bool:
        victims = self.cloud.victims[role]
        with contextlib.suppress(AssertionError):
            wait_for(lambda: any(not victim.alive for victim in victims), within_s=DEATH_S)
            return True
        return False

    def _hits(self, role: str) -> list[str]:
        hits = [hit for victim in self.cloud.victims[role] for hit in victim.hits()]
        unknown = [hit for hit in hits if hit.startswith("?")]
        assert not unknown, f"failpoints that are not registered: {unknown}"
        return list(dict.fromkeys(hits))

    def _quiet(self, *, keep: bool = False) -> None:
        """Until no failpoint is reached any more; then the notes begin anew, if they are not kept."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_S:
            time.sleep(0.1)
            now = sum(len(victim.hits()) for victim in self.cloud.every)
            if now != before:
                before, since = now, time.monotonic()
        if not keep:
            for victim in self.cloud.every:
                victim.forget_hits()

    def _last_view(self, scenario: Scenario, subject: str, before: View) -> View:
        """The view when nothing changes any more."""
        seen = [before]

        def same(look: Callable[[], View]) -> bool:
            seen.append(look())
            return seen[-1] == seen[-2] and not _busy(seen[-1])

        wait_for(lambda: same(lambda: scenario.view(self.cloud, subject)), within_s=SETTLE_S, why=lambda: str(seen[-1]))
        self._quiet(keep=True)
        return scenario.view(self.cloud, subject)

    def _compare(self, *, must: bool = True) -> str:
        """What `kilonova verify` finds; work that is still going on has some time to end."""
        found: list[list[str]] = []

        def look() -> bool:
            found.append(differences(self.cloud.client.http))
            return not found[-1]

        with contextlib.suppress(AssertionError):
            wait_for(look, within_s=CLEAN_S)
            return ""
        assert not must, found[-1]
        return "; ".join(found[-1])


def _busy(view: View) -> bool:
    servers = view.get("servers", [view])
    return any(server.get("task") for server in servers)


def _without(part: Any, names: Sequence[str]) -> Any:
    """The view without the values of these names."""
    if isinstance(part, Mapping):
        return {name: _without(value, names) for name, value in part.items() if name not in names}
    return [_without(one, names) for one in part] if isinstance(part, list) else part
