# SPDX-License-Identifier: Apache-2.0
"""What every compute driver promises of copies of root disks: on the fake, on libvirt's test driver, and on QEMU."""

from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.base.tools import run_limited
from kilonova.images.inspect import inspect
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import MEMORY, SNAPSHOTS, DiskSnapshots
from kilonova.virt.libvirt.driver import LibvirtDriver
from tests.contract.drivers import MIB, QEMU, Bench, Case

LIMIT_S = 60.0
LARGE = Flavor(FlavorId("2"), "large", vcpus=1, memory_mib=64, disk_gib=1)


def snapshots_of(b: Bench) -> DiskSnapshots:
    return SNAPSHOTS.of(b.driver)


async def read(b: Bench, guest: InstanceId, name: str) -> bytes:
    return b"".join([chunk async for chunk in snapshots_of(b).read(guest, name)])


def size_of(directory: Path, data: bytes) -> int:
    """Of the disk that these bytes are; they refer to no other file."""
    file = directory / "copy"
    file.write_bytes(data)
    return inspect(file, "qcow2")


@pytest.mark.parametrize("power", ["never started", "running", "paused", "suspended", "off"])
def test_a_copy_is_a_whole_disk_and_the_guest_stays_what_it_is(case: Case, power: str, tmp_path: Path) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance(flavor=LARGE)
        await b.build(guest)
        if power != "never started":
            await b.driver.power_on(guest.id, "m")
        if power == "paused":
            await b.driver.pause(guest.id)
        if power == "suspended":
            await MEMORY.of(b.driver).suspend(guest.id)
        if power == "off":
            await b.driver.power_off(guest.id)
        before = await b.driver.guest_state(guest.id)
        await snapshots_of(b).take(guest.id, "one", LIMIT_S)
        data = await read(b, guest.id, "one")
        assert size_of(tmp_path, data) == 1 << 30
        assert await b.driver.guest_state(guest.id) == before
        await snapshots_of(b).take(guest.id, "one", LIMIT_S)
        assert await read(b, guest.id, "one") == data  # it is kept
        files = b.files()
        for _ in range(2):
            await snapshots_of(b).remove(guest.id, "one")
            with pytest.raises(HypervisorError):
                await read(b, guest.id, "one")
        assert not files or len(b.files()) == len(files) - 1
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def test_a_copy_goes_with_the_disks(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await snapshots_of(b).take(guest.id, "one", LIMIT_S)
        await b.tear_down(guest)
        assert b.files() == []
        await snapshots_of(b).remove(guest.id, "one")

    case.run(test)


def test_what_has_no_disk_cannot_be_copied_and_a_read_only_driver_copies_nothing(case: Case) -> None:
    async def test(b: Bench) -> None:
        with pytest.raises(HypervisorError):
            await snapshots_of(b).take(b.instance().id, "one", LIMIT_S)

    async def refused(b: Bench) -> None:
        with pytest.raises(HypervisorError, match="read-only"):
            await snapshots_of(b).take(b.instance().id, "one", LIMIT_S)
        with pytest.raises(HypervisorError, match="read-only"):
            await snapshots_of(b).remove(b.instance().id, "one")

    case.run(test)
    case.run(refused, read_only=True)


@pytest.mark.parametrize("case", [QEMU], indirect=True)
def test_a_job_that_an_earlier_process_began_is_taken_over_and_what_it_left_is_not(case: Case, tmp_path: Path) -> None:
    async def test(b: Bench) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        guest = b.instance(flavor=LARGE)
        await b.build(guest)
        directory = b.settings.default.instances_path / guest.id
        unfinished = directory / "snapshot-one.unfinished"
        unfinished.write_bytes(b"left by a crash")
        (directory / "snapshot-other").write_bytes(b"left by an action that was given up")
        await b.driver.power_on(guest.id, "m")
        await snapshots_of(b).take(guest.id, "one", LIMIT_S)
        assert size_of(tmp_path, await read(b, guest.id, "one")) == 1 << 30
        assert sorted(path.name for path in directory.glob("snapshot-*")) == ["snapshot-one"]
        await snapshots_of(b).remove(guest.id, "one")

        conn = await b.driver.proxy()
        domain = await conn.lookupByUUIDString(guest.id)
        slow = (
            "<domainbackup mode='push'><disks><disk name='vda' type='file'><driver type='qcow2'/>"
            f"<target file='{unfinished}'/></disk></disks></domainbackup>"
        )
        await domain.backupBegin(slow, None, 0)
        await snapshots_of(b).take(guest.id, "one", LIMIT_S)
        assert size_of(tmp_path, await read(b, guest.id, "one")) == 1 << 30
        await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [QEMU], indirect=True)
def test_one_that_would_take_too_long_or_too_much_room_leaves_nothing_and_harms_nobody(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(b: Bench) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        guest = b.instance(flavor=LARGE)
        await b.build(guest)
        disk = b.settings.default.instances_path / guest.id / "disk"
        # In pieces: qemu-io holds in memory what it writes at a time.
        writes = [word for at in range(0, 600, 20) for word in ("-c", f"write -P 7 {at}M 20M")]
        await run_limited(["qemu-io", "-f", "qcow2", *writes, str(disk)], limit_s=60)
        await b.driver.power_on(guest.id, "m")
        files = b.files()
        with pytest.raises(HypervisorError, match="not copied in time"):
            await snapshots_of(b).take(guest.id, "one", 0.2)
        await snapshots_of(b).remove(guest.id, "one")
        assert b.files() == files
        assert await b.power(guest.id) is PowerState.RUNNING
        monkeypatch.setattr(b.driver._disks, "space", _little)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(HypervisorError, match="not enough space for an image"):
            await snapshots_of(b).take(guest.id, "one", LIMIT_S)
        assert b.files() == files
        await b.tear_down(guest)

    case.run(test)


async def _little() -> tuple[int, int]:
    return 10 << 30, 1536 * MIB
