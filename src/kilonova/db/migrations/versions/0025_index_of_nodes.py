# SPDX-License-Identifier: Apache-2.0
"""An index of hosts by their node: each registration looks its node up."""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_index(op.f("ix_compute_nodes_node_id"), "compute_nodes", ["node_id"])
