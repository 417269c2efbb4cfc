# SPDX-License-Identifier: Apache-2.0
"""Root disks that grow and go back: the same promises on the fake, on libvirt's test driver and on QEMU."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import RESIZING, Resizing
from kilonova.virt.fake import FakeDriver
from tests.contract.drivers import TEST, Bench, Case

GIB = 1 << 30


def resizing(b: Bench) -> Resizing:
    return RESIZING.of(b.driver)


def root(b: Bench, guest: InstanceId) -> Path:
    return b.settings.default.instances_path / guest / "disk"


def size(b: Bench, guest: InstanceId) -> int:
    """Of the root disk as its guest sees it, in GiB."""
    if isinstance(b.driver, FakeDriver):
        return b.driver.hypervisor.guests[guest].disk_bytes >> 30
    argv = ["qemu-img", "info", "-U", "--output=json", "-f", "qcow2", str(root(b, guest))]
    told = subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout
    return int(json.loads(told)["virtual-size"]) // GIB


def contents(b: Bench, guest: InstanceId) -> object:
    """Something that no two different disks have in common."""
    if isinstance(b.driver, FakeDriver):
        return b.driver.hypervisor.guests[guest].disk_bytes >> 30
    return root(b, guest).read_bytes()


def write_on(b: Bench, guest: InstanceId, pattern: int) -> None:
    """What a guest would do to its disk; a fake one has no contents."""
    if not isinstance(b.driver, FakeDriver):
        disk = str(root(b, guest))
        argv = ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 1M 64k", disk]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)


async def built(b: Bench) -> Instance:
    guest = b.instance()
    guest = replace(guest, flavor=replace(guest.flavor, disk_gib=1))
    await b.build(guest)
    write_on(b, guest.id, 1)
    return guest


def test_a_disk_grows_and_is_put_back_exactly(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        before = contents(b, guest.id)
        for _ in range(2):
            await resizing(b).keep_disk(guest.id, "a")
            await resizing(b).grow_disk(guest.id, 3)
            assert size(b, guest.id) == 3
            write_on(b, guest.id, 2)
        assert contents(b, guest.id) != before
        for _ in range(2):
            await resizing(b).restore_disk(guest.id, "a")
            assert (contents(b, guest.id), size(b, guest.id)) == (before, 1)
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def test_a_disk_is_never_made_smaller(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        await resizing(b).grow_disk(guest.id, 2)
        await resizing(b).grow_disk(guest.id, 1)
        await resizing(b).grow_disk(guest.id, 0)
        assert size(b, guest.id) == 2
        await b.tear_down(guest)

    case.run(test)


def test_what_was_kept_goes_under_a_running_guest_and_nothing_is_put_back_then(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        await resizing(b).keep_disk(guest.id, "a")
        await resizing(b).grow_disk(guest.id, 2)
        await b.driver.define(replace(guest, flavor=replace(guest.flavor, disk_gib=2, vcpus=2, memory_mib=96)))
        await b.driver.power_on(guest.id, "m")
        for _ in range(2):
            await resizing(b).drop_kept_disk(guest.id)
        assert not [path for path in b.files() if "kept" in path.name]
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.driver.power_off(guest.id)
        await resizing(b).restore_disk(guest.id, "a")
        assert size(b, guest.id) == 2
        await b.tear_down(guest)

    case.run(test)


def test_the_disk_of_a_guest_that_is_not_off_is_left_alone(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        await b.driver.power_on(guest.id, "m")
        with pytest.raises(HypervisorError, match="not off"):
            await resizing(b).keep_disk(guest.id, "a")
        with pytest.raises(HypervisorError, match="not off"):
            await resizing(b).grow_disk(guest.id, 2)
        await b.driver.power_off(guest.id)
        await resizing(b).keep_disk(guest.id, "a")
        await resizing(b).grow_disk(guest.id, 2)
        await b.driver.power_on(guest.id, "m2")
        await resizing(b).keep_disk(guest.id, "a")  # done already
        await resizing(b).grow_disk(guest.id, 2)
        with pytest.raises(HypervisorError, match="not off"):
            await resizing(b).restore_disk(guest.id, "a")
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def test_a_copy_of_an_earlier_resize_is_never_put_back(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        await resizing(b).keep_disk(guest.id, "old")
        await resizing(b).grow_disk(guest.id, 2)
        await resizing(b).restore_disk(guest.id, "new")
        assert size(b, guest.id) == 2, "nothing was kept under that name yet"
        await resizing(b).keep_disk(guest.id, "new")
        await resizing(b).grow_disk(guest.id, 3)
        await resizing(b).restore_disk(guest.id, "old")
        assert size(b, guest.id) == 3, "it went when the next one was kept"
        await resizing(b).restore_disk(guest.id, "new")
        assert size(b, guest.id) == 2
        await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [TEST], indirect=True)
def test_without_room_for_the_copy_nothing_is_changed(case: Case) -> None:
    """The watermark holds for copies as for new guests; a file system that shares blocks needs no room."""

    async def test(b: Bench) -> None:
        guest = await built(b)
        before = contents(b, guest.id)
        default = replace(b.settings.default, disk_watermark="100%")
        b.driver.reconfigure(replace(b.settings, default=default))
        refusal = ""
        try:
            await resizing(b).keep_disk(guest.id, "a")
        except HypervisorError as exc:
            refusal = str(exc)
        kept = [path.name for path in b.files() if "kept" in path.name]
        shares_blocks = kept == ["disk.kept-a"]
        assert shares_blocks or (kept == [] and "not enough space to keep the old disk" in refusal)
        assert contents(b, guest.id) == before
        await b.tear_down(guest)

    case.run(test)
