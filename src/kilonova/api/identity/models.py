# SPDX-License-Identifier: Apache-2.0
"""Request bodies of Identity v3.  Unknown members of users, projects, groups and catalog entries are stored as
attributes, as Keystone does; elsewhere they are ignored.  Known members that are not supported are refused.

Source: Identity API v3 reference.
"""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from kilonova.api.http.body import Lenient
from kilonova.base.errors import InvalidInput

Text255 = Annotated[str, StringConstraints(max_length=255)]
Name64 = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Name255 = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""1024 characters are at most 4096 bytes, the limit of the password hash."""


class WithAttributes(Lenient):
    """Members without a field are attributes, which are stored unchanged.

    `reserved` are names that cannot be attributes: they are read-only, or secrets that would be shown.  Null is
    dropped, another value is refused.  `links`, which clients send back as they received them, are dropped.
    """

    model_config = ConfigDict(extra="allow")

    reserved: ClassVar[frozenset[str]] = frozenset({"password_expires_at", "original_password"})

    def attributes(self, of: str) -> dict[str, Any]:
        """The attributes.  `of` is the body's member, for messages.  Raises InvalidInput for a reserved name."""
        given = {name: value for name, value in (self.model_extra or {}).items() if name != "links"}
        for name in self.reserved & given.keys():
            if given.pop(name) is not None:
                raise InvalidInput(f"{name} cannot be set.", path=f"{of}.{name}")
        try:
            json.dumps(given, allow_nan=False)
        except ValueError as exc:  # (JSON has no NaN and no infinity, though parsers accept them)
            raise InvalidInput("An attribute has a number that is not finite.", path=of) from exc
        return given


class DomainRef(Lenient):
    """A domain by id or by name."""

    id: str | None = None
    name: str | None = None


class UserName(Lenient):
    """A user by id, or by name with a domain."""

    id: str | None = None
    name: str | None = None
    domain: DomainRef | None = None


class UserRef(UserName):
    password: str


class PasswordMethod(Lenient):
    user: UserRef


class TokenMethod(Lenient):
    id: str


class CredentialMethod(Lenient):
    """An application credential by id, or by name and user."""

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
    """A project by id, or by name with a domain."""

    id: str | None = None
    name: str | None = None
    domain: DomainRef | None = None


class SystemRef(Lenient):
    all: Literal[True]


class Scope(Lenient):
    """The scope of a token: exactly one member."""

    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: SystemRef | None = None


class Auth(Lenient):
    identity: Methods
    scope: Scope | str | None = None


class AuthRequest(Lenient):
    auth: Auth


class UserFields(WithAttributes):
    """`options` and `federated` are not supported."""

    id: str | None = None
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


Tag = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern="^[^,/]*$")]
Tags = Annotated[list[Tag], Field(max_length=80)]


class ReplaceTags(Lenient):
    tags: Tags


class ProjectFields(WithAttributes):
    """`options`, and a parent that is not the domain, are not supported."""

    id: str | None = None
    enabled: bool | None = None
    description: Text255 | None = None
    domain_id: str | None = None
    parent_id: str | None = None
    is_domain: bool = False
    tags: Tags | None = None
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
    """A role by id or by name."""

    id: str | None = None
    name: str | None = None


class NewCredential(Lenient):
    """Without `roles` the credential has all roles of the token.  Without `secret` the service generates one.
    `access_rules` are not supported."""

    name: Name255
    description: Text255 | None = None
    secret: Password | None = None
    roles: Annotated[list[RoleRef], Field(max_length=64)] | None = None
    expires_at: str | None = None
    unrestricted: bool | None = None
    access_rules: Any = None


class CreateCredential(Lenient):
    application_credential: NewCredential


class GroupFields(WithAttributes):
    id: str | None = None
    description: Text255 | None = None
    domain_id: str | None = None


class NewGroup(GroupFields):
    name: Name64


class CreateGroup(Lenient):
    group: NewGroup


class GroupChanges(GroupFields):
    name: Name64 | None = None


class UpdateGroup(Lenient):
    group: GroupChanges


class RoleFields(Lenient):
    """`options`, and roles of a domain, are not supported."""

    description: Text255 | None = None
    domain_id: str | None = None
    options: Any = None


class NewRole(RoleFields):
    name: Name255


class CreateRole(Lenient):
    role: NewRole


class RoleChanges(RoleFields):
    name: Name255 | None = None


class UpdateRole(Lenient):
    role: RoleChanges


class NewDomain(Lenient):
    name: Name64


class CreateDomain(Lenient):
    domain: NewDomain


RegionId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern="^[^/]*$")]


class RegionFields(WithAttributes):
    id: RegionId | Literal[""] | None = None
    description: Text255 | None = None
    parent_region_id: str | None = None


class PutRegion(Lenient):
    region: RegionFields


Enabled = Annotated[bool, Field(strict=True)]
Interface = Literal["admin", "internal", "public"]


class ServiceFields(WithAttributes):
    id: str | None = None
    type: Name255 | None = None
    name: Text255 | None = None
    description: str | None = None
    enabled: Enabled | None = None


class NewService(ServiceFields):
    type: Name255  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride] - required here


class CreateService(Lenient):
    service: NewService


class UpdateService(Lenient):
    service: ServiceFields


class EndpointFields(WithAttributes):
    """`region` is the old name of `region_id`; it creates the region if there is none."""

    id: str | None = None
    service_id: str | None = None
    interface: Interface | None = None
    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None
    region_id: str | None = None
    region: RegionId | None = None
    enabled: Enabled | None = None


class CreateEndpoint(Lenient):
    endpoint: EndpointFields


class UpdateEndpoint(Lenient):
    endpoint: EndpointFields


LimitAmount = Annotated[int, Field(ge=-1, le=0x7FFFFFFF)]
"""-1 means unlimited."""


class NewLimit(Lenient):
    project_id: str
    service_id: str
    resource_name: str
    resource_limit: LimitAmount
    region_id: str | None = None


class CreateLimits(Lenient):
    limits: Annotated[list[NewLimit], Field(max_length=100)]


class LimitFields(Lenient):
    resource_limit: LimitAmount


class UpdateLimit(Lenient):
    limit: LimitFields
