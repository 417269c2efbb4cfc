# SPDX-License-Identifier: Apache-2.0
"""POST /os-aggregates/{id}/images, from 2.81: have the hosts of an aggregate fetch images beforehand.

Source: Compute API reference, "Host aggregates", Request Image Pre-caching.
"""

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from kilonova.api.body import Body
from kilonova.api.call import Call, Reply
from kilonova.api.compute import aggregates
from kilonova.api.compute.server_create import bootable, get_image
from kilonova.base.context import RequestContext
from kilonova.objects.image import ImageRef


class Image(Body):
    id: str


class CacheImages(Body):
    cache: Annotated[list[Image], Field(min_length=1, max_length=100)]


async def cache(call: Call, body: CacheImages) -> Reply:
    """202 when the hosts were told; whether they have fetched is seen by how fast their next builds are."""
    aggregate = await aggregates.find(call)
    images = await call.db.read(_images, [one.id for one in body.cache], call.context)
    for host in aggregate.hosts:
        await call.deps.compute.cache_images(host, images)
    return Reply()


def _images(connection: sa.Connection, ids: list[str], context: RequestContext) -> tuple[ImageRef, ...]:
    return tuple(bootable(get_image(connection, id_, context, "cache"), "cache") for id_ in dict.fromkeys(ids))
