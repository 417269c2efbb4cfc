# SPDX-License-Identifier: Apache-2.0
"""Whether running guests answer.

libvirt's own read of a state asks no guest's process, so a frozen one is called running for ever.  A pulse asks its
monitor: first, by virDomainGetControlInfo (which needs no job), whether a call waits on it already and since when; only
where none does, for the memory statistics.  Nothing else decides: a guest that is merely busy with a job is not judged.

A call to a frozen guest does not come back before the guest does.  So pulses have a lane of their own, a guest whose
pulse is out gets no second one, and at most `MOST_OUT` are out at a time; further guests are then judged by the calls
of others that wait on them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import libvirt
import structlog

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, NativeCallTimeout
from kilonova.base.tasks import Supervisor
from kilonova.objects.guest import NOT_RESPONDING, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.connection.opening import Failure
from kilonova.virt.libvirt.connection.pool import Connection

log = structlog.get_logger(__name__)

MOST_OUT = 2
"""Of the lane's places; the others are for looks, which need no answer of the guest."""

LOOK_LIMIT_S = 5.0


def feel(conn: libvirt.virConnect, instance_id: InstanceId, patience_s: float, ask: bool) -> bool | None:
    """True: the guest answered; False: its monitor has kept a caller waiting for longer than `patience_s`; None:
    nothing can be said (it does not run, is busy, or was not asked).  With `ask` it may last as long as the guest is
    frozen."""
    try:
        domain = conn.lookupByUUIDString(instance_id)
        power: Any = domain.info()[0]  # the binding calls it a text
        if power not in (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED):
            return None
        state, since_ms = _control(domain)
        if state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED:
            return False if since_ms >= patience_s * 1000 else None
        if state != libvirt.VIR_DOMAIN_CONTROL_OK or not ask:
            return None
        domain.memoryStats()
        return True
    except libvirt.libvirtError as exc:
        if exc.get_error_code() in _SAYS_NOTHING:
            return None
        raise


_SAYS_NOTHING = (
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_OPERATION_INVALID,  # it ended meanwhile
    libvirt.VIR_ERR_OPERATION_TIMEOUT,  # another job holds it
)


def _control(domain: libvirt.virDomain) -> tuple[int, int]:
    try:
        info: Any = domain.controlInfo()  # three numbers, again
        state, _details, since_ms = info
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:  # libvirt's test driver: nothing there can wait
            return libvirt.VIR_DOMAIN_CONTROL_OK, 0
        raise
    return state, since_ms


class Pulses:
    """Event loop only.  `changed` is told each guest that fell silent or answers again."""

    def __init__(self, link: Connection, patience_s: float, changed: Callable[[InstanceId], None]) -> None:
        self._link, self._patience_s, self._changed = link, patience_s, changed
        self._silent: set[InstanceId] = set()
        self._out: set[InstanceId] = set()
        self._looked_at: set[InstanceId] = set()
        self._tasks: Supervisor | None = None

    def start(self, tasks: Supervisor) -> None:
        """`soon` works from now on."""
        self._tasks = tasks

    def seen(self, instance_id: InstanceId, state: GuestState) -> GuestState:
        """What libvirt says, as it is to be shown: a silent guest is not running, nor off; it is unknown."""
        if instance_id in self._silent and state.power is PowerState.RUNNING:
            return replace(state, power=PowerState.NOSTATE, reason=NOT_RESPONDING)
        return state

    def forget(self, instance_id: InstanceId) -> None:
        """It was started or ended: what was known of its process is over."""
        self._silent.discard(instance_id)

    def soon(self, instance_id: InstanceId) -> None:
        """Something about this guest takes too long, or has come back at last: feel its pulse now."""
        if self._tasks is not None:
            self._tasks.spawn(f"pulse {instance_id}", self.feel(instance_id))

    async def feel(self, instance_id: InstanceId) -> None:
        """Feel one guest's pulse, within its patience and some seconds; what cannot be said changes nothing."""
        try:
            answer = await self._ask(instance_id)
        except (HypervisorUnavailable, HypervisorError) as exc:
            log.info("a guest's pulse could not be felt", instance=instance_id, error=exc.message)
            return
        except Exception:  # one odd guest must not end the host's service
            log.exception("feeling a pulse broke off", instance=instance_id)
            return
        self._judge(instance_id, answer)

    async def _ask(self, instance_id: InstanceId) -> bool | None:
        if instance_id not in self._out and len(self._out) < MOST_OUT:
            ask = partial(feel, instance_id=instance_id, patience_s=self._patience_s, ask=True)
            self._out.add(instance_id)
            back = partial(self._back, instance_id)
            try:
                answer = await self._link.run(ask, deadline_s=self._patience_s, on_late=back)
            except NativeCallTimeout:
                pass  # it stays out until it comes back; a look tells what it waits for
            except BaseException:
                self._out.discard(instance_id)
                raise
            else:
                self._out.discard(instance_id)
                return answer
        return await self._look(instance_id)

    async def _look(self, instance_id: InstanceId) -> bool | None:
        if instance_id in self._looked_at:
            return None
        # The asker's own patience is just over: a look must not find its call a moment too young.
        look = partial(feel, instance_id=instance_id, patience_s=self._patience_s * 0.9, ask=False)
        self._looked_at.add(instance_id)
        try:
            answer = await self._link.run(look, deadline_s=LOOK_LIMIT_S, on_late=partial(self._looked, instance_id))
        except NativeCallTimeout:
            return None  # something holds the whole domain: its end will tell
        except BaseException:
            self._looked_at.discard(instance_id)
            raise
        self._looked_at.discard(instance_id)
        return answer

    def _looked(self, instance_id: InstanceId, _result: bool | Failure | None) -> None:
        self._looked_at.discard(instance_id)

    def _back(self, instance_id: InstanceId, result: bool | Failure | None) -> None:
        self._out.discard(instance_id)
        if result is True:
            self._judge(instance_id, True)

    def _judge(self, instance_id: InstanceId, answer: bool | None) -> None:
        if answer is None or answer is (instance_id not in self._silent):
            return
        if answer:
            self._silent.discard(instance_id)
            log.info("a guest answers again", instance=instance_id)
        else:
            self._silent.add(instance_id)
            log.warning("a guest does not respond", instance=instance_id)
        self._changed(instance_id)
