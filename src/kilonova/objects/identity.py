# SPDX-License-Identifier: Apache-2.0
"""Users, groups, projects, roles, and application credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kilonova.base.open_enum import OpenStrEnum

DOMAIN_ID, SYSTEM_ID = "default", "all"
"""The names of the one domain and of the system in role assignments."""


class Actor(OpenStrEnum):
    """The kinds of actors that have roles."""

    USER = "user"
    GROUP = "group"


class Target(OpenStrEnum):
    """The scope of a role assignment, and of a token."""

    PROJECT = "project"
    DOMAIN = "domain"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class User:
    """`password_hash` is the encoded argon2 hash, or empty for a user without a password; it never leaves the service.

    `tokens_from` changes with each new password and each disabling.  A token is valid only while this value is the same
    as when the token's password was read.  The service never sends anything to `email`.  `extra`: attributes without a
    meaning here; they are kept as received.
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
    """The owner of servers, images and quotas.  `extra` as in users."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Group:
    """Users who have roles together.  `extra` as in users."""

    id: str
    name: str
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Role:
    """A role that an administrator created.  Policy rules can name it: by default none does."""

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


class EntryKind(OpenStrEnum):
    """The kinds of entries in the service catalog."""

    REGION = "region"
    SERVICE = "service"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A region, service or endpoint that an administrator created: its members as Identity shows them, without id and
    links."""

    kind: EntryKind
    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """A secret that authenticates its user in one project, with some of the user's roles there.

    Without `unrestricted` it may not manage credentials, itself included.
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
