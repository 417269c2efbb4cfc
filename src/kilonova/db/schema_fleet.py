# SPDX-License-Identifier: Apache-2.0
"""The tables through which several conductors agree.  Private to this room."""

import sqlalchemy as sa

from kilonova.db.schema_base import metadata
from kilonova.db.schema_base import time_column as _time

# Periodic work that one conductor does for all: who did it last, and when.  `serial` counts the rounds.
rounds = sa.Table(
    "rounds",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    _time("at"),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
)

# Hosts from which a conductor receives nothing, while another one may.
suspicions = sa.Table(
    "suspicions",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("holder", sa.String(64), nullable=False),
    _time("at"),
)

# Which other processes claim a host's name: the last refused process, and a conflict of two live processes.
contests = sa.Table(
    "contests",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("claimant", sa.String(64)),
    sa.Column("claimant_boot", sa.String(36)),
    _time("claimed_at", null=True),
    # The epoch of the newest process that lost the host by its silence alone.
    sa.Column("silent_epoch", sa.Integer),
    sa.Column("conflict", sa.Text),
)

# Hosts that an operator has given up, with the newest epoch that each had: later processes of the name get higher ones.
# A row stays until the host is in service again.
forgotten_hosts = sa.Table(
    "forgotten_hosts",
    metadata,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    _time("at"),
)

# The instances that were on a host when it was given up: their copies there must never run again.  `removed_at` is when
# the host has reported that its copy does not exist.
tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("instance_id", sa.String(36), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
    _time("at"),
    _time("removed_at", null=True),
    sa.Index(None, "host"),
)

# One row: the lowest code version that may use the database (see kilonova.db.compatibility).
schema_version = sa.Table(
    "schema_version",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("lowest_code_version", sa.Integer, nullable=False),
)
