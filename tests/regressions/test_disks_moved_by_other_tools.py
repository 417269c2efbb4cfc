# SPDX-License-Identifier: Apache-2.0
"""A disk-only snapshot by virsh, Cockpit or virt-manager makes another file the guest's active disk.  A stop and a
start put the guest back on the old one, and a shelving made its image of that: what was written since was lost.  After
`virsh domrename` no start succeeded."""

import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kilonova.base.errors import DiskMoved, DiskUnusable, HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.virt.capabilities import DISK_REPLACEMENT, RESCUE_DISKS, RESIZING, SNAPSHOTS
from kilonova.virt.libvirt.domain import guest as libvirt_guest
from kilonova.virt.libvirt.domain.active import Active, parse
from kilonova.virt.libvirt.driver import LibvirtDriver
from kilonova.virt.libvirt.xml.layer import Layer
from tests.contract.drivers import Bench, libvirt_test_case, present
from tests.contract.test_power import order


def on_libvirt(directory: Path, test: Callable[[Bench, Instance], Awaitable[None]]) -> None:
    async def main(b: Bench) -> None:
        guest = b.instance()
        guest = replace(guest, flavor=replace(guest.flavor, disk_gib=1))
        await b.build(guest)
        await test(b, guest)

    libvirt_test_case(directory).run(main)


def place(b: Bench, guest: InstanceId, name: str) -> Path:
    return b.settings.default.instances_path / guest / name


async def document_of(b: Bench, guest: Instance) -> str:
    assert isinstance(b.driver, LibvirtDriver)
    domain = await (await b.driver.proxy()).lookupByUUIDString(guest.id)
    return str(await domain.XMLDesc(0))


async def redefine(b: Bench, old: str, new: str, guest: Instance) -> None:
    """As other tools do it."""
    document = await document_of(b, guest)
    assert old in document
    assert isinstance(b.driver, LibvirtDriver)
    await (await b.driver.proxy()).defineXML(document.replace(old, new, 1))


def make_top(disk: Path, top: Path, pattern: int) -> None:
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(disk), str(top)]
    subprocess.run(create, check=True, timeout=30)
    write = ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 1M 64k", str(top)]
    subprocess.run(write, check=True, timeout=30, capture_output=True)


async def snapshot(b: Bench, guest: Instance, pattern: int = 7) -> Path:
    """What `virsh snapshot-create-as --disk-only` leaves, and what the guest has written since."""
    disk, top = place(b, guest.id, "disk"), place(b, guest.id, "disk.s1")
    below = f"<backingStore type='file'><format type='qcow2'/><source file='{disk}'/>"
    make_top(disk, top, pattern)
    document = await document_of(b, guest)
    source = next(line.strip() for line in document.splitlines() if f"'{disk}'" in line)
    chain = document[document.index(source) + len(source) :].partition("<target")[0]
    await redefine(b, source + chain, f"<source file='{top}'/>{below}{chain}</backingStore>", guest)
    return top


def reads(image: Path, pattern: int) -> bool:
    argv = ["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} 1M 64k", str(image)]
    told = subprocess.run(argv, check=False, timeout=30, capture_output=True, text=True)
    return told.returncode == 0 and "verification failed" not in told.stdout


