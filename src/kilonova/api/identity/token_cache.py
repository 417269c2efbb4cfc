# SPDX-License-Identifier: Apache-2.0
"""A change of who may do what, and its effect on tokens."""

from collections.abc import Awaitable

from kilonova.api.http.call import Call


async def edited(call: Call, change: Awaitable[object]) -> None:
    """Await the conductor's word; whatever it was, what is known of tokens is looked up anew."""
    try:
        await change
    finally:
        call.deps.standings.forget()
