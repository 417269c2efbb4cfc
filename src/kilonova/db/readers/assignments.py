# SPDX-License-Identifier: Apache-2.0
"""Reading roles, groups, and role assignments."""

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import ASSIGNMENTS, GROUPS, ROLES, USERS
from kilonova.db.schema import assignments, group_members, groups, projects, roles, users
from kilonova.db.transaction import Snapshot
from kilonova.objects.identity import Actor, Assignment, Group, Role, Target, User


def effective_roles() -> sa.Subquery:
    """Every role of a user, directly or by one of the groups: user_id, target, target_id, role."""
    where = (assignments.c.target, assignments.c.target_id, assignments.c.role)
    direct = sa.select(assignments.c.actor_id.label("user_id"), *where).where(assignments.c.actor == Actor.USER)
    member = sa.and_(assignments.c.actor == Actor.GROUP, group_members.c.group_id == assignments.c.actor_id)
    by_group = sa.select(group_members.c.user_id, *where).join(group_members, member)
    return sa.union(direct, by_group).subquery()


def _roles_of() -> sa.Select[str]:
    has = effective_roles()
    return sa.select(has.c.role).where(
        has.c.user_id == sa.bindparam("user_id"),
        has.c.target == sa.bindparam("target"),
        has.c.target_id == sa.bindparam("target_id"),
    )


_ROLES_OF = _roles_of()


def roles_of(snapshot: Snapshot, user_id: str, target_id: str, target: Target = Target.PROJECT) -> tuple[str, ...]:
    """Names of a user's roles on this target, those of the user's groups included, sorted; empty: none."""
    of = {"user_id": user_id, "target": target, "target_id": target_id}
    return tuple(sorted(snapshot.execute(_ROLES_OF, of).scalars()))


def given_roles(snapshot: Snapshot, actor: Actor, actor_id: str, target: Target, target_id: str) -> list[str]:
    """Names of the direct roles of this user or group on this target, sorted."""
    query = sa.select(assignments.c.role).where(
        assignments.c.actor == actor,
        assignments.c.actor_id == actor_id,
        assignments.c.target == target,
        assignments.c.target_id == target_id,
    )
    return sorted(snapshot.execute(query).scalars())


def list_assignments(snapshot: Snapshot) -> list[tuple[Assignment, str, str]]:
    """Every assignment with the names of its actor and its target, sorted by them; the name of the domain and the
    system is ""."""
    query = (
        sa.select(
            assignments,
            sa.func.coalesce(users.c.name, groups.c.name).label("actor_name"),
            sa.func.coalesce(projects.c.name, "").label("target_name"),
        )
        .outerjoin(users, sa.and_(assignments.c.actor == Actor.USER, users.c.id == assignments.c.actor_id))
        .outerjoin(groups, sa.and_(assignments.c.actor == Actor.GROUP, groups.c.id == assignments.c.actor_id))
        .outerjoin(projects, sa.and_(assignments.c.target == Target.PROJECT, projects.c.id == assignments.c.target_id))
        .order_by("actor_name", "target_name", assignments.c.role)
    )
    found = snapshot.execute(query).mappings()
    return [(ASSIGNMENTS.load(row), row["actor_name"], row["target_name"]) for row in found]


def assigned_roles(snapshot: Snapshot) -> set[str]:
    """Names of the roles in any assignment."""
    return set(snapshot.execute(sa.select(assignments.c.role).distinct()).scalars())


def made_roles(snapshot: Snapshot) -> list[Role]:
    """The roles that administrators created, by name."""
    return ROLES.load_all(snapshot.execute(sa.select(roles).order_by(roles.c.name)))


def find_role(snapshot: Snapshot, role_id: str) -> Role | None:
    """A role that an administrator created."""
    return ROLES.load_first(snapshot.execute(sa.select(roles).where(roles.c.id == role_id)))


def find_group(snapshot: Snapshot, *, group_id: str | None = None, name: str | None = None) -> Group | None:
    """A group, by id or by name."""
    query = sa.select(groups).where(groups.c.id == group_id if group_id is not None else groups.c.name == name)
    return GROUPS.load_first(snapshot.execute(query))


def get_role(snapshot: Snapshot, role_id: str) -> Role:
    """A role that an administrator created.  Raises NotFound."""
    role = find_role(snapshot, role_id)
    if role is None:
        raise NotFound(f"Could not find role: {role_id[:64]}.")
    return role


def get_group(snapshot: Snapshot, group_id: str) -> Group:
    """One group.  Raises NotFound."""
    group = find_group(snapshot, group_id=group_id)
    if group is None:
        raise NotFound(f"Could not find group: {group_id[:64]}.")
    return group


def list_groups(snapshot: Snapshot, user_id: str | None = None) -> list[Group]:
    """Groups by name; with `user_id` only the groups of that user."""
    query = sa.select(groups).order_by(groups.c.name)
    if user_id is not None:
        theirs = sa.select(group_members.c.group_id).where(group_members.c.user_id == user_id)
        query = query.where(groups.c.id.in_(theirs))
    return GROUPS.load_all(snapshot.execute(query))


def members_of(snapshot: Snapshot, group_id: str) -> list[User]:
    """The users in a group, by name."""
    query = sa.select(users).join(group_members, group_members.c.user_id == users.c.id)
    found = snapshot.execute(query.where(group_members.c.group_id == group_id).order_by(users.c.name))
    return USERS.load_all(found)
