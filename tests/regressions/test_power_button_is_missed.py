# SPDX-License-Identifier: Apache-2.0
"""A guest in early boot hears no power button.  It was pressed once, and the whole shutdown_timeout was waited for: a
soft reboot, and a rescue with its unrescue, took one to two minutes."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.compute.operation import Job
from kilonova.objects.states import PowerState, Verb
from tests.params import of_verb
from tests.unit.compute.bench import Bench
from tests.unit.compute.test_operations import on

TIMEOUT_S = 60.0


def job(bench: Bench, verb: Verb, **params: str) -> Job:
    made = bench.job(verb, **params)
    tools = replace(made.tools, settings=replace(made.tools.settings, shutdown_timeout=TIMEOUT_S))
    rescue = made.instance.image if verb is Verb.RESCUE else None
    return replace(made, tools=tools, instance=replace(made.instance, rescue_image=rescue))


def presses(bench: Bench, *, hears_after_s: float) -> list[float]:
    """The moments of all presses, as the guest will have seen them: it obeys once its kernel is up."""
    began, pressed = bench.clock.monotonic(), list[float]()

    async def hook(name: str, _guest: object) -> None:
        if name == "shutdown":
            pressed.append(bench.clock.monotonic() - began)
            bench.machine.obeys_acpi = pressed[-1] >= hears_after_s

    bench.machine.before_call = hook
    return pressed


@pytest.mark.parametrize(
    ("verb", "kind"), [(Verb.STOP, ""), (Verb.REBOOT, "SOFT"), (Verb.RESCUE, ""), (Verb.SHELVE, "")]
)
def test_the_button_is_pressed_again_until_the_guest_hears_it(tmp_path: Path, verb: Verb, kind: str) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        pressed = presses(bench, hears_after_s=15.0)
        began = bench.clock.monotonic()
        await bench.run(job(bench, verb, **of_verb(verb, type=kind, image_id="image-2")))
        assert [round(at) for at in pressed] == [0, 10, 20]
        assert bench.clock.monotonic() - began < TIMEOUT_S / 2

    on(Bench(tmp_path), body)


def test_one_that_never_hears_it_loses_its_power_at_the_timeout(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        pressed = presses(bench, hears_after_s=1e9)
        outcome = await bench.run(job(bench, Verb.STOP))
        assert (outcome.succeeded, outcome.power, len(pressed)) == (True, PowerState.SHUTDOWN, 6)

    on(Bench(tmp_path), body)


def test_an_unrescue_does_not_ask_the_guest(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run(bench.job(Verb.CREATE))
        await bench.run(job(bench, Verb.RESCUE))
        pressed = presses(bench, hears_after_s=0.0)
        assert (await bench.run(job(bench, Verb.UNRESCUE))).succeeded
        assert pressed == []

    on(Bench(tmp_path), body)
