# SPDX-License-Identifier: Apache-2.0
"""Makes the faults of a schedule, and ends them."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.chaos import schedule as kinds
from tests.chaos.cloud import Cloud
from tests.chaos.operators import Operator
from tests.chaos.power import switch_off, switch_on
from tests.chaos.schedule import Fault
from tests.live.other_clock import set_ahead

End = Callable[[], object]
LONGEST_END_S = 300.0
"""How long the end of a fault may take."""


@dataclass
class Faults:
    """`ended` are the sentences about processes that ended by themselves; `broken`: a fault that could not be made."""

    cloud: Cloud
    faults: Sequence[Fault]
    begun: float
    """When the run began (time.monotonic)."""
    operator: Callable[[], Operator]
    """Makes one."""
    made: list[Fault] = field(default_factory=list[Fault])
    ended: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])
    _killed: set[str] = field(default_factory=set[str])
    _lanes: dict[str, threading.Lock] = field(default_factory=dict[str, threading.Lock])
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in threads."""
        threading.Thread(target=self._run, name="faults", daemon=True).start()

    def stop(self) -> None:
        """Make no further fault."""
        self._stop.set()

    def rest(self) -> None:
        """Wait for the end of the last fault, and start what has ended by itself."""
        for thread in self._threads:
            thread.join(LONGEST_END_S)
        self.watch()

    def watch(self) -> None:
        """Note each process that has ended by itself, and start it again."""
        for name, victim in self.cloud.victims.items():
            if name not in self._killed and not victim.alive:
                self.ended.append(f"{name} ended by itself: {victim.last_words().strip().splitlines()[-1:]}")
                victim.start()

    def _run(self) -> None:
        for fault in self.faults:
            while (wait_s := self.begun + fault.at_s - time.monotonic()) > 0:
                if self._stop.wait(min(wait_s, 1.0)):
                    return
                self.watch()
            self.made.append(fault)
            thread = threading.Thread(target=self._one, args=(fault,), name=str(fault), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _one(self, fault: Fault) -> None:
        key = fault.target if fault.kind in kinds.ENDING else str(fault)
        with ExitStack() as lanes:  # (a fault may last longer than planned)
            for lane in kinds.lanes_of(fault):
                lanes.enter_context(self._lanes.setdefault(lane, threading.Lock()))
            self._killed.add(key)
            lanes.callback(self._killed.discard, key)
            self._carry_out(fault)

    def _carry_out(self, fault: Fault) -> None:
        try:
            end = self._make(fault)
            time.sleep(max(0.0, self.begun + fault.end_s - time.monotonic()))
            end()
        except Exception:
            self.broken.append(f"{fault} could not be made: {traceback.format_exc()[-600:]}")

    def _make(self, fault: Fault) -> End:
        if fault.kind in OF_OPERATORS:
            return OF_OPERATORS[fault.kind](self.operator(), fault.target)
        return MAKERS[fault.kind](self.cloud, fault)


def _kill(cloud: Cloud, fault: Fault) -> End:
    if fault.target == "NATS":
        cloud.nats.stop()
        return cloud.nats.start
    if fault.target == kinds.POSTGRESQL:
        cloud.postgres.kill()
        return cloud.postgres.start
    if fault.target.startswith("libvirtd"):
        daemon = cloud.libvirtds[fault.target.split()[-1]]
        daemon.kill()
        return daemon.start
    victim = cloud.victims[fault.target]
    victim.kill()
    return victim.start


def _freeze(cloud: Cloud, fault: Fault) -> End:
    if fault.target == "NATS":
        cloud.nats.signal(signal.SIGSTOP)
        return partial(cloud.nats.signal, signal.SIGCONT)
    if fault.target == kinds.POSTGRESQL:
        cloud.postgres.freeze()
        return cloud.postgres.thaw
    if fault.target.startswith("libvirtd"):
        daemon = cloud.libvirtds[fault.target.split()[-1]]
        daemon.freeze()
        return daemon.thaw
    return _stopped(cloud.victims[fault.target].pid)


def _stopped(pid: int) -> End:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    return go_on


def _hold(cloud: Cloud, fault: Fault) -> End:
    cloud.network.hold(fault.target)
    return partial(cloud.network.heal, fault.target, lossless=fault.kind == kinds.HOLD)


def _cut(cloud: Cloud, fault: Fault) -> End:
    cloud.network.refuse(fault.target)
    return partial(cloud.network.heal, fault.target, lossless=True)


def _step(cloud: Cloud, fault: Fault) -> End:
    clock = cloud.clock_of(fault.target)
    set_ahead(clock, fault.by_s)
    return partial(set_ahead, clock, 0.0)


def _fill(cloud: Cloud, fault: Fault) -> End:
    filler = cloud.disks[fault.target].directory / "filler"
    _take_all(filler)

    def end() -> None:
        filler.unlink()
        if fault.target == kinds.POSTGRESQL and not cloud.postgres.lives:  # it cannot write its log
            cloud.postgres.kill()
            cloud.postgres.start()

    return end


def _take_all(filler: Path) -> None:
    chunk = bytes(1 << 20)
    found = os.statvfs(filler.parent)
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        with suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize)
        file.seek(0, os.SEEK_END)
        while file.write(chunk) == len(chunk):
            """Until nothing is free."""
        while file.write(b"\0"):
            """The rest."""


def _guest(cloud: Cloud, fault: Fault) -> int | None:
    """The first guest of the host: schedules cannot know which there will be."""
    return next(iter(cloud.libvirtds[fault.target].guests().values()), None)


def _kill_guest(cloud: Cloud, fault: Fault) -> End:
    if (pid := _guest(cloud, fault)) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return lambda: None


def _freeze_guest(cloud: Cloud, fault: Fault) -> End:
    pid = _guest(cloud, fault)
    return (lambda: None) if pid is None else _stopped(pid)


def _power(cloud: Cloud, fault: Fault) -> End:
    switch_off(cloud, fault.target)
    return partial(switch_on, cloud, fault.target)


MAKERS: Mapping[str, Callable[[Cloud, Fault], End]] = {
    kinds.KILL: _kill,
    kinds.FREEZE: _freeze,
    kinds.HOLD: _hold,
    kinds.LOSE: _hold,
    kinds.CUT: _cut,
    kinds.STEP: _step,
    kinds.FILL: _fill,
    kinds.KILL_GUEST: _kill_guest,
    kinds.FREEZE_GUEST: _freeze_guest,
    kinds.POWER: _power,
}
"""Each begins a fault and returns what ends it."""
OF_OPERATORS: Mapping[str, Callable[[Operator, str], End]] = {
    kinds.DISABLE: Operator.disable,
    kinds.FORCE: Operator.force_down,
    kinds.GIVE_UP: Operator.give_up,
}
"""The same, by operators."""
