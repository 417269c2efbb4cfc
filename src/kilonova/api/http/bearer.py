# SPDX-License-Identifier: Apache-2.0
"""The caller of a request, by its token and the current state of its user."""

from dataclasses import replace

from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.policy import CONTEXT_IS_ADMIN
from kilonova.base.context import RequestContext
from kilonova.identity.tokens import Claims


async def context_of(deps: ApiDeps, claims: Claims, request_id: str) -> RequestContext:
    """The caller, with the roles of the token that its user still has.  Raises Unauthorized if the token is no longer
    valid; its expiry is checked elsewhere."""
    subject = claims.subject
    context = RequestContext(
        request_id=request_id,
        user_id=subject.user_id,
        project_id=subject.project_id,
        roles=await deps.token_revalidation.roles_of(claims),
        user_name=subject.user_name,
        project_name=subject.project_name,
        restricted=subject.credential is not None and subject.credential.restricted,
        by_credential=subject.credential is not None,
        scope=subject.scope,
    )
    return replace(context, admin=deps.policy.allows(CONTEXT_IS_ADMIN, context, {}))
