# SPDX-License-Identifier: Apache-2.0
"""Elements of libvirt's documents."""

from lxml import etree

Element = etree._Element  # pyright: ignore[reportPrivateUsage] - lxml gives the type no public name


def element(parent: Element, tag: str, text: str | int | None = None, **attributes: str | int) -> Element:
    """A new last child of `parent`."""
    made = etree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        made.text = str(text)
    return made
