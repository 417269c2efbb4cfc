# SPDX-License-Identifier: Apache-2.0
"""Who asks: carried from the HTTP request to the last log line."""

from contextvars import ContextVar
from dataclasses import dataclass

CHANGED: ContextVar[list[str]] = ContextVar("changed")
"""The calls that the HTTP request of this task has made with success, and that change something: an error that comes
after one of them must not say that nothing was done."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The authenticated caller of one request; an unscoped token has no project ("") and no roles, and one whose
    `scope` is "domain" or "system" has roles there and no project.

    `admin` is what policy says of the caller; where no policy was asked, the role of that name says it.  `restricted`:
    the token was given for an application credential (`by_credential`) that may not manage credentials.
    """

    request_id: str
    user_id: str
    project_id: str
    roles: tuple[str, ...] = ()
    user_name: str = ""
    project_name: str = ""
    admin: bool | None = None
    restricted: bool = False
    by_credential: bool = False
    scope: str = ""

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles if self.admin is None else self.admin


def system_context(request_id: str) -> RequestContext:
    """The service itself, acting without a user (reconciliation, start-up)."""
    return RequestContext(request_id=request_id, user_id="kilonova", project_id="kilonova", roles=("admin",))
