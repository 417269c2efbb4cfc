# SPDX-License-Identifier: Apache-2.0
"""Whether running guests answer.

libvirt's own read of a state needs no answer of the guest's process, so it always reports a frozen guest as running.  A
probe tests the guest's monitor: first, by virDomainGetControlInfo (which needs no job), whether a call already waits
for the monitor and since when; only where none does, for the memory statistics.  Nothing else decides: a guest that is
merely busy with a job is not judged.

A call to a frozen guest does not return before the guest continues.  Therefore probes have a pool of their own, a guest
with a probe in flight gets no second one, and at most `MAX_IN_FLIGHT` probes are in flight; further guests are then
judged by the calls of others that wait for them.
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
from kilonova.virt.libvirt.connection.pool import ConnectionPool

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 2
"""Of the pool's slots; the others are for reads that need no answer of the guest."""

READ_LIMIT_S = 5.0


def probe(conn: libvirt.virConnect, instance_id: InstanceId, patience_s: float, ask: bool) -> bool | None:
    """True: the guest answered; False: its monitor has kept a caller waiting for longer than `patience_s`; None:
    unknown (it does not run, is busy, or was not probed).  With `ask` the call may last as long as the guest is
    frozen."""
    try:
        domain = conn.lookupByUUIDString(instance_id)
        power: Any = domain.info()[0]  # the binding declares it as a str
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
        if exc.get_error_code() in _UNKNOWN:
            return None
        raise


_UNKNOWN = (
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_OPERATION_INVALID,  # it ended meanwhile
    libvirt.VIR_ERR_OPERATION_TIMEOUT,  # another job blocks it
)


def _control(domain: libvirt.virDomain) -> tuple[int, int]:
    try:
        info: Any = domain.controlInfo()  # three numbers; declared as a str again
        state, _details, since_ms = info
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:  # libvirt's test driver: nothing there can wait
            return libvirt.VIR_DOMAIN_CONTROL_OK, 0
        raise
    return state, since_ms


class LivenessProbes:
    """See GuestLivenessProbe.  Event loop only.  `changed` receives each guest that stopped answering or answers
    again."""

    def __init__(self, pool: ConnectionPool, patience_s: float, changed: Callable[[InstanceId], None]) -> None:
        self._pool, self._patience_s, self._changed = pool, patience_s, changed
        self._silent: set[InstanceId] = set()
        self._in_flight: set[InstanceId] = set()
        self._being_read: set[InstanceId] = set()
        self._tasks: Supervisor | None = None

    def start(self, tasks: Supervisor) -> None:
        """`probe_soon` works from now on."""
        self._tasks = tasks

    def apply(self, instance_id: InstanceId, state: GuestState) -> GuestState:
        """libvirt's state as it is reported: a guest that does not answer is neither running nor off, but unknown."""
        if instance_id in self._silent and state.power is PowerState.RUNNING:
            return replace(state, power=PowerState.NOSTATE, reason=NOT_RESPONDING)
        return state

    def forget(self, instance_id: InstanceId) -> None:
        """The guest was started or ended: what was known of its process no longer holds."""
        self._silent.discard(instance_id)

    def probe_soon(self, instance_id: InstanceId) -> None:
        """A call on this guest takes too long, or has returned at last: probe the guest now."""
        if self._tasks is not None:
            self._tasks.spawn(f"liveness {instance_id}", self.probe_guest(instance_id))

    async def probe_guest(self, instance_id: InstanceId) -> None:
        """Within the patience and some seconds; an unknown result changes nothing."""
        try:
            answer = await self._probe(instance_id)
        except (HypervisorUnavailable, HypervisorError) as exc:
            log.info("a guest's liveness could not be probed", instance=instance_id, error=exc.message)
            return
        except Exception:  # an unexpected error of one guest must not end the host's service
            log.exception("a liveness probe failed unexpectedly", instance=instance_id)
            return
        self._decide(instance_id, answer)

    async def _probe(self, instance_id: InstanceId) -> bool | None:
        if instance_id not in self._in_flight and len(self._in_flight) < MAX_IN_FLIGHT:
            ask = partial(probe, instance_id=instance_id, patience_s=self._patience_s, ask=True)
            self._in_flight.add(instance_id)
            late = partial(self._late, instance_id)
            try:
                answer = await self._pool.run(ask, deadline_s=self._patience_s, on_late=late)
            except NativeCallTimeout:
                pass  # it stays in flight until it returns; a read shows what it waits for
            except BaseException:
                self._in_flight.discard(instance_id)
                raise
            else:
                self._in_flight.discard(instance_id)
                return answer
        return await self._read(instance_id)

    async def _read(self, instance_id: InstanceId) -> bool | None:
        if instance_id in self._being_read:
            return None
        # The patience of the call that waits is just over: this read must not find that call a moment too young.
        read = partial(probe, instance_id=instance_id, patience_s=self._patience_s * 0.9, ask=False)
        self._being_read.add(instance_id)
        try:
            answer = await self._pool.run(read, deadline_s=READ_LIMIT_S, on_late=partial(self._late_read, instance_id))
        except NativeCallTimeout:
            return None  # something blocks the whole domain: its end will be known
        except BaseException:
            self._being_read.discard(instance_id)
            raise
        self._being_read.discard(instance_id)
        return answer

    def _late_read(self, instance_id: InstanceId, _result: bool | Failure | None) -> None:
        self._being_read.discard(instance_id)

    def _late(self, instance_id: InstanceId, result: bool | Failure | None) -> None:
        self._in_flight.discard(instance_id)
        if result is True:
            self._decide(instance_id, True)

    def _decide(self, instance_id: InstanceId, answer: bool | None) -> None:
        if answer is None or answer is (instance_id not in self._silent):
            return
        if answer:
            self._silent.discard(instance_id)
            log.info("a guest answers again", instance=instance_id)
        else:
            self._silent.add(instance_id)
            log.warning("a guest does not respond", instance=instance_id)
        self._changed(instance_id)
