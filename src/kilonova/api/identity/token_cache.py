# SPDX-License-Identifier: Apache-2.0
"""Changes of users, roles and projects end cached answers about tokens."""

from collections.abc import Awaitable

from kilonova.api.http.call import Call


async def apply_change(call: Call, change: Awaitable[None]) -> None:
    """Await the conductor's reply.  Whether it succeeds or fails, tokens are checked against the database again."""
    try:
        await change
    finally:
        call.deps.standings.forget()
