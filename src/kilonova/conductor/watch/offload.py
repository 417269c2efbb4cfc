# SPDX-License-Identifier: Apache-2.0
"""Shelved servers leave their hosts after the configured time."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from kilonova.base.context import system_context
from kilonova.base.errors import InvalidState, NotFound
from kilonova.conductor.engine.accept import accept
from kilonova.conductor.verbs.shelve import newest_verb
from kilonova.db.database_time import database_now
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import Transaction
from kilonova.objects.ids import ActionId, HostName
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction

log = structlog.get_logger(__name__)


def follows(verb: Verb) -> bool:
    """Whether servers may be due after the end of an action with this verb."""
    return verb is Verb.SHELVE


def due(tx: Transaction, after_s: float, now: datetime) -> list[Instance]:
    """Servers that were shelved `after_s` seconds ago and have no newer request.  A server whose offload failed is not
    among them: it needs a new request."""
    latest = database_now(tx, now) - _seconds(after_s)
    return [one for one in read_instances.shelved(tx) if _is_due(tx, one, latest)]


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _is_due(tx: Transaction, instance: Instance, latest: datetime) -> bool:
    if newest_verb(tx, instance) is not Verb.SHELVE:
        return False
    ends = (one.ended_at for one in read_actions.of_instance(tx, instance.id) if one.verb is Verb.SHELVE)
    return (ended_at := next(ends)) is not None and ended_at <= latest


def begin(tx: Transaction, instances: Iterable[Instance], new_id: Callable[[], str], now: datetime) -> set[HostName]:
    """Record an offload action for each of these servers.  Returns the hosts to wake."""

    def offload(instance: Instance) -> HostName | None:
        context = replace(system_context(f"req-{new_id()}"), project_id=instance.project_id)
        request = AcceptAction(context, instance.id, Verb.SHELVE_OFFLOAD)
        try:
            return accept(tx, request, ActionId(new_id()), now)
        except (InvalidState, NotFound) as exc:  # it has had a newer request since it was read, or was deleted
            log.info("a shelved server stays on its host", instance=instance.id, error=str(exc))
            return None

    done = each_in_savepoint(tx, instances, offload, "a shelved server to offload")
    return {host for host in done if host is not None}
