# SPDX-License-Identifier: Apache-2.0
"""Quotas, aggregates, flavors for some projects only."""

from collections import Counter, defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "aggregates",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregates")),
        sa.UniqueConstraint("name", name=op.f("uq_aggregates_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_aggregates_uuid")),
    )
    op.create_table(
        "quota_usages",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("ram", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_quota_usages")),
    )
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=32), nullable=False),
        sa.Column("hard_limit", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name=op.f("pk_quotas")),
    )
    op.create_table(
        "aggregate_hosts",
        sa.Column("aggregate_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["aggregate_id"], ["aggregates.id"], name=op.f("fk_aggregate_hosts_aggregate_id")),
        sa.PrimaryKeyConstraint("aggregate_id", "host", name=op.f("pk_aggregate_hosts")),
    )
    op.create_table(
        "flavor_access",
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavors.id"], name=op.f("fk_flavor_access_flavor_id")),
        sa.PrimaryKeyConstraint("flavor_id", "project_id", name=op.f("pk_flavor_access")),
    )
    _count_what_is_there()


_PROJECTS = sa.table("projects", sa.column("id"))
_INSTANCES = sa.table("instances", sa.column("project_id"), sa.column("flavor", sa.JSON), sa.column("deleted_at"))
_QUOTAS = sa.table("quotas", sa.column("project_id"), sa.column("resource"), sa.column("hard_limit"))
_USAGES = sa.table(
    "quota_usages", sa.column("project_id"), sa.column("instances"), sa.column("cores"), sa.column("ram")
)
_UNLIMITED = {"instances": -1, "cores": -1, "ram": -1}


def _count_what_is_there() -> None:
    """Projects that existed before quotas have no limits; their usage is counted."""
    connection = op.get_bind()
    for project in connection.execute(sa.select(_PROJECTS.c.id)).scalars().all():
        for resource, limit in _UNLIMITED.items():
            connection.execute(sa.insert(_QUOTAS).values(project_id=project, resource=resource, hard_limit=limit))
    used: dict[str, Counter[str]] = defaultdict(Counter)
    alive = sa.select(_INSTANCES.c.project_id, _INSTANCES.c.flavor).where(_INSTANCES.c.deleted_at.is_(None))
    for project, flavor in connection.execute(alive):
        used[project].update(instances=1, cores=flavor["vcpus"], ram=flavor["memory_mib"])
    for project, counted in used.items():
        connection.execute(sa.insert(_USAGES).values(project_id=project, **counted))
