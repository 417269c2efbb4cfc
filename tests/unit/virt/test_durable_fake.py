# SPDX-License-Identifier: Apache-2.0
"""The guests of the durable fake driver outlive its process, with all their parts."""

from pathlib import Path

from kilonova.objects.states import PowerState
from kilonova.virt.fake import DurableFakeDriver
from kilonova.virt.fake.durable import DIRECTORY, guests_in
from tests import make
from tests.contract.drivers import Bench, fake_case


def guests_of(bench: Bench) -> object:
    assert isinstance(bench.driver, DurableFakeDriver)
    return bench.driver.hypervisor.guests


def test_the_next_process_finds_each_guest_as_the_last_call_left_it(tmp_path: Path) -> None:
    case = fake_case(tmp_path, "fake.DurableFakeDriver")
    guest = case.instance()

    async def body() -> None:
        async with case.open() as first:
            await first.build(guest)
            await first.driver.power_on(guest.id, "token")
            assert first.driver.snapshots is not None
            await first.driver.snapshots.take(guest.id, "copy", 1.0)
            before = guests_of(first)
        async with case.open() as second:
            assert guests_of(second) == before
            assert await second.power(guest.id) is PowerState.RUNNING
            await second.driver.shutdown(guest.id)
            await make.until(lambda: guests_in(tmp_path / DIRECTORY)[guest.id].power is PowerState.SHUTDOWN)
        async with case.open() as third:
            await third.tear_down(guest)
        assert not guests_in(tmp_path / DIRECTORY)

    make.run(body())
