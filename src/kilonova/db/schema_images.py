# SPDX-License-Identifier: Apache-2.0
"""The tables of images, and of the image stores of a fleet.  Private to this room."""

import sqlalchemy as sa

from kilonova.db.schema_base import id_column as _id
from kilonova.db.schema_base import metadata
from kilonova.db.schema_base import time_column as _time

images = sa.Table(
    "images",
    metadata,
    _id(),
    sa.Column("name", sa.String(255)),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("visibility", sa.String(16), nullable=False),
    _time("created_at"),
    sa.Column("body", sa.JSON, nullable=False),
)

# The projects with which an image is shared.
image_members = sa.Table(
    "image_members",
    metadata,
    sa.Column("image_id", sa.String(36), sa.ForeignKey("images.id"), primary_key=True),
    sa.Column("project_id", sa.String(64), primary_key=True, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    _time("created_at"),
    _time("updated_at"),
)

# Ids of deleted images that had bytes.  Servers may still refer to them, so no new image may have such an id.
deleted_images = sa.Table("deleted_images", metadata, _id())

# One row per API process that serves a store: its URL identifies it.
image_stores = sa.Table(
    "image_stores",
    metadata,
    sa.Column("url", sa.String(255), primary_key=True),
    sa.Column("store_id", sa.String(36), nullable=False),
    sa.Column("process_id", sa.String(36), nullable=False),
    _time("seen_at"),
    sa.Column("is_full", sa.Boolean, nullable=False),
)

# No reference to `images`: a store finds here also the copies of an image that another process deletes now.
image_copies = sa.Table(
    "image_copies",
    metadata,
    sa.Column("image_id", sa.String(36), primary_key=True),
    sa.Column("store_id", sa.String(36), primary_key=True),
    sa.Column("doubted", sa.Boolean, nullable=False),
)