def test_a_start_keeps_the_active_disk(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        await snapshot(b, guest)
        for _ in range(2):
            await b.driver.define(guest)
            assert await order(b, guest) == ["disk.s1", "disk", "disk.config"]
        await present(b.driver.disk_checks).check(guest)
        await b.driver.define(replace(guest, rescue_image=None))
        assert (await order(b, guest) or [])[0] == "disk.s1"
        await b.tear_down(guest)
        assert b.files() == []

    on_libvirt(tmp_path, test)


def test_a_rescue_has_the_active_disk_beside_it_and_an_unrescue_goes_back_to_it(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        await snapshot(b, guest)
        rescued = replace(guest, rescue_image=guest.image)
        await RESCUE_DISKS.of(b.driver).make_disk(rescued, b.base)
        for _ in range(2):
            await b.driver.define(rescued)
            assert await order(b, guest) == ["disk.rescue", "disk.s1", "disk", "disk.config"]
        await b.driver.define(guest)
        assert await order(b, guest) == ["disk.s1", "disk", "disk.config"]

    on_libvirt(tmp_path, test)


def test_an_image_has_what_was_written_since(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        await snapshot(b, guest)
        await SNAPSHOTS.of(b.driver).take(guest.id, "one", 60.0)
        assert reads(place(b, guest.id, "snapshot-one"), 7)

    on_libvirt(tmp_path, test)


def test_a_resize_is_refused_by_name_before_anything_is_changed(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        await RESIZING.of(b.driver).keep_disk(guest.id, "a")
        await snapshot(b, guest)
        before = {path: path.read_bytes() for path in b.files() if path.is_file()}
        for refused in (
            present(b.driver.disk_checks).require_own_root(guest.id),
            RESIZING.of(b.driver).keep_disk(guest.id, "b"),
            RESIZING.of(b.driver).grow_disk(guest.id, 3),
            RESIZING.of(b.driver).restore_disk(guest.id, "a"),
        ):
            with pytest.raises(DiskMoved, match=r"disk\.s1, a snapshot by other tools"):
                await refused
        assert {path: path.read_bytes() for path in b.files() if path.is_file()} == before

    on_libvirt(tmp_path, test)


def test_a_rebuild_begins_anew_and_leaves_nothing_of_the_old_disk(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        top = await snapshot(b, guest)
        await DISK_REPLACEMENT.of(b.driver).replace_root_disk(guest, b.base)
        await b.driver.define(guest)
        assert await order(b, guest) == ["disk", "disk.config"]
        assert not top.exists()

    on_libvirt(tmp_path, test)


def test_an_active_disk_that_does_not_lie_on_ours_is_left_alone(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        other = tmp_path / "copy"
        disk = place(b, guest.id, "disk")
        other.write_bytes(disk.read_bytes())
        await redefine(b, str(disk), str(other), guest)
        with pytest.raises(DiskMoved, match="was given another disk vda by other tools"):
            await b.driver.define(guest)
        assert (await order(b, guest) or [])[0] == "copy"

    on_libvirt(tmp_path, test)


def test_a_snapshot_that_is_gone_is_no_reason_to_go_back(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        (await snapshot(b, guest)).unlink()
        with pytest.raises(DiskUnusable, match=r"disk\.s1 cannot be read: No such file"):
            await b.driver.define(guest)

    on_libvirt(tmp_path, test)


def test_a_guest_that_was_renamed_is_known_by_its_id(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        domain = await (await b.driver.proxy()).lookupByUUIDString(guest.id)
        await domain.rename("my own name", 0)
        await b.driver.define(guest)
        await b.driver.power_on(guest.id, "m")
        domain = await (await b.driver.proxy()).lookupByUUIDString(guest.id)
        assert await domain.name() == "my own name"
        await b.tear_down(guest)

    on_libvirt(tmp_path, test)


def test_a_definition_made_of_what_is_no_longer_so_is_not_written(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        seen = await b.driver.calls.read(guest.id, partial(libvirt_guest.definition, instance_id=guest.id))
        await snapshot(b, guest)
        late = partial(libvirt_guest.define, instance_id=guest.id, render=lambda _token: "<no/>", seen=seen)
        assert await b.driver.connection.control.run(late) is None
        assert (await order(b, guest) or [])[0] == "disk.s1"

    on_libvirt(tmp_path, test)


def test_what_a_document_says_of_disks() -> None:
    found = parse(
        "<domain><name>n</name><devices>"
        "<disk type='file' device='cdrom'><source file='/iso'/><target dev='sda'/></disk>"
        "<disk type='file'><driver type='qcow2'/><source file='/a/top'/><backingStore type='file'>"
        "<format type='raw'/><source file='/a/base'/><backingStore/></backingStore><target dev='vda'/></disk>"
        "<disk type='block'><driver type='raw'/><source dev='/dev/x'/><target dev='vdb'/></disk>"
        "<disk type='file'><driver type='raw'/><source file='/c'/><target dev='vdc'/><readonly/></disk>"
        "</devices></domain>"
    )
    assert found.name == "n"
    assert found.disks == (Active("vda", (Layer("/a/top", "qcow2"), Layer("/a/base", "raw"))), Active("vdb", ()))
    assert found.above("/a/base") == (Layer("/a/top", "qcow2"),)
    assert (found.above("/a/top"), found.above("/c"), found.target_of("/a/base")) == ((), None, "vda")


def test_a_root_disk_that_is_gone_is_said(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance) -> None:
        place(b, guest.id, "disk").unlink()
        with pytest.raises(HypervisorError, match="cannot be read: No such file"):
            await b.driver.define(guest)

    on_libvirt(tmp_path, test)
