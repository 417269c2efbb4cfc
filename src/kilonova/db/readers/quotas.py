# SPDX-License-Identifier: Apache-2.0
"""Reading quotas and their usage."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from kilonova.db.schema import keypairs, quota_usages, quotas, server_groups
from kilonova.db.transaction import Snapshot
from kilonova.objects.quota import Limits, Usage


def class_key(name: str) -> str:
    """Replaces a project's id in the limits of a quota class; no project can have it."""
    return f"class {name}"


DEFAULT_CLASS = class_key("default")
"""The limits of all projects without their own limits."""

# Built once: building a statement costs more than running it.
_LIMITS = sa.select(quotas.c.project_id, quotas.c.resource, quotas.c.hard_limit).where(
    quotas.c.project_id.in_((sa.bindparam("project"), DEFAULT_CLASS))
)
_USAGE = sa.select(quota_usages.c.instances, quota_usages.c.cores, quota_usages.c.ram).where(
    quota_usages.c.project_id == sa.bindparam("project")
)


@dataclass(frozen=True, slots=True)
class LimitsAndUsage:
    """The limits of a project, and its usage."""

    limits: Limits
    used: Usage
    server_groups: int


def limits_and_usage(snapshot: Snapshot, defaults: Limits, project_id: str) -> LimitsAndUsage:
    """A project's limits and usage, in one snapshot."""
    return LimitsAndUsage(
        limits(snapshot, defaults, project_id),
        usage(snapshot, project_id),
        server_groups_of(snapshot, project_id),
    )


def limits(snapshot: Snapshot, defaults: Limits, project_id: str) -> dict[str, int]:
    """A limit for each resource: the project's own, else an administrator's default, else the one of `defaults`."""
    found: dict[str, dict[str, int]] = {DEFAULT_CLASS: {}, project_id: {}}
    for row in snapshot.execute(_LIMITS, {"project": project_id}):
        found[row.project_id][row.resource] = row.hard_limit
    return {**defaults, **found[DEFAULT_CLASS], **found[project_id]}


def class_limits(snapshot: Snapshot, defaults: Limits, name: str) -> dict[str, int]:
    """A limit for each resource: the class's own, or the one of `defaults`."""
    query = sa.select(quotas.c.resource, quotas.c.hard_limit).where(quotas.c.project_id == class_key(name))
    return {**defaults, **{row.resource: row.hard_limit for row in snapshot.execute(query)}}


def own_limits(snapshot: Snapshot, resources: Collection[str]) -> list[tuple[str, str, int]]:
    """Project, resource and limit, sorted, of every project with its own limit of one of these resources."""
    query = sa.select(quotas.c.project_id, quotas.c.resource, quotas.c.hard_limit).where(
        quotas.c.resource.in_(resources), quotas.c.project_id.not_like(class_key("%"))
    )
    found = snapshot.execute(query.order_by(quotas.c.project_id, quotas.c.resource))
    return [(row.project_id, row.resource, row.hard_limit) for row in found]


def usage(snapshot: Snapshot, project_id: str) -> Usage:
    """The usage of the project's servers."""
    row = snapshot.execute(_USAGE, {"project": project_id}).first()
    return Usage() if row is None else Usage(row.instances, row.cores, row.ram)


def server_groups_of(snapshot: Snapshot, project_id: str) -> int:
    """The number of a project's server groups."""
    query = sa.select(sa.func.count()).select_from(server_groups).where(server_groups.c.project_id == project_id)
    return snapshot.execute(query).scalar_one()


def keypairs_of(snapshot: Snapshot, user_id: str) -> int:
    """The number of a user's key pairs."""
    query = sa.select(sa.func.count()).select_from(keypairs).where(keypairs.c.user_id == user_id)
    return snapshot.execute(query).scalar_one()
