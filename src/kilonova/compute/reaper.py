# SPDX-License-Identifier: Apache-2.0
"""Guests that should not exist on this host.

A guest of this service whose instance the conductor reports as deleted (a backup of the host was restored, or a delete
was forced while the host was away) is made absent by the steps of delete. This needs two proofs: the guest has our
metadata, and the conductor has reported twice, with a pause between, that the instance was deleted from this host, or
lives on another one since an operator gave up this host. A
guest that the database does not know at all, or knows on another host, is only reported: it may belong to another
cloud.
"""

import structlog

from kilonova.base.clock import Clock, new_request_id
from kilonova.base.context import serving
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.compute.operation import Job, Tools
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.queues import InstanceQueues
from kilonova.compute.runner import Run, Runner
from kilonova.compute.session import Session
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.objects.action import Action
from kilonova.objects.action_params import DeleteParams
from kilonova.objects.ids import ActionId, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import one_leg
from kilonova.objects.states import Verb
from kilonova.rpcapi.host_to_conductor import CLASSIFY_GUESTS, ClassifyGuests, GuestClasses

log = structlog.get_logger(__name__)

LIMIT_S = 300.0
"""The time limit of one round."""


class Reaper:
    """Removes guests and reports guests, in two periodic tasks."""

    def __init__(
        self, session: Session, queues: InstanceQueues, runner: Runner, tools: Tools, metrics: Metrics
    ) -> None:
        self._session, self._queues, self._runner, self._tools, self._metrics = session, queues, runner, tools, metrics
        self._sightings: dict[InstanceId, float] = {}
        self._reported: frozenset[InstanceId] = frozenset()

    @property
    def _clock(self) -> Clock:
        return self._tools.clock

    def start(self, tasks: Supervisor, virtapi: ComputeVirtAPI) -> None:
        """Start the periodic tasks that the configuration enables."""
        settings = self._tools.settings
        there = self._session.while_there
        reap, report = there(virtapi.while_in_service(self.reap)), there(virtapi.while_in_service(self.report))
        if settings.running_deleted_instance_action != "noop":
            period = settings.running_deleted_instance_poll_interval
            tasks.periodic("running deleted", period, reap, limit_s=LIMIT_S)
        tasks.periodic("orphans", settings.orphan_report_interval, report, limit_s=LIMIT_S)

    async def reap(self) -> None:
        """One round: remove guests whose instances were deleted in an earlier round and still are."""
        settings, now = self._tools.settings, self._clock.monotonic()
        deleted = {one.id: one for one in (await self._judge()).deleted if not self._queues.is_busy(one.id)}
        self._sightings = {id_: self._sightings.get(id_, now) for id_ in deleted}
        pause = settings.running_deleted_instance_poll_interval / 2
        for id_, first in self._sightings.items():
            if now - first < pause:
                log.warning("a guest is here though its instance was deleted", instance=id_)
            elif settings.running_deleted_instance_action == "reap":
                await self._try_to_remove(deleted[id_])

    async def report(self) -> None:
        """One round: count guests with this service's metadata that are not instances of this host; log their names
        when the set changes."""
        judged = await self._judge()
        orphans = frozenset((*judged.unknown, *judged.elsewhere))
        self._metrics.orphans(len(orphans))
        if orphans and orphans != self._reported:
            log.warning(
                "guests have our metadata and are not instances of this host; they are left unchanged",
                unknown=", ".join(judged.unknown),
                of_other_hosts=", ".join(judged.elsewhere),
            )
        self._reported = orphans

    async def _judge(self) -> GuestClasses:
        return await self.classify(tuple(await self._tools.driver.guest_states()))

    async def classify(self, seen: tuple[InstanceId, ...]) -> GuestClasses:
        """Which of these guests should not be here.  They were read before: the record of each guest that exists is
        older than this read of the database."""
        if not seen:
            return GuestClasses()
        conductor = self._session.conductor
        return await self._session.call(
            lambda epoch: conductor.call(CLASSIFY_GUESTS, ClassifyGuests(conductor.host, epoch, seen))
        )

    async def _try_to_remove(self, instance: Instance) -> None:
        """A guest that cannot be removed is retried in the next round, and does not block others."""
        if why := await self.remove(instance):
            log.warning("the guest of a deleted instance could not be removed", instance=instance.id, error=why)

    async def remove(self, instance: Instance) -> str:
        """Make everything of a deleted instance absent by the steps of delete.  Returns why it could not be done; empty
        when it is done."""
        try:
            return await self._remove(instance)
        except Exception as exc:
            return str(exc) or type(exc).__name__

    async def _remove(self, instance: Instance) -> str:
        now = self._clock.now()
        # Not an action of the database: its instance is deleted.  The steps need an action for their names.
        action = Action(
            id=ActionId(self._clock.new_id()),
            instance_id=instance.id,
            verb=Verb.DELETE,
            params=DeleteParams(),
            request_id=new_request_id(self._clock),
            user_id="kilonova",
            project_id="kilonova",
            started_at=now,
            updated_at=now,
            deadline=now,
            legs=one_leg(self._session.identity.host, Verb.DELETE),
        )
        run = Run(Job(action, instance, self._tools), OPERATIONS[Verb.DELETE], self._session.identity.host)
        with serving(action.request_id):
            outcome = await self._runner.run(run)
        if not outcome.succeeded:
            return outcome.message or "a step of its delete failed"
        self._metrics.reaped()
        log.warning("the guest of a deleted instance was removed", instance=instance.id)
        self._sightings = {id_: first for id_, first in self._sightings.items() if id_ != instance.id}
        return ""
