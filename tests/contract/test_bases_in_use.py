# SPDX-License-Identifier: Apache-2.0
"""Which cached images are in use: as long as any disk lies on one, whoever made the disk."""

from kilonova.virt.capabilities import BasesInUse, RescueDisk, able
from tests.contract.drivers import Bench, Case


def test_an_image_is_in_use_until_the_last_disk_on_it_is_gone(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver, path = able(b.driver, BasesInUse), str(b.base.path)
        assert path not in await driver.bases_in_use()
        one, two = b.instance(), b.instance()
        await b.build(one)
        await b.build(two)
        await able(b.driver, RescueDisk).make_rescue_disk(two, b.base)
        assert path in await driver.bases_in_use()
        await b.tear_down(one)
        assert path in await driver.bases_in_use()
        await b.tear_down(two)
        assert path not in await driver.bases_in_use()

    case.run(test)
