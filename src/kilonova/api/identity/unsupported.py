# SPDX-License-Identifier: Apache-2.0
"""What Identity has and this service has not, in Identity's own words: there is none, and none can be made.

Generic and EC2 credentials are secrets for services that are not here; they would be kept for nothing.
"""

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.identity.domain import collection
from kilonova.base.errors import NotFound


async def no_credentials(call: Call) -> Reply:
    """GET /v3/credentials and /v3/users/{id}/credentials/OS-EC2."""
    return collection(call, "credentials", [])


async def no_credential(call: Call) -> Reply:
    """GET, PATCH and DELETE of one."""
    raise NotFound(f"Could not find credential: {call.params['credential_id'][:64]}.")


async def no_new_credential(_call: Call) -> Reply:
    """POST of one."""
    raise not_implemented("The action you have requested has not been implemented: application credentials are.")
