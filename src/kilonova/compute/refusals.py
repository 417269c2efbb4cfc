# SPDX-License-Identifier: Apache-2.0
"""Work that this host's code cannot accept: it comes from a newer conductor, or our code has a defect. None of it
begins. The conductor receives a failure with the reason; a delete stays open, for a later version of this host.
"""

import structlog

from kilonova.base.errors import KilonovaError
from kilonova.compute.guest_records import GuestRecords
from kilonova.compute.session import Session
from kilonova.objects.action import Action
from kilonova.objects.ids import AttemptId, InstanceId
from kilonova.objects.leg import LegId
from kilonova.objects.states import PowerState, Verb
from kilonova.rpcapi.host_to_conductor import FINISH, Finish
from kilonova.rpcapi.work import Unread
from kilonova.virt.driver import ComputeDriver

log = structlog.get_logger(__name__)


class Refusals:
    """Each refusal is logged once. `left` are the actions that stay open: the conductor need not hand them out
    again."""

    def __init__(self, session: Session, driver: ComputeDriver, records: GuestRecords) -> None:
        self._session, self._driver, self._records = session, driver, records
        self._said: set[LegId] = set()
        self.left: set[LegId] = set()

    async def refuse(self, unread: Unread, attempt: AttemptId) -> None:
        """Report an action that cannot be accepted. If it cannot be reported now, it will be handed out again."""
        action_id = unread.leg.action_id
        if unread.leg not in self._said:
            log.error("an action cannot be read", action=action_id, verb=unread.verb, error=unread.reason)
        self._said.add(unread.leg)
        if not action_id or unread.verb == Verb.DELETE:
            self.left.add(unread.leg)
            return
        host = self._session.identity.host
        message = f"This host cannot carry out the request ({unread.verb}: {unread.reason}). Nothing was done."
        read = self._records.new_read()
        power = await self._power(unread.instance_id)
        self._records.sends(unread.instance_id, read.number)
        report = Finish(host, unread.leg, attempt, False, power, message=message, read=read)
        try:
            await self._session.conductor.call(FINISH, report)
        except KilonovaError as exc:
            log.info("the refusal of an unreadable action could not be reported yet", action=action_id, error=str(exc))

    async def refuse_undo(self, action: Action, why: str) -> None:
        """Report that a cancelled leg has passed its point of no return, so that it is not undone. If this cannot be
        reported now, the undo will be handed out again."""
        assert action.attempt is not None
        host, unknown = self._session.identity.host, PowerState.NOSTATE
        report = Finish(host, action.leg_id, action.attempt, False, unknown, message=why, refused=True)
        try:
            await self._session.conductor.call(FINISH, report)
        except KilonovaError as exc:
            log.info("the refusal of a cancel could not be reported yet", action=action.id, error=str(exc))

    async def _power(self, instance_id: InstanceId) -> PowerState | None:
        try:
            state = await self._driver.guest_state(instance_id)
        except KilonovaError:
            return PowerState.NOSTATE
        return None if state is None else state.power
