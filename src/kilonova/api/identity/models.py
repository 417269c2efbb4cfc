# SPDX-License-Identifier: Apache-2.0
"""Bodies of Identity v3.  Unknown members are ignored, as Identity does.

Source: Identity API v3 reference, "Authentication and token management".
"""

from typing import Any

from kilonova.api.body import Lenient


class Domain(Lenient):
    id: str | None = None
    name: str | None = None


class UserRef(Lenient):
    """By id, or by name with a domain."""

    id: str | None = None
    name: str | None = None
    domain: Domain | None = None
    password: str


class PasswordMethod(Lenient):
    user: UserRef


class TokenMethod(Lenient):
    id: str


class Methods(Lenient):
    methods: list[str]
    password: PasswordMethod | None = None
    token: TokenMethod | None = None


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
