# SPDX-License-Identifier: Apache-2.0
"""The quota of a project's images: their number and their total bytes, uploads in progress included.

Each function is part of the transaction that uses the quota, so that only one of two simultaneous requests gets the
last part of it.  Source of the names: Glance's unified limits, image_count_total and image_size_total (in MiB).
"""

from kilonova.base.errors import OverQuota
from kilonova.conductor import image_events
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import images as read_images
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.transaction import Transaction
from kilonova.db.writers import images as write_images
from kilonova.objects.image import Image
from kilonova.objects.quota import UNLIMITED

COUNT, SIZE_MIB = "image_count_total", "image_size_total"


def create(tx: Transaction, image: Image, quotas: QuotaSettings | None) -> None:
    """Record an image.  Raises Conflict, OverQuota; without `quotas` no limit applies."""
    if write_images.create_image(tx, image):
        image_events.created(tx, image)
    if quotas is None:
        return
    limits = read_quotas.limits(tx, quotas.defaults, image.owner)
    most, most_mib = limits[COUNT], limits[SIZE_MIB]
    if most == most_mib == UNLIMITED:
        return
    used = read_images.images_use(tx, image.owner)
    if most != UNLIMITED and used.count > most:
        raise OverQuota(f"The project has {used.count - 1} images already: its quota is {most}.", limit=most)
    if most_mib != UNLIMITED and used.size_bytes >= most_mib << 20:
        raise _too_large(most_mib)


def update(tx: Transaction, image: Image, expected: Image | None, quotas: QuotaSettings | None) -> None:
    """Replace an image's record; additional bytes count against its owner's quota.  Raises NotFound, Conflict,
    OverQuota."""
    before = write_images.update_image(tx, image, expected)
    image_events.changed(tx, before, image)
    if taken(image) > taken(before):
        check_size(tx, image.owner, quotas)


def check_size(tx: Transaction, project_id: str, quotas: QuotaSettings | None) -> None:
    """Raises OverQuota when the project's images, with the changes of this transaction, have too many bytes."""
    if quotas is None:
        return
    most_mib = read_quotas.limits(tx, quotas.defaults, project_id)[SIZE_MIB]
    if most_mib != UNLIMITED and read_images.images_use(tx, project_id).size_bytes > most_mib << 20:
        raise _too_large(most_mib)


def taken(image: Image) -> int:
    """The bytes of an image that count against its owner's quota."""
    return (image.size or 0) + image.reserved


def _too_large(most_mib: int) -> OverQuota:
    return OverQuota(f"The project's images would take more than its quota of {most_mib} MiB.", limit=most_mib)
