# SPDX-License-Identifier: Apache-2.0
"""Taking bytes into a store: written, confirmed and inspected, or nothing of them remains."""

from collections.abc import AsyncIterator

from kilonova.images.store import Confirm, ImageStore
from kilonova.objects.ids import ImageId
from kilonova.objects.image import SavedImage


async def take_in(
    store: ImageStore,
    image_id: ImageId,
    chunks: AsyncIterator[bytes],
    *,
    max_bytes: int,
    disk_format: str,
    confirm: Confirm,
) -> SavedImage:
    """The stored image, with the virtual size that its bytes have in the declared format.

    Raises what ImageStore.write raises, and ImageUnacceptable for bytes of another format; the store has no file then.
    """
    stored = await store.write(image_id, chunks, max_bytes, confirm)
    try:
        empty = stored.size == 0 and disk_format == "raw"  # (a valid image from which no server boots)
        virtual_size = 0 if empty else await store.inspect(image_id, disk_format)
    except BaseException:
        await store.delete(image_id)
        raise
    return SavedImage(stored.size, virtual_size, stored.md5, stored.sha512)
