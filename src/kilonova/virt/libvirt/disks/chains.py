# SPDX-License-Identifier: Apache-2.0
"""The backing chains of guests' disks, with every file named. A disk's own header is never followed: a guest that has
broken out of its QEMU can write there. When a disk is made, its base is recorded where no QEMU can write (`Records`).
libvirt knows the files that other tools have put on the disk (see active). Each header is compared with both before the
file is used. Everything here blocks.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from kilonova.base.errors import DiskUnusable
from kilonova.base.files import open_plain, remove_files, replace_file
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.disks.qcow2 import Header, read_header
from kilonova.virt.libvirt.domain.active import Definition, layers_above
from kilonova.virt.libvirt.xml.domain import Disk
from kilonova.virt.libvirt.xml.layer import Layer

log = structlog.get_logger(__name__)

FORMATS = ("qcow2", "raw")


class Records:
    """The recorded bases of the disks that we made: one small file per guest under `root`, which this service owns."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, instance_id: InstanceId) -> Path:
        return self.root / f"{instance_id}.json"

    def _read(self, instance_id: InstanceId) -> dict[str, list[list[str]]]:
        try:
            return json.loads(self._path(instance_id).read_bytes())
        except FileNotFoundError:
            return {}

    def bases(self, instance_id: InstanceId, name: str) -> tuple[Layer, ...]:
        """The possible bases of the disk called `name`: one file, or two files while the disk is being replaced."""
        return tuple(Layer(path, form) for path, form in self._read(instance_id).get(name, []))

    def expect(self, instance_id: InstanceId, name: str, bases: Iterable[Layer]) -> None:
        """Record that the disk has one of these bases; the record is on stable storage when this returns."""
        known = self._read(instance_id)
        wanted = [[layer.path, layer.format] for layer in dict.fromkeys(bases)]
        if known.get(name) != wanted:
            document = json.dumps({**known, name: wanted}).encode()
            replace_file(self._path(instance_id), document, directory_mode=0o700)

    def guests(self) -> frozenset[InstanceId]:
        """The guests that have a record."""
        return frozenset(InstanceId(path.stem) for path in self.root.glob("*.json"))

    def forget(self, instance_id: InstanceId) -> None:
        """Remove the record: the guest has no disk."""
        remove_files((self._path(instance_id),))


class Chains:
    """Disks as libvirt and tools receive them. `cache` is the directory of checked images."""

    def __init__(self, records: Records, cache: Path) -> None:
        self._records, self._cache = records, cache

    def followed(self, instance_id: InstanceId, wanted: Sequence[Disk], found: Definition | None) -> tuple[Disk, ...]:
        """The disks that the record requires, with the files that libvirt has for them and all files below, each
        checked. Raises DiskMoved, and DiskUnusable for a file that cannot be read or differs from its record."""
        return tuple(disk if disk.read_only else self._followed(instance_id, disk, found) for disk in wanted)

    def _followed(self, instance_id: InstanceId, disk: Disk, found: Definition | None) -> Disk:
        is_root = os.path.basename(disk.path) == "disk"
        above = layers_above(instance_id, found, disk.path, None if is_root else disk.target)
        own = Layer(disk.path, disk.format)
        layers = (*above, own, *self._below(instance_id, own))
        for layer, below in zip(layers, (*layers[1:], None), strict=True):
            _check(layer, below)
        return replace(disk, path=layers[0].path, format=layers[0].format, backing=layers[1:])

    def _below(self, instance_id: InstanceId, disk: Layer) -> tuple[Layer, ...]:
        """The files below a disk, by its record. A disk that was made before records existed gets a record now, if its
        base is a checked image, or if it has no base."""
        if disk.format != "qcow2":
            return ()
        name = os.path.basename(disk.path)
        bases = self._records.bases(instance_id, name)
        header = _header(disk)
        if header is None:
            if len(bases) == 1:
                return bases
            raise _unusable(disk.path, "cannot be read: permission denied")
        if _names(header, disk, None):
            return ()  # other tools have merged its base into it: a file that refers to none is harmless
        for base in bases:
            if _names(header, disk, base):
                return (base,)
        base = None if bases or header.has_data_file else self._cached(header.backing or "")
        if base is None:
            raise _mismatch(disk, header, bases[0] if bases else None)
        self._records.expect(instance_id, name, [base])
        log.info("the base of a disk was recorded", instance=instance_id, disk=name, base=base.path)
        return (base,)

    def _cached(self, path: str) -> Layer | None:
        form = path.rpartition(".")[2]
        return Layer(path, form) if os.path.dirname(path) == str(self._cache) and form in FORMATS else None


def options(disk: Disk) -> str:
    """The disk for a tool: every file and format is named, so that the tool searches for no file."""
    return "json:" + json.dumps(_node((Layer(disk.path, disk.format), *disk.backing)))


def _node(layers: Sequence[Layer]) -> dict[str, Any]:
    top, *below = layers
    node: dict[str, Any] = {"driver": top.format, "file": {"driver": "file", "filename": top.path}}
    return node if top.format == "raw" else {**node, "backing": _node(below) if below else None}


def files(disk: Disk) -> tuple[str, ...]:
    """Every file of the disk."""
    return (disk.path, *(layer.path for layer in disk.backing))


def check_base(base: Layer) -> None:
    """Require that an image that is to be a base has no base itself. Raises DiskUnusable."""
    _check(base, None)


def _check(layer: Layer, below: Layer | None) -> None:
    if layer.format not in FORMATS or (layer.format == "raw" and below is not None):
        raise _unusable(layer.path, f"has the recorded format {layer.format}: a disk of this format is not used")
    header = _header(layer)
    if header is not None and layer.format == "qcow2" and not _names(header, layer, below):
        raise _mismatch(layer, header, below)


def _names(header: Header, layer: Layer, below: Layer | None) -> bool:
    if header.has_data_file:
        return False
    if below is None or header.backing is None:
        return below is None and header.backing is None
    named = os.path.realpath(os.path.join(os.path.dirname(layer.path), header.backing))
    return named == os.path.realpath(below.path) and header.backing_format in ("", below.format)


def _unusable(path: str, why: str) -> DiskUnusable:
    """The guest's owner sees only the file's name; its path is for the log."""
    return DiskUnusable(f"{os.path.basename(path)} {why}.", path=path)


def _mismatch(layer: Layer, header: Header, below: Layer | None) -> DiskUnusable:
    known = "nothing" if below is None else os.path.basename(below.path)
    return DiskUnusable(
        f"{os.path.basename(layer.path)} was made on {known}, and its header says otherwise: it is not used.",
        path=layer.path,
        header=header.backing,
        data_file=header.has_data_file,
    )


def _header(layer: Layer) -> Header | None:
    """The header of a qcow2 file; an empty header for a raw file that can be read. None where only the hypervisor may
    read the file."""
    try:
        with open_plain(layer.path) as file:
            if layer.format != "qcow2":
                file.read(1)
                return Header(0, None, "", has_data_file=False)
            return read_header(file)
    except PermissionError:
        return None
    except OSError as exc:
        raise _unusable(layer.path, f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise _unusable(layer.path, f"cannot be used: {exc}") from exc


def virtual_size(disk: Disk) -> int:
    """The size that the guest sees, in bytes. Raises DiskUnusable."""
    header = _header(Layer(disk.path, disk.format))
    if header is None:
        raise _unusable(disk.path, "cannot be read: permission denied")
    return header.virtual_size
