# SPDX-License-Identifier: Apache-2.0
"""Swap and ephemeral disks: the same promises on the fake, on libvirt's test driver and on QEMU."""

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from kilonova.base.errors import HypervisorError
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import DISK_REPLACEMENT, RESCUE_DISKS, RESIZING, LocalDisks, Resizing
from kilonova.virt.fake import FakeDriver
from kilonova.virt.libvirt.driver import LibvirtDriver
from kilonova.virt.local_disks import EPHEMERAL, SWAP
from tests.contract.drivers import Bench, Case, present

GIB, MIB = 1 << 30, 1 << 20
FILES = {EPHEMERAL: "disk.eph0", SWAP: "disk.swap"}
BOTH = {EPHEMERAL: GIB, SWAP: 64 * MIB}


def of(ephemeral_gib: int = 1, swap_mib: int = 64) -> Flavor:
    return Flavor(FlavorId("9"), "with more", 1, 64, 0, ephemeral_gib=ephemeral_gib, swap_mib=swap_mib)


def path(b: Bench, guest: InstanceId, kind: str) -> Path:
    return b.settings.default.instances_path / guest / FILES[kind]


def sizes(b: Bench, guest: InstanceId) -> dict[str, int]:
    """Of the disks that are there, in bytes."""
    if isinstance(b.driver, FakeDriver):
        return b.driver.hypervisor.guests[guest].local_disks
    return {kind: path(b, guest, kind).stat().st_size for kind in FILES if path(b, guest, kind).exists()}


def mark(b: Bench, guest: InstanceId) -> None:
    """What a guest would write on its ephemeral disk; a fake one has no contents."""
    if not isinstance(b.driver, FakeDriver):
        with path(b, guest, EPHEMERAL).open("r+b") as file:
            file.seek(GIB - 4096)
            file.write(b"marked")


def is_marked(b: Bench, guest: InstanceId) -> bool | None:
    if isinstance(b.driver, FakeDriver):
        return None
    with path(b, guest, EPHEMERAL).open("rb") as file:
        file.seek(GIB - 4096)
        return file.read(6) == b"marked"


async def given(b: Bench, guest: InstanceId) -> list[str] | None:
    """The files of the guest's disks, in their order; None on the fake."""
    if not isinstance(b.driver, LibvirtDriver):
        return None
    domain = await (await b.driver.proxy()).lookupByUUIDString(guest)
    sources = etree.fromstring(await domain.XMLDesc(0)).iterfind("devices/disk/source")
    return [Path(source.get("file", "")).name for source in sources]


def label(ext4: Path) -> bytes:
    with ext4.open("rb") as file:
        file.seek(1024 + 0x78)
        return file.read(16).rstrip(b"\0")


def local(b: Bench) -> LocalDisks:
    return present(b.driver.local_disks)


def resizing(b: Bench) -> Resizing:
    return RESIZING.of(b.driver)


async def built(b: Bench) -> Instance:
    guest = b.instance(flavor=of())
    await b.build(guest)
    return guest


