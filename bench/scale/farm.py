# SPDX-License-Identifier: Apache-2.0
"""A fleet with many simulated hosts, in a few processes (see hosts_child)."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.figures import CannotMeasure
from bench.fleet_cloud import FleetCloud
from bench.processes import cpu_seconds, pss_mib
from bench.run import Bench
from bench.scale.hosts_child import HostsPlan, Report, host_name
from kilonova.base.clock import SystemClock
from kilonova.rpc import authority, credentials
from kilonova.rpcapi.permissions import Role, rights
from lab.common import TOP, tail
from lab.fleet.fleet import USUAL, Fleet, Plan
from lab.fleet.process import FleetProcess

PLAN = Plan(hosts=0, real=False, pace=USUAL, postgres={"shared_buffers": "256MB", "max_wal_size": "4GB"})
"""Two API processes and two conductors under the default intervals; the hosts are simulated."""
PER_PROCESS = 500
START_S = 240.0


@dataclass(slots=True)
class Child:
    """One process of simulated hosts."""

    plan: HostsPlan
    process: FleetProcess

    def report(self) -> Report:
        """The newest line of the process.  Raises CannotMeasure when the process has ended."""
        if not self.process.alive:
            raise CannotMeasure(f"A process of simulated hosts ended: {tail(self.process.log, 1)}")
        lines = [line for line in self._end().splitlines()[:-1] if line.startswith('{"ready"')]
        return Report(**json.loads(lines[-1])) if lines else Report(0, 0, 0.0)

    def _end(self) -> str:
        with self.process.log.open("rb") as file:
            file.seek(max(0, self.process.log_size() - (64 << 10)))
            return file.read().decode(errors="replace") + "\n"


@dataclass(slots=True)
class Farm:
    """The simulated hosts of one fleet.  `guests`: how many each host runs from its start."""

    bench: Bench
    cloud: FleetCloud
    guests: int = 0
    children: list[Child] = field(default_factory=list[Child])

    @property
    def fleet(self) -> Fleet:
        return self.cloud.fleet

    @property
    def size(self) -> int:
        """How many hosts were started."""
        return sum(child.plan.count for child in self.children)

    def grow(self, size: int) -> float:
        """Start hosts until there are so many, and wait until all are ready.  The seconds that took."""
        begun = time.monotonic()
        self._enroll(self.size, size)
        while self.size < size:
            count = min(PER_PROCESS, size - self.size)
            self.children.append(self._child(HostsPlan(str(self._directory), self.size, count, self.guests)))
        self.until(self.all_ready, START_S, f"{size} hosts are ready")
        return time.monotonic() - begun

    def all_ready(self) -> bool:
        """Whether every host can receive work."""
        return sum(child.report().ready for child in self.children) == self.size

    def settled_since(self, at: float) -> bool:
        """Whether every host is connected, and has received an answer after that monotonic time."""
        reports = [child.report() for child in self.children]
        return sum(one.connected for one in reports) == self.size and all(one.answered_at > at for one in reports)

    def until(self, check: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait.  Raises CannotMeasure."""
        end = time.monotonic() + within_s
        while not check():
            if time.monotonic() > end:
                states = [asdict(child.report()) for child in self.children]
                raise CannotMeasure(f"Not after {within_s:g} s: {what}; the processes report {states}")
            time.sleep(0.2)

    def cpu(self) -> dict[str, float]:
        """CPU-seconds so far: of the control plane by process, and of all simulated hosts together."""
        found = {name: cpu_seconds(pid) for name, pid in self.cloud.roots().items()}
        return {**found, "hosts": sum(cpu_seconds(child.process.pid) for child in self.children)}

    def memory_mib(self) -> dict[str, float]:
        """PSS of the control plane by process, and of all simulated hosts together."""
        found = {name: pss_mib(pid) for name, pid in self.cloud.roots().items()}
        return {**found, "hosts": sum(pss_mib(child.process.pid) for child in self.children)}

    def close(self) -> None:
        """End the hosts' processes."""
        for child in self.children:
            if child.process.stop(60.0) is None:
                print(f"{child.process.name} did not end by itself", file=sys.stderr)

    @property
    def _directory(self) -> Path:
        return self.fleet.directory / "farm"

    def _enroll(self, first: int, end: int) -> None:
        """Issue the credentials of hosts, as `kilonova host enroll` does."""
        place = self._directory / "credentials"
        place.mkdir(parents=True, exist_ok=True)
        with authority.opened(self.fleet.authority, SystemClock()) as found:
            for number in range(first, end):
                name = host_name(number)
                made = found.issue(credentials.identity(Role.HOST, name), rights(Role.HOST, name), None)
                credentials.write(place / f"{name}.kilonova", made)

    def _child(self, plan: HostsPlan) -> Child:
        name = f"hosts-{plan.first}"
        words = [sys.executable, "-m", "bench.scale.hosts_child", json.dumps(asdict(plan))]
        env = {"PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": None}
        process = FleetProcess(name, words, self.fleet.logs / f"{name}.log", env)
        process.start()
        return Child(plan, process)
