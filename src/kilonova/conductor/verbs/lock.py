# SPDX-License-Identifier: Apache-2.0
"""lock, unlock."""

from collections.abc import Mapping

from kilonova.base.errors import Forbidden
from kilonova.conductor.verbs.handler import Acceptance, Accepted, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.action_params import LockParams
from kilonova.objects.states import Verb

OWNER, ADMIN = "owner", "admin"


def _lock(_tx: Transaction, acceptance: Acceptance) -> Accepted:
    """The owner of a locked instance changes nothing; an administrator's lock stays an administrator's lock when
    another user locks again."""
    instance, request, params = acceptance.instance, acceptance.request, acceptance.request.params
    assert isinstance(params, LockParams)
    if instance.locked_by is not None and not request.context.is_admin:
        return Accepted(params=params)
    by_admin = request.context.is_admin or instance.locked_by == ADMIN
    return Accepted({"locked_by": ADMIN if by_admin else OWNER, "locked_reason": params.reason}, params)


def _unlock(_tx: Transaction, acceptance: Acceptance) -> Accepted:
    instance = acceptance.instance
    if instance.locked_by == ADMIN and not acceptance.request.context.is_admin:
        raise Forbidden(f"Instance {instance.id} was locked by an administrator, who alone can unlock it.")
    return Accepted({"locked_by": None, "locked_reason": None})


HANDLERS: Mapping[Verb, VerbHandler] = {
    Verb.LOCK: VerbHandler(accept=_lock),
    Verb.UNLOCK: VerbHandler(accept=_unlock),
}
