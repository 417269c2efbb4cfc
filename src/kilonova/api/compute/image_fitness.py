# SPDX-License-Identifier: Apache-2.0
"""Whether a server can boot from an image, and whether the image fits a flavor."""

from collections.abc import Generator
from contextlib import contextmanager

from kilonova.base.context import RequestContext
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import images as read_images
from kilonova.db.transaction import Snapshot
from kilonova.objects import image_properties
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import ImageId
from kilonova.objects.image import DISK_FORMATS, Image, ImageRef, ImageStatus


@contextmanager
def missing_is_invalid(path: str) -> Generator[None]:
    """A missing reference in a body is 400: turn NotFound into InvalidInput at the field `path`."""
    try:
        yield
    except NotFound as exc:
        raise InvalidInput(exc.message, path=path) from exc


def get_image(snapshot: Snapshot, image_id: str, context: RequestContext, path: str) -> Image:
    """An image that the caller may use.  `path` is the field that names it.  Raises InvalidInput."""
    with missing_is_invalid(path):
        return read_images.get_image(snapshot, ImageId(image_id), context.project_id, admin=context.is_admin)


def bootable(image: Image, path: str) -> ImageRef:
    """The image as a host needs it.  `path` is the field that names it.  Raises InvalidInput."""
    if image.status is not ImageStatus.ACTIVE:
        raise InvalidInput(f"Image {image.id} is not active.", path=path)
    if (
        image.disk_format not in DISK_FORMATS
        or not image.size
        or image.virtual_size is None
        or image.os_hash_value is None
    ):
        what = "is empty" if image.size == 0 else f"is of the format {image.disk_format}"
        raise InvalidInput(f"Image {image.id} {what}: no server can boot from it.", path=path)
    refused = image_properties.refusals(image.properties)
    if refused:
        raise InvalidInput(f"Image {image.id} needs what is not supported here: {'; '.join(refused)}.", path=path)
    return ImageRef(
        image.id,
        image.disk_format,
        image.size,
        image.virtual_size,
        image.os_hash_value,
        min_ram=image.min_ram,
        min_disk=image.min_disk,
        properties=image_properties.kept(image.properties),
    )


def check_sizes(flavor: Flavor, image: Image, ref: ImageRef, path: str) -> None:
    """Check that the image fits the flavor.  Raises InvalidInput with the field `path`."""
    if flavor.memory_mib < image.min_ram:
        raise InvalidInput(
            f"Flavor's memory is too small for requested image: {flavor.memory_mib} MiB, {image.min_ram} are needed.",
            path=path,
        )
    if flavor.disk_gib == 0:  # the disk has the size of the image
        return
    if flavor.disk_gib < image.min_disk or flavor.disk_gib << 30 < ref.virtual_size:
        raise InvalidInput(
            f"Flavor's disk is too small for requested image: {flavor.disk_gib} GiB, "
            f"{max(image.min_disk, ref.virtual_gib)} are needed.",
            path=path,
        )
