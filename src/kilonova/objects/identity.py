# SPDX-License-Identifier: Apache-2.0
"""Who may use the cloud: users, groups, projects, roles, and credentials that programs use in a user's place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

DOMAIN_ID, SYSTEM_ID = "default", "all"
"""What the one domain and the system are called where a role is on them."""


class Actor(StrEnum):
    """Who has a role."""

    USER = "user"
    GROUP = "group"


class Target(StrEnum):
    """What a role is on, and with it what a token is for."""

    PROJECT = "project"
    DOMAIN = "domain"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class User:
    """`password_hash` is argon2's own text, or empty for one who has no password; it never leaves the service.

    `tokens_from` changes with each new password and each disabling: a token holds only while it is what it was when the
    token's password was read.  Nothing is ever sent to `email`.  `extra`: attributes that have no meaning here; they
    are kept as they came.
    """

    id: str
    name: str
    password_hash: str
    default_project_id: str | None = None
    description: str = ""
    enabled: bool = True
    tokens_from: datetime | None = None
    email: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Project:
    """What servers, images and quotas belong to.  `extra` as of users."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Group:
    """Users who have roles together.  `extra` as of users."""

    id: str
    name: str
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Role:
    """A role that an administrator made.  It permits what the policy says of its name: nothing, by default."""

    id: str
    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role, by name, of a user or of a group: in a project, on the domain (DOMAIN_ID) or the system (SYSTEM_ID)."""

    actor_id: str
    target_id: str
    role: str
    actor: Actor = Actor.USER
    target: Target = Target.PROJECT


class EntryKind(StrEnum):
    """What the service catalog is made of."""

    REGION = "region"
    SERVICE = "service"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A region, service or endpoint that an administrator made: its members as Identity shows them, without id and
    links."""

    kind: EntryKind
    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """A secret that stands for its user in one project, with some of the user's roles there.

    Without `unrestricted` it may not manage credentials, itself among them.
    """

    id: str
    user_id: str
    project_id: str
    name: str
    description: str
    secret_hash: str
    roles: tuple[str, ...]
    unrestricted: bool
    expires_at: datetime | None
    created_at: datetime
