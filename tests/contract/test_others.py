# SPDX-License-Identifier: Apache-2.0
"""A real libvirt that is shared with other tools: what their guests use is not offered."""

import pytest

from tests.contract.drivers import QEMU, Bench, Case, define_foreign, remove_foreign


@pytest.mark.parametrize("case", [QEMU], indirect=True)
def test_memory_of_others_guests_is_reserved_and_that_of_ours_is_not(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        alone = await b.driver.inventory()
        assert alone.memory_mib_capacity == alone.memory_mib - b.settings.default.reserved_host_memory_mb
        foreign = await define_foreign(b)
        shared = await b.driver.inventory()
        await remove_foreign(b, foreign)
        assert shared.memory_mib_capacity == alone.memory_mib_capacity - 32
        assert (await b.driver.inventory()).memory_mib_capacity == alone.memory_mib_capacity
        await b.tear_down(guest)

    case.run(test)
