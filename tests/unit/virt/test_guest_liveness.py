# SPDX-License-Identifier: Apache-2.0
"""LivenessProbes: what they conclude, and how little they hold.  A frozen guest itself is in the contract suite."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

import libvirt
import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import HypervisorUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.objects.guest import NOT_RESPONDING, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.calls.pool import CallPools
from kilonova.virt.libvirt.connection.hypervisor_connection import LIVENESS_WIDTH
from kilonova.virt.libvirt.connection.pool import ConnectionPool
from kilonova.virt.libvirt.domain import guest_liveness
from kilonova.virt.libvirt.domain.guest_liveness import MAX_IN_FLIGHT, LivenessProbes
from tests.make import until

RUNNING = GuestState(PowerState.RUNNING, "booted")
SILENT = GuestState(PowerState.NOSTATE, NOT_RESPONDING)
PATIENCE_S = 0.1


class Domain:
    """A guest by libvirt's binding, as far as a pulse asks it."""

    def __init__(self) -> None:
        self.state = libvirt.VIR_DOMAIN_RUNNING
        self.control: tuple[int, int, int] | None = (libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0)
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0

    def info(self) -> list[int]:
        return [self.state]

    def controlInfo(self) -> tuple[int, int, int]:
        if self.control is None:
            error = libvirt.libvirtError("x")
            error.err = (libvirt.VIR_ERR_NO_SUPPORT, 0, "", 0, "", None, None, 0, 0)
            raise error
        return self.control

    def memoryStats(self) -> dict[str, int]:
        self.asked += 1
        if not self.answers.is_set():
            self.control = (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 60_000)
            self.answers.wait()
            self.control = (libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0)
        return {}

    def freeze(self) -> None:
        self.answers.clear()


class Link:
    """A lane of real threads to these domains."""

    def __init__(self, domains: dict[str, Domain]) -> None:
        self.domains, self.up = domains, True
        self.calls = CallPools("test").pool("liveness", LIVENESS_WIDTH)

    async def run(self, fn: Callable[..., Any], *, deadline_s: float, on_late: Callable[[Any], None]) -> Any:
        if not self.up:
            raise HypervisorUnavailable("gone")
        return await self.calls.call(fn, self, deadline_s=deadline_s, on_late=on_late)

    def lookupByUUIDString(self, uuid: str) -> Domain:
        return self.domains[uuid]


Test = Callable[[LivenessProbes, Link, list[str]], Awaitable[None]]


def play(names: str, test: Test) -> None:
    async def main() -> None:
        link = Link({name: Domain() for name in names})
        changed: list[str] = []
        probes = LivenessProbes(cast("ConnectionPool", link), PATIENCE_S, changed.append)
        async with asyncio.timeout(30), Supervisor(SystemClock()) as tasks:
            probes.start(tasks)
            try:
                await test(probes, link, changed)
            finally:
                for domain in link.domains.values():
                    domain.answers.set()

    asyncio.run(main())


def one(name: str) -> InstanceId:
    return InstanceId(name)


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ((libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0), True),
        (None, True),
        ((libvirt.VIR_DOMAIN_CONTROL_JOB, 0, 60_000), None),
        ((libvirt.VIR_DOMAIN_CONTROL_ERROR, 0, 0), None),
        ((libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 10), None),
        ((libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 60_000), False),
    ],
)
def test_only_a_monitor_that_waits_too_long_condemns(control: tuple[int, int, int] | None, said: bool | None) -> None:
    domain = Domain()
    domain.control = control
    conn = cast("libvirt.virConnect", Link({"a": domain}))
    assert guest_liveness.probe(conn, one("a"), 1.0, ask=True) is said
    assert domain.asked == (said is True)
    assert guest_liveness.probe(conn, one("a"), 1.0, ask=False) is (None if said else said)
    domain.state = libvirt.VIR_DOMAIN_SHUTOFF
    assert guest_liveness.probe(conn, one("a"), 1.0, ask=True) is None


def test_a_silent_guest_is_unknown_until_its_late_answer_and_is_not_asked_twice() -> None:
    async def test(probes: LivenessProbes, link: Link, changed: list[str]) -> None:
        link.domains["a"].freeze()
        for _ in range(3):
            await probes.probe_guest(one("a"))
        assert link.domains["a"].asked == 1
        assert changed == ["a"]
        assert probes.apply(one("a"), RUNNING) == SILENT
        paused = GuestState(PowerState.PAUSED)
        assert probes.apply(one("a"), paused) == paused  # its own word counts where it says more
        link.domains["a"].answers.set()
        await until(lambda: changed == ["a", "a"])
        assert probes.apply(one("a"), RUNNING) == RUNNING
        await probes.probe_guest(one("a"))
        assert link.domains["a"].asked == 2

    play("a", test)


def test_however_many_are_frozen_few_calls_are_out_and_the_others_are_still_seen() -> None:
    async def test(probes: LivenessProbes, link: Link, changed: list[str]) -> None:
        for name in "abcd":
            link.domains[name].freeze()
        for _ in range(2):
            for name in "abcdw":
                await probes.probe_guest(one(name))
        assert link.calls.in_flight == MAX_IN_FLIGHT
        assert changed == ["a", "b"]
        # Somebody else's call waits for it: that is seen without a call of ours.
        link.domains["c"].control = (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 60_000)
        await probes.probe_guest(one("c"))
        assert changed == ["a", "b", "c"]
        assert probes.apply(one("w"), RUNNING) == RUNNING

    play("abcdw", test)


def test_what_could_not_be_asked_changes_nothing_and_keeps_no_place() -> None:
    async def test(probes: LivenessProbes, link: Link, changed: list[str]) -> None:
        link.up = False
        for name in "abc":
            await probes.probe_guest(one(name))
        assert changed == []
        link.up = True
        link.domains["c"].freeze()
        await probes.probe_guest(one("c"))
        assert changed == ["c"]
        probes.forget(one("c"))
        assert probes.apply(one("c"), RUNNING) == RUNNING

    play("abc", test)


def test_a_call_that_takes_too_long_has_its_guest_looked_at_at_once() -> None:
    async def test(probes: LivenessProbes, link: Link, changed: list[str]) -> None:
        link.domains["a"].control = (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 60_000)
        probes.probe_soon(one("a"))
        await until(lambda: changed == ["a"])

    play("a", test)
