# SPDX-License-Identifier: Apache-2.0
"""The guests of this host: reads of their states, and what is remembered between reads."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from kilonova.objects.guest import GuestEvent, GuestState
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.connection.guest_calls import GuestCalls
from kilonova.virt.libvirt.domain import guest
from kilonova.virt.libvirt.domain.guest import Ownership
from kilonova.virt.libvirt.domain.guest_liveness import LivenessProbes

NEW_PROCESS = frozenset({"started", "stopped"})
"""Kinds of events after which a guest has another process, or none."""


class Guests:
    """Caches which domains are this service's (a domain's metadata costs a call each), and applies the liveness probes'
    results to every state that is reported."""

    def __init__(self, calls: GuestCalls, liveness: LivenessProbes) -> None:
        self._calls, self._liveness = calls, liveness
        self._owners: dict[InstanceId, Ownership] = {}
        self._all_known = False
        self._destroying: set[InstanceId] = set()

    async def states(self) -> Mapping[InstanceId, GuestState]:
        """Of all guests of this service, by one bulk read."""
        before = dict(self._owners)
        # Before the first complete read the cache does not hold all guests.
        without = tuple(self._destroying) if self._all_known else ()
        read = await self._calls.connection.host.run(partial(guest.read_all, known=before, without=without))
        self._all_known = True
        for instance_id in before.keys() | read.learned.keys():
            if self._owners.get(instance_id) is not before.get(instance_id):
                continue  # changed during the read: what the read saw may be older
            if instance_id not in read.seen:
                del self._owners[instance_id]
            elif (owner := read.learned.get(instance_id)) is not None:
                self._owners[instance_id] = owner
        return {instance_id: self._liveness.apply(instance_id, state) for instance_id, state in read.states.items()}

    async def state(self, instance_id: InstanceId) -> GuestState | None:
        """One fresh read, once no call on the guest is in doubt."""
        state = await self._calls.read_resolved(instance_id, partial(guest.read, instance_id=instance_id))
        return state and self._liveness.apply(instance_id, state)

    def owned(self) -> frozenset[InstanceId]:
        """Guests of this service that are not being destroyed.  (The domain of a guest that is being destroyed may be
        blocked, and is about to be removed.)"""
        return frozenset(id_ for id_, owner in self._owners.items() if owner.ours and id_ not in self._destroying)

    def receive(self, event: GuestEvent) -> bool:
        """An event of libvirt: whether it concerns a guest of this service."""
        owner = self._owners.get(event.instance_id)
        if event.kind == "defined":
            self.outdate(event.instance_id)
        if event.kind in NEW_PROCESS:
            self._liveness.forget(event.instance_id)
        return owner is not None and owner.ours

    def defined(self, instance_id: InstanceId, owner: Ownership) -> None:
        """The domain was defined by this driver."""
        self._owners[instance_id] = owner

    async def undefine(self, instance_id: InstanceId) -> None:
        """See ComputeDriver.undefine."""
        await self._calls.change("undefine", instance_id, partial(guest.undefine, instance_id=instance_id))
        self._owners.pop(instance_id, None)

    def outdate(self, instance_id: InstanceId) -> None:
        """The cached facts of the domain may have changed: the next bulk read reads it again."""
        if (owner := self._owners.get(instance_id)) is not None:
            self._owners[instance_id] = replace(owner, stale=True)

    @property
    def any_destroyed(self) -> bool:
        """Whether a guest is being destroyed: libvirt may then delay every host-wide call."""
        return bool(self._destroying)

    def is_destroyed(self, instance_id: InstanceId) -> bool:
        """Whether the guest is being destroyed."""
        return instance_id in self._destroying

    @contextmanager
    def destroying(self, instance_id: InstanceId) -> Generator[None]:
        """The guest is being destroyed in this block."""
        self._destroying.add(instance_id)
        try:
            yield
        finally:
            self._destroying.discard(instance_id)

    def off(self, instance_id: InstanceId) -> None:
        """The guest was powered off by this driver."""
        self._liveness.forget(instance_id)
