# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of disks that are gone or were moved by other tools; and with a real QEMU, what libvirt
makes of a snapshot by its own tools."""

import subprocess
from pathlib import Path

import libvirt
import pytest

from kilonova.base.errors import DiskMoved, DiskUnusable, HypervisorError
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId
from kilonova.objects.instance import Instance
from kilonova.virt.capabilities import DISK_REPLACEMENT, RESIZING
from kilonova.virt.fake import FakeDriver
from kilonova.virt.libvirt.driver import LibvirtDriver
from tests.contract.drivers import FAKE, QEMU, TEST, Bench, Case, present
from tests.contract.test_power import order
from tests.contract.test_snapshots import read, snapshots_of

DISK_ONLY = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC


def lose(b: Bench, guest: Instance) -> None:
    if isinstance(b.driver, FakeDriver):
        b.driver.hypervisor.guests[guest.id].disk_gone = True
    else:
        (b.settings.default.instances_path / guest.id / "disk").unlink()


def write(disk: Path, pattern: int) -> None:
    argv = ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 1M 64k", str(disk)]
    subprocess.run(argv, check=True, timeout=30, capture_output=True)


def holds(image: Path, pattern: int) -> bool:
    argv = ["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} 1M 64k", str(image)]
    told = subprocess.run(argv, check=True, timeout=30, capture_output=True, text=True)
    return "verification failed" not in told.stdout


@pytest.mark.parametrize("case", [FAKE, TEST], indirect=True)
def test_a_disk_that_is_gone_is_told_before_anything_is_done_and_can_be_replaced(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        checks = present(b.driver.disk_checks)
        await b.driver.power_on(guest.id, "m")
        await checks.check(guest)
        lose(b, guest)
        before = await b.driver.guest_state(guest.id)
        with pytest.raises(DiskUnusable, match="cannot be read: No such file"):
            await checks.check(guest)
        await checks.require_own_root(guest.id)
        if isinstance(b.driver, FakeDriver):  # (the guests of libvirt's test driver have nothing open)
            await snapshots_of(b).take(guest.id, "last", 60.0)
        assert await b.driver.guest_state(guest.id) == before
        await b.driver.power_off(guest.id)
        with pytest.raises(HypervisorError):
            await snapshots_of(b).take(guest.id, "one", 60.0)
        await DISK_REPLACEMENT.of(b.driver).replace_root_disk(guest, b.base)
        await b.driver.define(guest)
        await checks.check(guest)
        await b.driver.power_on(guest.id, "m2")
        await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [QEMU], indirect=True)
def test_a_snapshot_by_libvirts_own_tools_is_followed_through_starts_and_images(case: Case, tmp_path: Path) -> None:
    async def test(b: Bench) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        guest = b.instance(flavor=Flavor(FlavorId("2"), "large", vcpus=1, memory_mib=64, disk_gib=1))
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        domain = await (await b.driver.proxy()).lookupByUUIDString(guest.id)
        await domain.snapshotCreateXML("<domainsnapshot><name>s1</name></domainsnapshot>", DISK_ONLY)
        await b.driver.power_off(guest.id)
        write(b.settings.default.instances_path / guest.id / "disk.s1", 7)
        chain = ["disk.s1", "disk", "disk.config"]
        for power in (b.driver.power_on(guest.id, "m2"), b.driver.power_off(guest.id)):
            await b.driver.define(guest)
            await power
            assert await order(b, guest) == chain
            await snapshots_of(b).take(guest.id, "one", 60.0)
            (tmp_path / "image").write_bytes(await read(b, guest.id, "one"))
            assert holds(tmp_path / "image", 7)
            await snapshots_of(b).remove(guest.id, "one")
        with pytest.raises(DiskMoved):
            await RESIZING.of(b.driver).keep_disk(guest.id, "a")
        await b.driver.power_on(guest.id, "m3")
        (b.settings.default.instances_path / guest.id / "disk.s1").unlink()
        with pytest.raises(DiskUnusable):
            await present(b.driver.disk_checks).check(guest)
        await snapshots_of(b).take(guest.id, "last", 60.0)  # of what the guest has open
        (tmp_path / "image").write_bytes(await read(b, guest.id, "last"))
        assert holds(tmp_path / "image", 7)
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)
