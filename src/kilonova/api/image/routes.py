# SPDX-License-Identifier: Apache-2.0
"""The routes of Image v2, with the names of Glance's policies."""

from kilonova.api import versions
from kilonova.api.http.route import Service
from kilonova.api.image import image_data, images, listing, members, schemas, upload_quota

ROUTES = (
    versions.IMAGE_ROUTE,
    *listing.ROUTES,
    *images.ROUTES,
    *image_data.ROUTES,
    *members.ROUTES,
    *upload_quota.ROUTES,
    *schemas.ROUTES,
)

SERVICE = Service("/image/v2", ROUTES)
