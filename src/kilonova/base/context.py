# SPDX-License-Identifier: Apache-2.0
"""The request that the current task or thread serves, and its caller.

`serving` binds a request id: every log line within it carries the id (see kilonova.base.logging), and so does every RPC
call (see kilonova.rpcapi.caller).  The API binds it for each HTTP request, an RPC endpoint for each call, a host for
each action, the conductor for each placement.  Threads of kilonova.base.threads run a function under the id of the
task that submitted it.  A task of a Supervisor starts without an id, because it may outlive the request that started
it.
"""

from contextvars import ContextVar
from dataclasses import dataclass

CHANGED: ContextVar[list[str]] = ContextVar("changed")
"""The RPC methods that the current HTTP request has called with success, and that change something: an error after one
of them must not say that nothing was done."""

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Empty: the current work belongs to no single request."""


class serving:
    """Bind a request id, or none (""), within the block."""

    __slots__ = ("_request_id", "_token")

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def __enter__(self) -> None:
        self._token = REQUEST_ID.set(self._request_id)

    def __exit__(self, *_error: object) -> None:
        REQUEST_ID.reset(self._token)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The authenticated caller of one request.  An unscoped token has no project ("") and no roles; a token whose
    `scope` is "domain" or "system" has roles there and no project.

    `admin` is the policy's decision about the caller; without one, the role "admin" decides.  `restricted`: the token
    belongs to an application credential (`by_credential`) that may not manage credentials.
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
    """The service itself, without a user (reconciliation, start-up)."""
    return RequestContext(request_id=request_id, user_id="kilonova", project_id="kilonova", roles=("admin",))
