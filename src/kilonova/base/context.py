# SPDX-License-Identifier: Apache-2.0
"""Who asks: carried from the HTTP request to the last log line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The authenticated caller of one request.  `roles` are names; `admin` is decided by policy."""

    request_id: str
    user_id: str
    project_id: str
    roles: tuple[str, ...] = ()
    user_name: str = ""
    project_name: str = ""

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


def system_context(request_id: str) -> RequestContext:
    """The service itself, acting without a user (reconciliation, start-up)."""
    return RequestContext(request_id=request_id, user_id="kilonova", project_id="kilonova", roles=("admin",))
