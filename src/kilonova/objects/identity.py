# SPDX-License-Identifier: Apache-2.0
"""Who may use the cloud: users, projects, and credentials that programs use in a user's place."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class User:
    """`password_hash` is argon2's own text, or empty for one who has no password; it never leaves the service.

    `tokens_from` changes with each new password and each disabling: a token holds only while it is what it was when the
    token's password was read.  Nothing is ever sent to `email`.
    """

    id: str
    name: str
    password_hash: str
    default_project_id: str | None = None
    description: str = ""
    enabled: bool = True
    tokens_from: datetime | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """What servers, images and quotas belong to."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Assignment:
    """A user's role in a project."""

    user_id: str
    project_id: str
    role: str


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
