# SPDX-License-Identifier: Apache-2.0
"""Changes of users, roles and projects end cached answers about tokens."""

from typing import Any, TypeVar

from kilonova.api.http.call import Call
from kilonova.rpcapi.method import Method

Q = TypeVar("Q")


async def apply_change(call: Call, method: Method[Q, Any], request: Q) -> None:
    """Call the conductor.  Whether it succeeds or fails, tokens are checked against the database again."""
    try:
        await call.deps.rpc.call(method, request)
    finally:
        call.deps.token_revalidation.forget()
