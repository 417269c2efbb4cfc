# SPDX-License-Identifier: Apache-2.0
"""Resources of Identity that are not supported: lists are empty, and creating one is 501.

Generic and EC2 credentials are secrets for services that this service does not have.
"""

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.identity.domain import collection
from kilonova.base.errors import NotFound


async def no_credentials(call: Call) -> Reply:
    """List credentials: always empty."""
    return collection(call, "credentials", [])


async def no_credential(call: Call) -> Reply:
    """Show, update or delete a credential: always 404."""
    raise NotFound(f"Could not find credential: {call.params['credential_id'][:64]}.")


async def no_new_credential(_call: Call) -> Reply:
    """Create a credential: not implemented (501)."""
    raise not_implemented(
        "The action you have requested has not been implemented. Application credentials are supported."
    )
