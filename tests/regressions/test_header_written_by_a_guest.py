# SPDX-License-Identifier: Apache-2.0
"""A guest that breaks out of its QEMU can write into the header of its own disk.  `qemu-img convert` followed the
backing file that it named there, and a file of the host's came back as an image."""

import struct
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from kilonova.base.errors import DiskUnusable, HypervisorError
from kilonova.base.tools import Files, run_limited
from kilonova.objects.instance import Instance
from kilonova.virt.capabilities import DISK_REPLACEMENT, RESCUE_DISKS, RESIZING, SNAPSHOTS
from kilonova.virt.libvirt.disks import chains
from kilonova.virt.libvirt.disks.qcow2 import read_header
from kilonova.virt.libvirt.driver import LibvirtDriver
from kilonova.virt.libvirt.xml.domain import Disk
from kilonova.virt.libvirt.xml.layer import Layer
from tests.contract.drivers import Bench, libvirt_test_case, present

SECRET = b"the key of all tokens".ljust(512, b".")


def on_libvirt(directory: Path, test: Callable[[Bench, Instance, Path], Awaitable[None]], **changes: object) -> None:
    async def main(b: Bench) -> None:
        guest = b.instance(**changes)
        guest = replace(guest, flavor=replace(guest.flavor, disk_gib=1))
        await b.build(guest)
        await test(b, guest, b.settings.default.instances_path / guest.id / "disk")

    case = libvirt_test_case(directory)
    (directory / "token.key").write_bytes(SECRET)
    case.run(main)


def rebase(disk: Path, on: str, form: str = "raw") -> None:
    argv = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", form, "-b", on, str(disk)]
    subprocess.run(argv, check=True, timeout=30)


def set_data_file(disk: Path) -> None:
    """The bit of the header that says that the data are in another file."""
    with disk.open("r+b") as file:
        file.seek(72)
        (features,) = struct.unpack(">Q", file.read(8))
        file.seek(72)
        file.write(struct.pack(">Q", features | 1 << 2))


def lies_on_a_secret(disk: Path) -> None:
    rebase(disk, str(disk.parents[2] / "token.key"))


def lies_on_a_description(disk: Path) -> None:
    key = disk.parents[2] / "token.key"
    rebase(disk, f'json:{{"driver": "raw", "file": {{"driver": "file", "filename": "{key}"}}}}')


def is_a_link(disk: Path) -> None:
    """To the disk of another guest, say: made on the same image."""
    others = disk.parents[2] / "others"
    disk.rename(others)
    disk.symlink_to(others)


def lies_on_its_base_as_raw(disk: Path) -> None:
    rebase(disk, str(disk.parents[2] / "base.qcow2"), "raw")


def is_cut_off(disk: Path) -> None:
    disk.write_bytes(disk.read_bytes()[:40])


