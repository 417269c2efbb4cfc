# SPDX-License-Identifier: Apache-2.0
"""Which cached images are in use: as long as any disk lies on one, whoever made the disk."""

from kilonova.virt.capabilities import RESCUE_DISKS
from tests.contract.drivers import Bench, Case, present


def test_an_image_is_in_use_until_the_last_disk_on_it_is_gone(case: Case) -> None:
    async def test(b: Bench) -> None:
        driver, path = present(b.driver.base_images), str(b.base.path)
        assert path not in await driver.bases_in_use()
        one, two = b.instance(), b.instance()
        await b.build(one)
        await b.build(two)
        await RESCUE_DISKS.of(b.driver).make_disk(two, b.base)
        assert path in await driver.bases_in_use()
        await b.tear_down(one)
        assert path in await driver.bases_in_use()
        await b.tear_down(two)
        assert path not in await driver.bases_in_use()

    case.run(test)