def test_a_guest_has_them_formatted_behind_its_root_disk(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance(flavor=of())
        await b.driver.ensure_disks(guest, b.base)
        assert sizes(b, guest.id) == BOTH
        await b.build(guest)
        assert await given(b, guest.id) in (["disk", "disk.eph0", "disk.swap", "disk.config"], None)
        if not isinstance(b.driver, FakeDriver):
            swap, ephemeral = path(b, guest.id, SWAP).read_bytes(), path(b, guest.id, EPHEMERAL)
            assert swap[4086:4096] == b"SWAPSPACE2"
            assert label(ephemeral) == b"ephemeral0"
            assert {p.stat().st_mode & 0o777 for p in (path(b, guest.id, SWAP), ephemeral)} == {0o600}
            assert ephemeral.stat().st_blocks * 512 < 64 * MIB
        mark(b, guest.id)
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        assert await b.power(guest.id) is PowerState.RUNNING
        assert is_marked(b, guest.id) in (True, None)
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def test_a_server_that_is_rescued_does_without(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        rescued = replace(guest, rescue_image=ImageRef(ImageId("rescue"), "qcow2", 1, 1, "sum"))
        await RESCUE_DISKS.of(b.driver).make_disk(guest, b.base)
        await b.driver.define(rescued)
        assert await given(b, guest.id) in (["disk.rescue", "disk", "disk.config"], None)
        await b.driver.define(guest)
        assert await given(b, guest.id) in (["disk", "disk.eph0", "disk.swap", "disk.config"], None)
        await b.tear_down(guest)

    case.run(test)


def test_they_become_what_another_flavor_says_and_go_back(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        larger = replace(guest, flavor=of(2, 32))
        mark(b, guest.id)
        for _ in range(2):
            await local(b).keep(guest.id, "a")
            await resizing(b).keep_disk(guest.id, "a")
            await local(b).fit(larger)
            assert sizes(b, guest.id) == {EPHEMERAL: 2 * GIB, SWAP: 32 * MIB}
            assert is_marked(b, guest.id) in (True, None)
        for _ in range(2):
            await resizing(b).restore_disk(guest.id, "a")
            await local(b).restore(guest, "a")
            assert sizes(b, guest.id) == BOTH
            assert is_marked(b, guest.id) in (True, None)
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def test_they_come_with_a_flavor_that_has_them_and_go_with_one_that_has_not(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await local(b).keep(guest.id, "a")
        await resizing(b).keep_disk(guest.id, "a")
        await local(b).fit(replace(guest, flavor=of()))
        assert sizes(b, guest.id) == BOTH
        await local(b).restore(guest, "a")
        assert sizes(b, guest.id) == {}
        await b.tear_down(guest)

    case.run(test)


def test_what_the_next_flavor_has_brought_is_not_kept_under_a_guest_that_runs(case: Case) -> None:
    """A resize that is replayed after the guest was started finds its new ephemeral disk."""

    async def test(b: Bench) -> None:
        guest = b.instance()
        larger = replace(guest, flavor=of())
        await b.build(guest)
        for _ in range(2):
            await local(b).keep(guest.id, "a")
            await resizing(b).keep_disk(guest.id, "a")
            await local(b).fit(larger)
            await b.driver.define(larger)
            await b.driver.power_on(guest.id, "m")
        await b.driver.power_off(guest.id)
        await resizing(b).restore_disk(guest.id, "a")
        await local(b).restore(guest, "a")
        assert sizes(b, guest.id) == {}
        await b.tear_down(guest)

    case.run(test)


def test_a_copy_goes_with_that_of_the_root_disk(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        await local(b).keep(guest.id, "a")
        await resizing(b).keep_disk(guest.id, "a")
        await resizing(b).drop_kept_disk(guest.id)
        assert not [file for file in b.files() if "kept" in file.name]
        await local(b).restore(guest, "a")
        assert sizes(b, guest.id) == BOTH
        await b.tear_down(guest)

    case.run(test)


def test_a_rebuild_makes_them_anew(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        mark(b, guest.id)
        await DISK_REPLACEMENT.of(b.driver).replace_root_disk(guest, b.base)
        assert sizes(b, guest.id) == BOTH
        assert is_marked(b, guest.id) in (False, None)
        await b.tear_down(guest)

    case.run(test)


def test_those_of_a_guest_that_is_not_off_are_left_alone(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = await built(b)
        await b.driver.power_on(guest.id, "m")
        await local(b).fit(guest)  # there is nothing to be done
        with pytest.raises(HypervisorError, match="not off"):
            await local(b).fit(replace(guest, flavor=of(1, 128)))
        with pytest.raises(HypervisorError, match="not off"):
            await local(b).keep(guest.id, "a")
        assert sizes(b, guest.id) == BOTH
        await b.tear_down(guest)

    case.run(test)


def test_a_server_of_a_time_before_there_were_any_gets_them_with_its_next_definition(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.define(replace(guest, flavor=of()))
        assert sizes(b, guest.id) in (BOTH, {})  # {}: no fake guest is of that time
        await b.tear_down(guest)

    case.run(test)
