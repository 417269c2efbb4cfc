# SPDX-License-Identifier: Apache-2.0
"""Whether the hardware of a flavor and that of an image fit together."""

from collections.abc import Mapping

from kilonova.base.errors import InvalidInput
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import conflicts


def check_hardware(flavor: Flavor, properties: Mapping[str, str], path: str) -> None:
    """Check that flavor and image do not conflict.  Raises InvalidInput with the field `path`."""
    conflicting = conflicts(flavor, properties)
    if conflicting:
        raise InvalidInput(f"The flavor and the image do not fit: {'; '.join(conflicting)}.", path=path)


def check_rescue(properties: Mapping[str, str], path: str) -> None:
    """Check that the image fits the rescue disk, which is the first virtio disk.  Raises InvalidInput."""
    for name, given in (("hw_rescue_bus", "virtio"), ("hw_rescue_device", "disk")):
        if properties.get(name, given) != given:
            raise InvalidInput(
                f"A rescued server does not support this image property: {name}={properties[name]} (only {given}).",
                path=path,
            )
