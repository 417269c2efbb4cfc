# SPDX-License-Identifier: Apache-2.0
"""The watch of the exploration over hypervisors: it finds a breach of each rule, and none where the rule ends."""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from kilonova.base.context import serving
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.fake.machine import FakeGuest
from tests import make
from tests.simulation.explore import invariants
from tests.simulation.explore.calls import GOES_ON, Calls
from tests.simulation.explore.gates import GATE, Gate
from tests.simulation.explore.ledger import Ledger, Machine
from tests.simulation.explore.truth import Truth
from tests.simulation.explore.weather import Aim, Hung, Weather
from tests.simulation.explore.work import Work
from tests.simulation.virtual import run_virtually

if TYPE_CHECKING:
    from tests.simulation.explore.journal import Observer

HOST, GUEST = "h0", InstanceId("guest")


@pytest.mark.parametrize(
    ("call", "goes_on", "broken"),
    [("power_on", False, True), ("shutdown", True, True), ("resume", True, True), ("shutdown", False, False)],
)
def test_a_call_without_an_action_and_a_call_that_is_cut_off_are_found(call: str, goes_on: bool, broken: bool) -> None:
    async def main() -> list[str]:
        observer = cast("Observer", Idle(goes_on))
        calls = Calls(HOST, Weather(Random(1)), observer, lambda: 0.0, Work(observer, lambda: 0.0, ()))
        GATE.set(Gate("host"))
        pending = asyncio.ensure_future(calls(call, GUEST))
        await asyncio.sleep(0)
        pending.cancel()
        await asyncio.wait((pending,))
        return calls.all()

    cut_off = [f"h0 did not wait for its {call} of guest guest."] if broken else []
    found = [sentence.split(" s ")[1] for sentence in run_virtually(main())]
    assert found == [f"h0 begins {call} of guest, which has no action.", *cut_off]


class Idle:
    """The record of a cloud in which no action is open; `goes_on`: except for the one of the call that is cut off."""

    def __init__(self, goes_on: bool) -> None:
        self._goes_on = goes_on

    def rows(self, query: str, *_values: object) -> list[int]:
        return [1] if query != GOES_ON or self._goes_on else []


@pytest.mark.parametrize(("removed", "broken"), [(False, True), (True, False)])
def test_a_second_start_is_found_unless_the_guest_was_removed(removed: bool, broken: bool) -> None:
    ledger, machine = Ledger(lambda: 0.0), Machine()
    machine.name, machine.ledger = HOST, ledger
    for _ in range(2):
        machine.guests.setdefault(GUEST, FakeGuest(definition=make.instance(GUEST), start_token="token"))
        machine.move(GUEST, PowerState.RUNNING, "booted")
        machine.move(GUEST, PowerState.SHUTDOWN, "destroyed")
        if removed:
            machine.vanish(GUEST)
    assert bool(list(invariants.no_start_is_repeated(Truth(starts=ledger.started)))) is broken


def test_the_host_of_a_guest_whose_call_hangs_has_more_time() -> None:
    row = {"instance_id": GUEST, "verb": "stop", "deadline": 0, "ended_at": 700 * 10**6}
    assert list(invariants.each_action_ends_in_time(Truth(actions=[row])))
    assert not list(invariants.each_action_ends_in_time(Truth(actions=[row], hung=frozenset({GUEST}))))


def test_a_call_that_hangs_is_left_and_executed_later() -> None:
    async def main() -> None:
        weather = Weather(Random(1))
        weather.aims[GUEST] = Aim("hangs", hang_s=100.0)
        began = asyncio.get_running_loop().time()
        error = await weather.of_call("pause", GUEST)
        assert isinstance(error, Hung)
        assert 100 <= asyncio.get_running_loop().time() - began + error.late_s < 101
        assert weather.hung == {GUEST}

    run_virtually(main())


def test_work_for_an_action_that_has_ended_is_found() -> None:
    gate = Gate("host")
    work = Work(cast("Observer", Ended()), lambda: 7.0, {("h1", "")})
    GATE.set(gate)
    fetch = b'{"method": "fetch"}\n{"attempt": "t"}'
    with serving("req"):
        work.sends("t", ("a",))
        work.receives(fetch, b"-no answer")
        for _ in range(3):
            work.begins(HOST, gate, "define", GUEST)
        assert work.breaches == []
        work.receives(fetch, b"+an answer")
        for _ in range(3):
            work.begins(HOST, gate, "define", GUEST)
        for host, began_s in ((HOST, 6.0), (HOST, 4.0), ("h1", 4.0)):
            work.ends(host, gate, "define", GUEST, began_s)
    assert work.breaches == [
        "At 7.0 s h0 begins define of guest for a superseded action.",
        "At 5.0 s the action of guest ended while h0 was in its call define.",
    ]


class Ended:
    """The record of a cloud whose action was superseded, or ended at 5 s."""

    def rows(self, query: str, *_values: object) -> list[Any]:
        return [{"request_id": "req"}] if "superseded" in query else [(5.0,)]
