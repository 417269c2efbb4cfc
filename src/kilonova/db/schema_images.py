# SPDX-License-Identifier: Apache-2.0
"""The tables of the image stores of a fleet.  Private to this room."""

import sqlalchemy as sa

from kilonova.db.schema_base import metadata
from kilonova.db.schema_base import time_column as _time

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
