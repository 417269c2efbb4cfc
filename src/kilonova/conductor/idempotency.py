# SPDX-License-Identifier: Apache-2.0
"""Creates under an idempotency key: one transaction looks for the first request and records this one, so that only one
of two simultaneous requests creates servers."""

from datetime import datetime

from kilonova.conductor.verbs import create as create_verb
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import idempotency as read
from kilonova.db.transaction import Transaction, locks_usage_of
from kilonova.db.writers import idempotency as write
from kilonova.objects.ids import ActionId
from kilonova.rpcapi.api_to_conductor import Created, CreateServers


def _project(request: CreateServers, *_: object) -> str:
    return request.instances[0].project_id


@locks_usage_of(_project)
def create(
    tx: Transaction,
    request: CreateServers,
    action_ids: tuple[ActionId, ...],
    now: datetime,
    quotas: QuotaSettings | None = None,
) -> tuple[list[ActionId], Created]:
    """Create, or return the answer of the first request with the same key.  Raises the errors of verbs.create, and
    IdempotencyKeyReused."""
    key = request.idempotent
    if key is not None:
        answer = read.first_answer(tx, key, now)
        if answer is not None:
            return [], Created(answer)
    fresh = create_verb.create(tx, request, action_ids, now, quotas)
    if key is not None:
        write.keep(tx, key, now)
    return fresh, Created()
