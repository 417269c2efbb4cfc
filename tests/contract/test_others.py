# SPDX-License-Identifier: Apache-2.0
"""A real libvirt that is shared with other tools: what their guests use is not offered."""

import pytest

from tests.contract.drivers import QEMU, Bench, Case, define_foreign, remove_foreign


@pytest.mark.parametrize("case", [QEMU], indirect=True)
def test_memory_of_others_guests_is_told_and_that_of_ours_is_not(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        assert (await b.driver.resources()).foreign_memory_mib == 0
        foreign = await define_foreign(b)
        shared = await b.driver.resources()
        await remove_foreign(b, foreign)
        assert shared.foreign_memory_mib == 32
        assert (await b.driver.resources()).foreign_memory_mib == 0
        await b.tear_down(guest)

    case.run(test)