@pytest.mark.parametrize(
    "attack",
    [lies_on_a_secret, lies_on_a_description, set_data_file, is_a_link, lies_on_its_base_as_raw, is_cut_off],
)
def test_a_disk_that_refers_to_what_it_was_not_made_on_is_used_for_nothing(
    tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    async def test(b: Bench, guest: Instance, disk: Path) -> None:
        attack(disk)
        for use in (
            SNAPSHOTS.of(b.driver).take(guest.id, "one", 60.0),
            b.driver.define(guest),
            RESIZING.of(b.driver).keep_disk(guest.id, "a"),
            RESIZING.of(b.driver).grow_disk(guest.id, 3),
            RESCUE_DISKS.of(b.driver).make_disk(guest, b.base),
            present(b.driver.disk_checks).check(guest),
        ):
            with pytest.raises(DiskUnusable):
                await use
        assert not any(SECRET in path.read_bytes() for path in b.files() if path.is_file() and not path.is_symlink())
        await DISK_REPLACEMENT.of(b.driver).replace_root_disk(guest, b.base)  # its owner can have another one
        await b.driver.define(guest)
        await b.tear_down(guest)
        assert b.files() == []

    on_libvirt(tmp_path, test)


def test_the_reason_tells_its_owner_no_path_of_the_hosts(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance, disk: Path) -> None:
        lies_on_a_secret(disk)
        with pytest.raises(DiskUnusable, match=r"disk was made on base\.qcow2, and its header says otherwise") as told:
            await b.driver.define(guest)
        assert told.value.details["header"] == str(tmp_path / "token.key")
        assert str(tmp_path) not in told.value.message  # its owner hears it

    on_libvirt(tmp_path, test)


def test_a_tool_opens_no_file_that_a_header_names(tmp_path: Path) -> None:
    """What an attack after the look could reach: nothing, since the chain is told, and since no other file is seen."""

    async def test(_b: Bench, _guest: Instance, disk: Path) -> None:
        stated = Disk(str(disk), "vda", "qcow2", backing=(Layer(str(tmp_path / "base.qcow2"), "qcow2"),))
        lies_on_a_secret(disk)
        out = tmp_path / "out"
        out.touch()
        argv = ["qemu-img", "convert", "-O", "qcow2", chains.options(stated), str(out)]
        await run_limited(argv, limit_s=30, files=Files(chains.files(stated), [str(out)]))
        assert SECRET not in out.read_bytes()
        by_header = ["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", str(disk), str(out)]
        with pytest.raises(HypervisorError, match="Permission denied"):
            await run_limited(by_header, limit_s=30, files=Files([str(disk)], [str(out)]))
        assert SECRET not in out.read_bytes()

    on_libvirt(tmp_path, test)


def test_the_definition_states_each_chain_to_its_end(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance, _disk: Path) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        domain = await (await b.driver.proxy()).lookupByUUIDString(guest.id)
        disks = etree.fromstring(await domain.XMLDesc(0)).findall("devices/disk")
        assert len(disks) == 2
        for disk in disks:
            last = list(disk.iter("backingStore"))[-1]
            assert (last.get("type"), len(last)) == (None, 0)
        assert [s.get("file") for s in disks[0].iterfind("backingStore/source")] == [str(b.base.path)]

    on_libvirt(tmp_path, test)


def test_a_disk_of_before_there_were_records_gets_one_if_it_lies_on_a_cached_image(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance, disk: Path) -> None:
        record = b.settings.default.state_path / "chains" / f"{guest.id}.json"
        record.unlink()
        with pytest.raises(DiskUnusable):
            await b.driver.define(guest)
        cached = b.settings.default.instances_path / "_base" / "1.qcow2"
        cached.parent.mkdir()
        cached.write_bytes(b.base.path.read_bytes())
        rebase(disk, str(cached), "qcow2")
        await b.driver.define(guest)
        assert str(cached) in record.read_text()
        lies_on_a_secret(disk)
        with pytest.raises(DiskUnusable):
            await b.driver.define(guest)

    on_libvirt(tmp_path, test)


def test_the_record_goes_with_the_disks_and_is_nobody_elses(tmp_path: Path) -> None:
    async def test(b: Bench, guest: Instance, _disk: Path) -> None:
        directory = b.settings.default.state_path / "chains"
        assert directory.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in directory.iterdir()] == [f"{guest.id}.json"]
        await b.tear_down(guest)
        assert list(directory.iterdir()) == []

    on_libvirt(tmp_path, test)


def test_a_disk_that_is_being_replaced_is_known_by_either_base(tmp_path: Path) -> None:
    """The process may die between the record and the disk."""

    async def test(b: Bench, guest: Instance, disk: Path) -> None:
        known = chains.Records(b.settings.default.state_path / "chains")
        (old,) = known.bases(guest.id, "disk")
        known.expect(guest.id, "disk", [Layer("/elsewhere", "raw"), old])
        await b.driver.define(guest)
        rebase(disk, "/elsewhere", "raw")
        with pytest.raises(DiskUnusable, match="elsewhere cannot be read: No such file"):
            await b.driver.define(guest)

    on_libvirt(tmp_path, test)


@pytest.mark.parametrize("name", ["console.log", "snapshot-one", "disk.config"])
def test_a_link_in_a_guests_directory_shows_no_file_of_the_hosts(tmp_path: Path, name: str) -> None:
    async def test(b: Bench, guest: Instance, disk: Path) -> None:
        disk.with_name(name).unlink(missing_ok=True)
        disk.with_name(name).symlink_to(tmp_path / "token.key")
        if name == "snapshot-one":
            with pytest.raises(HypervisorError):
                await anext(SNAPSHOTS.of(b.driver).read(guest.id, "one"))
        elif name == "console.log":
            with pytest.raises(HypervisorError):
                await b.driver.console_output(guest.id, 1000)
        else:
            await b.driver.ensure_config_drive(guest, {"a": b"b"})
            assert not disk.with_name(name).is_symlink()
        assert (tmp_path / "token.key").read_bytes() == SECRET

    on_libvirt(tmp_path, test)


def test_what_a_header_says(tmp_path: Path) -> None:
    def make(*words: str) -> Path:
        path = tmp_path / "one"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, str(path), "3M"], check=True, timeout=30)
        return path

    for compat in ("0.10", "1.1"):
        with make("-o", f"compat={compat}").open("rb") as file:
            header = read_header(file)
        assert (header.virtual_size, header.backing, header.has_data_file) == (3 << 20, None, False)
        with make("-u", "-o", f"compat={compat}", "-b", "/below", "-F", "raw").open("rb") as file:
            header = read_header(file)
        assert (header.backing, header.backing_format) == ("/below", "raw")
    with make("-o", f"data_file={tmp_path}/data").open("rb") as file:
        assert read_header(file).has_data_file
    for broken in (b"", b"QFI\xfb", b"x" * 200, b"QFI\xfb" + b"\xff" * 200):
        (tmp_path / "broken").write_bytes(broken)
        with (tmp_path / "broken").open("rb") as file, pytest.raises(ValueError, match=r"it is|beyond"):
            read_header(file)
