# SPDX-License-Identifier: Apache-2.0
"""Resources of Identity that are not supported: lists are empty, and creating one is 501.

Generic and EC2 credentials are secrets for services that this service does not have.
"""

from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import not_implemented
from kilonova.api.http.route import Route
from kilonova.api.http.views import View
from kilonova.api.identity.domain import collection
from kilonova.api.identity.routing import OWNER, TOKEN, USER, P, list_route
from kilonova.base.errors import NotFound


async def no_credentials(call: Call) -> Reply:
    """List credentials: always empty."""
    return _CREDENTIALS.reply([], call)


async def no_credential(call: Call) -> Reply:
    """Show, update or delete a credential: always 404."""
    raise NotFound(f"Could not find credential: {call.params['credential_id'][:64]}.")


async def no_new_credential(_call: Call) -> Reply:
    """Create a credential: not implemented (501)."""
    raise not_implemented(
        "The action you have requested has not been implemented. Application credentials are supported."
    )


_CREDENTIALS = collection("credentials", View[Any, Call]("Credential"))
_PATH, _EC2 = "/credentials", USER + "/credentials/OS-EC2"
_ID, _EC2_ID = _PATH + "/{credential_id}", _EC2 + "/{credential_id}"
_NONE, _REFUSED = "always 404", "501: not implemented"

ROUTES = (
    list_route(_PATH, no_credentials, "list_credentials", TOKEN, _CREDENTIALS, frozenset({"user_id", "type"})),
    Route("POST", _PATH, no_new_credential, P + "create_credential", TOKEN, note=_REFUSED),
    Route("GET", _ID, no_credential, P + "get_credential", TOKEN, note=_NONE),
    Route("PATCH", _ID, no_credential, P + "update_credential", TOKEN, note=_NONE),
    Route("DELETE", _ID, no_credential, P + "delete_credential", TOKEN, note=_NONE),
    list_route(_EC2, no_credentials, "ec2_list_credentials", OWNER, _CREDENTIALS),
    Route("POST", _EC2, no_new_credential, P + "ec2_create_credential", OWNER, note=_REFUSED),
    Route("GET", _EC2_ID, no_credential, P + "ec2_get_credential", OWNER, note=_NONE),
    Route("DELETE", _EC2_ID, no_credential, P + "ec2_delete_credential", OWNER, note=_NONE),
)
