# SPDX-License-Identifier: Apache-2.0
"""A guest's disks and name as libvirt has them.

A snapshot, a block copy or a rename by other tools changes them: they are read from libvirt, and no path or name is
constructed where the domain has one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import libvirt
from lxml import etree

from kilonova.base.errors import DiskMoved
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.xml.domain import Element
from kilonova.virt.libvirt.xml.layer import Layer

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


@dataclass(frozen=True, slots=True)
class Active:
    """A disk that the guest writes to: the files of its chain as far as libvirt names them, the active one first.
    Empty for a disk that is not a file."""

    target: str
    layers: tuple[Layer, ...]

    def above(self, path: str) -> tuple[Layer, ...] | None:
        """The files that lie above `path`: none of them when it is the active one; None when it is not in the chain."""
        for at, layer in enumerate(self.layers):
            if _same(layer.path, path):
                return self.layers[:at]
        return None


@dataclass(frozen=True, slots=True)
class Definition:
    """The disks that a running domain uses, or with which a domain that is off would start."""

    name: str
    disks: tuple[Active, ...]

    def above(self, path: str) -> tuple[Layer, ...] | None:
        """The files above a file, in the disk whose chain has it; None when no disk has it."""
        found = (disk.above(path) for disk in self.disks)
        return next((layers for layers in found if layers is not None), None)

    def target_of(self, path: str) -> str | None:
        """The guest's device whose chain has the file."""
        return next((disk.target for disk in self.disks if disk.above(path) is not None), None)


def _same(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def of(domain: libvirt.virDomain | None) -> Definition | None:
    """One read.  Blocks."""
    if domain is None:
        return None
    return parse(domain.XMLDesc(0 if domain.isActive() else libvirt.VIR_DOMAIN_XML_INACTIVE))


def parse(document: str) -> Definition:
    """Read the disks from a domain's document."""
    root = etree.fromstring(document, _PARSER)
    disks = [disk for disk in root.iterfind("devices/disk") if _is_written(disk)]
    return Definition(root.findtext("name", ""), tuple(map(_active, disks)))


def _is_written(disk: Element) -> bool:
    return disk.get("device", "disk") == "disk" and disk.find("readonly") is None


def _active(disk: Element) -> Active:
    target, driver = disk.find("target"), disk.find("driver")
    layers: list[Layer] = []
    place: Element | None = disk
    kind = "raw" if driver is None else driver.get("type", "raw")
    while place is not None and place.get("type") == "file":
        source = place.find("source")
        if source is None or source.get("file") is None:
            break
        layers.append(Layer(source.get("file", ""), kind))
        place = place.find("backingStore")
        form = None if place is None else place.find("format")
        kind = "raw" if form is None else form.get("type", "raw")
    return Active("" if target is None else target.get("dev", ""), tuple(layers))


def layers_above(instance_id: InstanceId, found: Definition | None, path: str, target: str | None) -> Sequence[Layer]:
    """The files that other tools have put on a disk of this service: the one rule by which libvirt's definition and the
    record are compared.

    `target` is the device by which a disk that the domain need not have would be replaced; None for the root disk,
    which each domain of ours has.  Raises DiskMoved when `path` is not in the chain of the guest's disk.
    """
    if found is None or not found.disks:
        return ()
    above = found.above(path)
    if above is not None:
        return above
    ours = os.path.dirname(path)
    strangers = [disk for disk in found.disks if not any(os.path.dirname(one.path) == ours for one in disk.layers)]
    for disk in found.disks if target is None else strangers:
        if target in (None, disk.target):
            now = disk.layers[0].path if disk.layers else ""
            raise DiskMoved(
                f"Guest {instance_id} was given another disk {disk.target} by other tools, which does not lie on the "
                "one that was made for it: nothing is done to it.",
                path=path,
                active=now,
            )
    return ()


def require_own(instance_id: InstanceId, found: Definition | None, path: str) -> None:
    """Raises DiskMoved unless the active file of the root disk is `path` itself."""
    if above := layers_above(instance_id, found, path, None):
        raise DiskMoved(
            f"Guest {instance_id} writes to {os.path.basename(above[0].path)}, a snapshot by other tools, and not to "
            f"{os.path.basename(path)}: it must be merged first (virsh blockcommit --active --pivot).",
            path=path,
            active=above[0].path,
        )
