# SPDX-License-Identifier: Apache-2.0
"""After a host has booted: the guests that should run are started, by actions like anybody's.

They are recorded in the transaction in which the new boot is first heard of.  So they are made once, whatever crashes
next, are handed out like all work, and can be seen and read (`server event list`).
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa

from kilonova.base.context import system_context
from kilonova.conductor.hosts import register
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import instances as write_instances
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId
from kilonova.objects.instance import Instance
from kilonova.objects.states import RESUMED, VERBS, Verb
from kilonova.rpcapi.host import HOST_BOOT, Registered, RegisterHost

UNKNOWN_BOOT = "unknown"
DEADLINE_S = 3600.0
"""Of each of these starts: libvirt may take its time after a boot, and the last one waits for all before it."""
ORDER = timedelta(microseconds=1)
"""Between two of them, so that a host gets them in the order in which the instances were made."""


def enroll(
    connection: sa.Connection, request: RegisterHost, service_id: str, new_id: Callable[[], str], now: datetime
) -> Registered:
    """Register a host's process, and resume its guests if the machine has booted since its last one.

    Raises StateError (see hosts.register).
    """
    known = read_hosts.process_of(connection, request.host)
    epoch = register(connection, request, service_id, now)
    rebooted = known is not None and known[2] != request.boot_id and UNKNOWN_BOOT not in (known[2], request.boot_id)
    resumed = 0
    if rebooted and request.resume_guests:
        for resumed, instance in enumerate(_to_resume(connection, request), start=1):
            _start(connection, instance, new_id, now + resumed * ORDER)
    return Registered(epoch, rebooted, resumed)


def _to_resume(connection: sa.Connection, request: RegisterHost) -> Iterator[Instance]:
    """What has an open action is left to it: its replay ends where it should."""
    busy = {action.instance_id for action in read_actions.open_of_host(connection, request.host)}
    for instance in read_instances.to_run_on_host(connection, request.host, RESUMED):
        if instance.id not in busy:
            yield instance


def _start(connection: sa.Connection, instance: Instance, new_id: Callable[[], str], now: datetime) -> None:
    context = system_context(f"req-{new_id()}")
    action = Action(
        id=ActionId(new_id()),
        instance_id=instance.id,
        verb=Verb.START,
        request_id=context.request_id,
        user_id=context.user_id,
        project_id=context.project_id,
        started_at=now,
        updated_at=now,
        deadline=now + timedelta(seconds=DEADLINE_S),
        host=instance.host,
        params={"cause": HOST_BOOT},
    )
    write_actions.insert(connection, action)
    write_instances.update(connection, instance.id, now, task_state=VERBS[Verb.START].task_state)
