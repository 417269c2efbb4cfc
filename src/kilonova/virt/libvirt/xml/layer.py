# SPDX-License-Identifier: Apache-2.0
"""One file of a disk's chain, and a chain in a domain's document."""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree


@dataclass(frozen=True, slots=True)
class Layer:
    """One file.  Its format is stated, never read from the file."""

    path: str
    format: str


def backing_store(layers: Sequence[Layer]) -> etree._Element:  # pyright: ignore[reportPrivateUsage] - no public name
    """The files below a disk, the uppermost first, with the element that ends the chain: without that element libvirt
    searches the files' own headers for more (libvirt, formatdomain, "backingStore")."""
    if not layers:
        return etree.Element("backingStore")
    box = etree.Element("backingStore", {"type": "file"})
    etree.SubElement(box, "format", {"type": layers[0].format})
    etree.SubElement(box, "source", {"file": layers[0].path})
    box.append(backing_store(layers[1:]))
    return box
