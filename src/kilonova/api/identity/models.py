# SPDX-License-Identifier: Apache-2.0
"""Bodies of Identity v3.  Unknown members are ignored, as Identity does; known ones that cannot be kept are refused.

Source: Identity API v3 reference.
"""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from kilonova.api.body import Lenient

Text255 = Annotated[str, StringConstraints(max_length=255)]
Name64 = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Name255 = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""1024 characters are 4096 bytes at most, which is what identity looks at."""


class Domain(Lenient):
    id: str | None = None
    name: str | None = None


class UserName(Lenient):
    """By id, or by name with a domain."""

    id: str | None = None
    name: str | None = None
    domain: Domain | None = None


class UserRef(UserName):
    password: str


class PasswordMethod(Lenient):
    user: UserRef


class TokenMethod(Lenient):
    id: str


class CredentialMethod(Lenient):
    """By id, or by name and user."""

    id: str | None = None
    name: str | None = None
    user: UserName | None = None
    secret: str


class Methods(Lenient):
    methods: list[str]
    password: PasswordMethod | None = None
    token: TokenMethod | None = None
    application_credential: CredentialMethod | None = None


class ProjectRef(Lenient):
    """By id, or by name with a domain."""

    id: str | None = None
    name: str | None = None
    domain: Domain | None = None


class Scope(Lenient):
    """Only projects can be scopes; that another was asked for is seen by its member being there."""

    project: ProjectRef | None = None
    domain: Any = None
    system: Any = None


class Auth(Lenient):
    identity: Methods
    scope: Scope | str | None = None


class AuthRequest(Lenient):
    auth: Auth


class UserFields(Lenient):
    """`options` and `federated` are known to Identity and not kept here."""

    enabled: bool | None = None
    description: Text255 | None = None
    default_project_id: Annotated[str, StringConstraints(max_length=36)] | None = None
    domain_id: str | None = None
    password: Password | None = None
    email: Text255 | None = None
    options: Any = None
    federated: Any = None


class NewUser(UserFields):
    name: Name255


class CreateUser(Lenient):
    user: NewUser


class UserChanges(UserFields):
    name: Name255 | None = None


class UpdateUser(Lenient):
    user: UserChanges


class PasswordChange(Lenient):
    password: Password
    original_password: str


class ChangePassword(Lenient):
    user: PasswordChange


class ProjectFields(Lenient):
    """`tags`, `options`, and parents but the one domain, are known to Identity and not kept here."""

    enabled: bool | None = None
    description: Text255 | None = None
    domain_id: str | None = None
    parent_id: str | None = None
    is_domain: bool = False
    tags: Any = None
    options: Any = None


class NewProject(ProjectFields):
    name: Name64


class CreateProject(Lenient):
    project: NewProject


class ProjectChanges(ProjectFields):
    name: Name64 | None = None


class UpdateProject(Lenient):
    project: ProjectChanges


class RoleRef(Lenient):
    """By id or by name."""

    id: str | None = None
    name: str | None = None


class NewCredential(Lenient):
    """Without roles, all that the token has; without a secret, one is made; `access_rules` are refused."""

    name: Name255
    description: Text255 | None = None
    secret: Password | None = None
    roles: Annotated[list[RoleRef], Field(max_length=64)] | None = None
    expires_at: str | None = None
    unrestricted: bool | None = None
    access_rules: Any = None


class CreateCredential(Lenient):
    application_credential: NewCredential
