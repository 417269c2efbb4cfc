# SPDX-License-Identifier: Apache-2.0
"""A project's images stay within its quota, in number and in bytes, those of uploads under way among them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import Conflict, NotFound, OverQuota
from kilonova.conductor import image_quota, images
from kilonova.config.quota import QuotaSettings
from kilonova.db.engine import Database
from kilonova.db.readers import images as read_images
from kilonova.db.writers import quotas as write_quotas
from kilonova.objects.ids import ImageId
from kilonova.objects.image import Image, ImageStatus
from kilonova.rpcapi.api_to_conductor import DeleteImage
from tests.make import NOW, database, run

MIB = 1 << 20
QUOTAS = QuotaSettings({image_quota.COUNT: 3, image_quota.SIZE_MIB: 10})


def image(number: int, owner: str = "p2", **changes: Any) -> Image:
    blank = Image(
        ImageId(f"image-{number}"), None, ImageStatus.QUEUED, owner, "private", "raw", "bare", NOW, NOW, **changes
    )
    return replace(blank, status=ImageStatus.ACTIVE) if blank.size else blank


class Desk:
    def __init__(self, directory: Path) -> None:
        self.db: Database = database(directory)

    def create(self, new: Image, quotas: QuotaSettings | None = QUOTAS) -> None:
        run(self.db.write(image_quota.create, new, quotas))

    def update(self, changed: Image, quotas: QuotaSettings | None = QUOTAS) -> None:
        run(self.db.write(image_quota.update, changed, None, quotas))

    def delete(self, number: int) -> None:
        run(self.db.write(images.delete, DeleteImage(ImageId(f"image-{number}")), NOW))

    def use(self, project: str = "p2") -> tuple[int, int]:
        found = run(self.db.read(read_images.images_use, project))
        return found.count, found.size_bytes


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_so_many_and_no_more_until_one_goes(desk: Desk) -> None:
    for number in range(3):
        desk.create(image(number))
    desk.create(image(2))  # delivered again
    with pytest.raises(OverQuota, match="3 images already"):
        desk.create(image(3))
    assert desk.use() == (3, 0)
    desk.create(image(4, owner="p3"))
    desk.delete(0)
    desk.create(image(3))


def test_bytes_that_are_here_and_bytes_that_are_coming_count_together(desk: Desk) -> None:
    desk.create(image(1))
    desk.create(image(2))
    desk.update(image(1, size=6 * MIB))
    with pytest.raises(OverQuota, match="10 MiB"):
        desk.update(image(2, reserved=4 * MIB + 1))
    assert desk.use() == (2, 6 * MIB)
    desk.update(image(2, reserved=4 * MIB))
    with pytest.raises(OverQuota, match="10 MiB"):  # there is no room for a single byte
        desk.create(image(3))
    desk.update(image(2, size=4 * MIB))
    assert desk.use() == (2, 10 * MIB)


def test_who_is_over_already_may_still_take_less(desk: Desk) -> None:
    desk.create(image(1), None)
    desk.update(image(1, size=20 * MIB), None)
    desk.update(replace(image(1, size=20 * MIB), name="renamed"))
    desk.update(image(1, size=19 * MIB))
    with pytest.raises(OverQuota):
        desk.update(image(1, size=20 * MIB))


def test_limits_of_ones_own_win_and_no_limit_is_none(desk: Desk) -> None:
    own = {image_quota.COUNT: -1, image_quota.SIZE_MIB: -1}
    run(desk.db.write(write_quotas.set_limits, "p2", own))
    for number in range(5):
        desk.create(image(number))
        desk.update(image(number, size=10 * MIB))
    run(desk.db.write(write_quotas.set_limits, "p2", {image_quota.COUNT: 5}))
    with pytest.raises(OverQuota):
        desk.create(image(9))


def test_the_owner_of_a_new_box_has_no_limit(desk: Desk) -> None:
    for number in range(5):
        desk.create(image(number, owner="p1"))
        desk.update(image(number, owner="p1", size=10 * MIB))


def test_an_id_whose_image_had_bytes_is_not_given_again(desk: Desk) -> None:
    desk.create(image(1))
    desk.delete(1)
    desk.create(image(1))  # nobody can have used it
    desk.update(image(1, size=MIB))
    desk.delete(1)
    desk.delete(1)
    for owner in ("p2", "p3"):
        with pytest.raises(Conflict, match="already exists"):
            desk.create(image(1, owner=owner))
    with pytest.raises(NotFound):
        desk.update(image(1))
