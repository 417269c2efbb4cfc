# SPDX-License-Identifier: Apache-2.0
"""Reading users, projects, roles and application credentials."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kilonova.base.errors import NotFound
from kilonova.db.codec import CREDENTIALS, PROJECTS, USERS
from kilonova.db.readers.assignments import effective_roles, roles_of
from kilonova.db.schema import (
    application_credentials,
    images,
    instances,
    projects,
    revoked_tokens,
    server_groups,
    users,
)
from kilonova.db.transaction import Snapshot
from kilonova.objects.identity import DOMAIN_ID, SYSTEM_ID, ApplicationCredential, Project, Target, User

NAMED = 5
"""The maximum number of a project's resources that the refusal of its deletion names."""


# Built once: each check of a token reads them, and building a statement takes longer than reading the row.
_USER = sa.select(users).where(users.c.id == sa.bindparam("id"))
_PROJECT = sa.select(projects).where(projects.c.id == sa.bindparam("id"))
_REVOKED = sa.select(revoked_tokens.c.audit_id).where(revoked_tokens.c.audit_id == sa.bindparam("audit_id"))


def find_user(snapshot: Snapshot, *, user_id: str | None = None, name: str | None = None) -> User | None:
    """A user, by id or by name."""
    if user_id is not None:
        return USERS.load_first(snapshot.execute(_USER, {"id": user_id}))
    return USERS.load_first(snapshot.execute(sa.select(users).where(users.c.name == name)))


def get_user(snapshot: Snapshot, user_id: str) -> User:
    """One user.  Raises NotFound."""
    user = find_user(snapshot, user_id=user_id)
    if user is None:
        raise NotFound(f"Could not find user: {user_id[:64]}.")
    return user


def list_users(snapshot: Snapshot) -> list[User]:
    """All users, by name."""
    return USERS.load_all(snapshot.execute(sa.select(users).order_by(users.c.name)))


def find_project(snapshot: Snapshot, *, project_id: str | None = None, name: str | None = None) -> Project | None:
    """A project, by id or by name."""
    if project_id is not None:
        return PROJECTS.load_first(snapshot.execute(_PROJECT, {"id": project_id}))
    return PROJECTS.load_first(snapshot.execute(sa.select(projects).where(projects.c.name == name)))


def get_project(snapshot: Snapshot, project_id: str) -> Project:
    """One project.  Raises NotFound."""
    project = find_project(snapshot, project_id=project_id)
    if project is None:
        raise NotFound(f"Could not find project: {project_id[:64]}.")
    return project


def list_projects(snapshot: Snapshot, user_id: str | None = None) -> list[Project]:
    """Projects by name; with `user_id` only those in which that user has a role."""
    query = sa.select(projects).order_by(projects.c.name)
    if user_id is not None:
        has = effective_roles()
        theirs = sa.select(has.c.target_id).where(has.c.user_id == user_id, has.c.target == Target.PROJECT)
        query = query.where(projects.c.id.in_(theirs))
    return PROJECTS.load_all(snapshot.execute(query))


def any_user(snapshot: Snapshot) -> bool:
    """Whether there is any user: a new database has none."""
    return snapshot.execute(sa.select(users.c.id).limit(1)).first() is not None


def has_administrator(snapshot: Snapshot) -> bool:
    """Whether any user can log in as an administrator: enabled, with a password, and with the role in an enabled
    project, directly or by a group."""
    has = effective_roles()
    query = (
        sa.select(users.c.id)
        .join(has, has.c.user_id == users.c.id)
        .join(projects, sa.and_(has.c.target == Target.PROJECT, projects.c.id == has.c.target_id))
        .where(has.c.role == "admin", users.c.enabled, projects.c.enabled, users.c.password_hash != "")
    )
    return snapshot.execute(query.limit(1)).first() is not None


def contents_of(snapshot: Snapshot, project_id: str) -> dict[str, list[str]]:
    """The contents of a project, by kind: names, or ids of resources without a name.  Empty: nothing."""
    alive = instances.c.deleted_at.is_(None)
    kinds = {
        "server": sa.select(instances.c.name).where(instances.c.project_id == project_id, alive),
        "image": sa.select(sa.func.coalesce(images.c.name, images.c.id)).where(images.c.owner == project_id),
        "server group": sa.select(server_groups.c.name).where(server_groups.c.project_id == project_id),
    }
    found = {kind: sorted(snapshot.execute(query).scalars()) for kind, query in kinds.items()}
    return {kind: names for kind, names in found.items() if names}


def find_credential(
    snapshot: Snapshot, *, credential_id: str | None = None, user_id: str | None = None, name: str | None = None
) -> ApplicationCredential | None:
    """An application credential: by id, by a user's id and name, or by id if it is that user's."""
    table = application_credentials.c
    query = sa.select(application_credentials)
    for column, value in ((table.id, credential_id), (table.user_id, user_id), (table.name, name)):
        if value is not None:
            query = query.where(column == value)
    return CREDENTIALS.load_first(snapshot.execute(query))


def list_credentials(snapshot: Snapshot, user_id: str) -> list[ApplicationCredential]:
    """The credentials of a user, by name."""
    query = sa.select(application_credentials).where(application_credentials.c.user_id == user_id)
    return CREDENTIALS.load_all(snapshot.execute(query.order_by(application_credentials.c.name)))


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """The claims of a token.  With the project "" it is a token whose `scope` is "domain" or "system", or an unscoped
    token (scope "")."""

    user_id: str
    project_id: str
    credential_id: str | None
    audit_id: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Validity:
    """The current roles of a token's user in its project.  The token is valid only if it was minted from this
    `tokens_from`."""

    tokens_from: datetime | None
    roles: tuple[str, ...]


def validity_of_token(snapshot: Snapshot, token: TokenFacts, now: datetime) -> Validity | None:
    """The part of a token that is still valid.  None: nothing, because the token was revoked, or its user, project or
    credential was deleted or disabled."""
    user = find_user(snapshot, user_id=token.user_id)
    if user is None or not user.enabled:
        return None
    if snapshot.execute(_REVOKED, {"audit_id": token.audit_id}).first() is not None:
        return None
    if token.credential_id is not None:
        credential = find_credential(snapshot, credential_id=token.credential_id)
        if credential is None or (credential.expires_at is not None and credential.expires_at <= now):
            return None
    if not token.project_id and not token.scope:
        return Validity(user.tokens_from, ())
    if token.project_id:
        project = find_project(snapshot, project_id=token.project_id)
        roles = roles_of(snapshot, token.user_id, token.project_id) if project is not None and project.enabled else ()
    else:
        roles = roles_beyond_projects(snapshot, token.user_id, token.scope)
    return Validity(user.tokens_from, roles) if roles else None


def roles_beyond_projects(snapshot: Snapshot, user_id: str, scope: str) -> tuple[str, ...]:
    """Names of a user's roles on the "domain" or on the "system"."""
    target = Target(scope)
    return roles_of(snapshot, user_id, SYSTEM_ID if target is Target.SYSTEM else DOMAIN_ID, target)
