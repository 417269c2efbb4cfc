# SPDX-License-Identifier: Apache-2.0
"""Whether a flavor and an image can be one server."""

from collections.abc import Mapping

from kilonova.base.errors import InvalidInput
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import conflicts


def check_hardware(flavor: Flavor, properties: Mapping[str, str], path: str) -> None:
    """What they ask for can be given together.  Raises InvalidInput that names the field `path`."""
    said = conflicts(flavor, properties)
    if said:
        raise InvalidInput(f"The flavor and the image do not fit: {'; '.join(said)}.", path=path)


def check_rescue(properties: Mapping[str, str], path: str) -> None:
    """The rescue disk is a virtio disk, the first one.  Raises InvalidInput for an image that asks for another."""
    for name, given in (("hw_rescue_bus", "virtio"), ("hw_rescue_device", "disk")):
        if properties.get(name, given) != given:
            raise InvalidInput(
                f"The image asks for what no rescued server gets here: {name}={properties[name]} (only {given}).",
                path=path,
            )
