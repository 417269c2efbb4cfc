# SPDX-License-Identifier: Apache-2.0
"""What exists on a host, as every driver lists it."""

import pytest

from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from tests.contract.drivers import QEMU, TEST, Bench, Case, define_foreign, present, remove_foreign

NOBODY = InstanceId("00000000-0000-4000-8000-000000000000")


def test_the_contents_of_a_host_are_its_guests_and_their_files(case: Case) -> None:
    async def test(b: Bench) -> None:
        contents = present(b.driver.contents)
        assert await contents.guests() == {}
        whole, files_only = b.instance(), b.instance()
        await b.build(whole)
        await b.driver.ensure_disks(files_only, b.base)
        found = await contents.guests()
        assert {id_: guest.power for id_, guest in found.items()} == {
            whole.id: PowerState.SHUTDOWN,
            files_only.id: None,
        }
        assert {"disk", "disk.config"} <= set(found[whole.id].files or ())
        assert "disk.config" not in (found[files_only.id].files or ())
        assert await contents.disk_trouble(whole.id) == ""
        await contents.remove_left_over(whole.id, "disk.unfinished")
        await contents.forget_record(whole.id)
        await contents.mend_networks()
        assert await contents.guests() == found, "none of these was there"
        for guest in (whole, files_only):
            await b.tear_down(guest)
        assert await contents.guests() == {}

    case.run(test)


@pytest.mark.parametrize("case", [TEST, QEMU], indirect=True)
def test_a_host_lists_what_is_left_of_a_guest_and_removes_it(case: Case) -> None:
    async def test(b: Bench) -> None:
        contents, guest, root = present(b.driver.contents), b.instance(), b.settings.default.instances_path
        foreign = await define_foreign(b)
        await b.build(guest)
        (root / guest.id / "disk.unfinished").touch()
        (root / "not-a-guest").mkdir()
        (root / str(NOBODY)).symlink_to(root)
        found = await contents.guests()
        assert set(found) == {guest.id}
        assert found[guest.id].has_record
        assert found[guest.id].left_over == ("disk.unfinished",)
        await contents.remove_left_over(guest.id, "disk.unfinished")
        assert (await contents.guests())[guest.id].left_over == ()
        disk = root / guest.id / "disk"
        disk.rename(disk.with_name("elsewhere"))
        assert await contents.disk_trouble(guest.id) == "disk cannot be read: No such file or directory."
        (root / str(NOBODY)).unlink()
        (root / "not-a-guest").rmdir()
        await b.tear_down(guest)
        await remove_foreign(b, foreign)
        assert await contents.guests() == {}

    case.run(test)
