# SPDX-License-Identifier: Apache-2.0
"""What `kilonova verify` reads of this host, and what it repairs here.

A look changes nothing except the record of orphans.  The periodic work of the host judges: the reaper which guests are
orphans, the observer which power states have drifted.  Only a repair deletes: guests and files whose servers the
conductor reports as deleted from this host, and files that only an unfinished operation has, each found in an earlier
look and found again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import structlog

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, KilonovaError
from kilonova.base.sightings import Sightings
from kilonova.base.tasks import Supervisor
from kilonova.compute.cached_bases import CachedBases
from kilonova.compute.observer import Observer, differences
from kilonova.compute.operation import Tools
from kilonova.compute.queues import InstanceQueues
from kilonova.compute.reaper import Reaper
from kilonova.objects.guest import GuestState
from kilonova.objects.host_contents import CacheContents, GuestContents
from kilonova.objects.ids import InstanceId
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.host_to_conductor import Expected, GuestClasses
from kilonova.rpcapi.to_host_verify import (
    CHECK_BASES,
    CHECK_WAIT_S,
    GUESTS_PER_PAGE,
    LIST_CONTENTS,
    MEND_HOST,
    BasesChecked,
    CheckBases,
    HostContents,
    HostMended,
    ListContents,
    MendHost,
    orphan,
)
from kilonova.virt.capabilities import CONTENTS

log = structlog.get_logger(__name__)

DISK_S = 2.0
"""The time for the disk of one guest: a guest that does not respond delays the others by no more."""

Removal = Callable[[], Awaitable[str]]
"""Removes one orphan.  Returns why it could not be removed; empty when it is gone."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look at the whole host.  Each orphan has its removal."""

    guests: Mapping[InstanceId, GuestContents]
    expected: Expected
    busy: frozenset[InstanceId]
    classes: GuestClasses
    cache: CacheContents
    orphans: dict[str, Removal] = field(default_factory=dict[str, Removal])


class Verifier:
    """Serves the methods of kilonova.rpcapi.to_host_verify."""

    def __init__(
        self,
        tools: Tools,
        queues: InstanceQueues,
        judges: tuple[Reaper, Observer],
        sightings: Sightings,
        bases: CachedBases,
    ) -> None:
        self._tools, self._queues = tools, queues
        self._reaper, self._observer = judges
        self._sightings, self._bases = sightings, bases

    def serve(self, endpoint: Endpoint, tasks: Supervisor) -> None:
        """Serve the methods, with the background work under `tasks`."""
        endpoint.on(LIST_CONTENTS, self.list_contents)
        endpoint.on(CHECK_BASES, self.check_bases)
        endpoint.on(MEND_HOST, self.mend)
        tasks.spawn("cached bases", self._bases.run())

    async def list_contents(self, request: ListContents, _peer: str) -> HostContents:
        """One page; the first page records the orphans.  Raises HypervisorUnavailable, HypervisorError,
        NotSupported."""
        contents = CONTENTS.of(self._tools.driver)
        if request.after:
            guests = await contents.guests()
            page, more = _page(guests, request.after)
            return HostContents(await self._with_disks(guests, page), more)
        seen = await self._look()
        await self._note(seen)
        page, more = _page(seen.guests, "")
        return HostContents(
            guests=await self._with_disks(seen.guests, page),
            more=more,
            busy=tuple(sorted(seen.busy)),
            deleted=tuple(one.id for one in seen.classes.deleted),
            elsewhere=seen.classes.elsewhere,
            unknown=seen.classes.unknown,
            drifted=_drifted(seen),
            cache=seen.cache,
            networks=await contents.networks(),
        )

    async def check_bases(self, request: CheckBases, _peer: str) -> BasesChecked:
        """Begin a round of checksums, or wait a moment for its result."""
        if request.begin:
            self._bases.check()
        return await self._bases.result(CHECK_WAIT_S)

    async def mend(self, request: MendHost, _peer: str) -> HostMended:
        """Look again, then repair.  Raises HypervisorUnavailable, HypervisorError, NotSupported: nothing was done."""
        contents = CONTENTS.of(self._tools.driver)
        seen = await self._look()
        ages = await self._note(seen)
        removed: list[str] = []
        failed: dict[str, str] = {}
        for name, remove in seen.orphans.items():
            if ages[name] >= request.pause_s:
                why = await remove()
                failed.update({name: why} if why else {})
                removed += [] if why else [name]
        self._bases.renew(request.images, request.grants)
        failures = [await _attempt(self._observer.sync), await _attempt(contents.mend_networks)]
        for one in request.unreserved:
            if one.id not in seen.busy and one.id in seen.guests and not self._queues.is_busy(one.id):
                failures.append(await _attempt(lambda one=one: self._tools.driver.ensure_network(one)))
        waiting = [name for name in seen.orphans if name not in (*removed, *failed)]
        if removed:
            log.warning("orphans were removed on request", orphans=", ".join(removed))
        return HostMended(tuple(removed), tuple(waiting), failed, tuple(filter(None, failures)))

    async def _look(self) -> _Seen:
        """The database, the hypervisor, the database: what is missing is not just being made, and what is there too
        much was not just recorded."""
        expected = await self._observer.expected()
        cache = await self._cache()
        guests = await CONTENTS.of(self._tools.driver).guests()
        classes = await self._reaper.classify(tuple(guests))
        known_busy = {one.instance_id for one in expected.guests if one.busy}
        busy = frozenset(known_busy | {one for one in guests if self._queues.is_busy(one)})
        seen = _Seen(guests, expected, busy, classes, cache)
        self._find_orphans(seen)
        return seen

    async def _cache(self) -> CacheContents:
        """Without a base that is missing where the driver cannot tell which files are in use."""
        in_use: Collection[str] = ()
        if self._tools.driver.base_images is not None:
            with contextlib.suppress(HypervisorError):  # an unreadable disk: it is a difference of its own
                in_use = await self._tools.driver.base_images.bases_in_use()
        try:
            return await self._tools.images.contents(in_use)
        except OSError as exc:
            raise HypervisorError(f"The image cache cannot be listed: {exc}") from exc

    def _find_orphans(self, seen: _Seen) -> None:
        contents, cache = CONTENTS.of(self._tools.driver), self._tools.images
        here = {one.instance_id for one in seen.expected.guests}
        for instance in seen.classes.deleted:
            if instance.id not in seen.busy:
                code = "files-deleted" if seen.guests[instance.id].power is None else "guest-deleted"
                remove = lambda one=instance: self._reaper.remove(one)  # noqa: E731
                seen.orphans[orphan(code, instance.id)] = self._while_idle(instance.id, remove)
        for guest in seen.guests.values():
            id_ = guest.instance_id
            if id_ in here and id_ not in seen.busy:
                for name in guest.left_over:
                    unlink = lambda id_=id_, name=name: contents.remove_left_over(id_, name)  # noqa: E731
                    seen.orphans[orphan("file-unfinished", f"{id_}/{name}")] = self._while_idle(id_, _removal(unlink))
            if guest.has_record and guest.files is None and guest.power is None and id_ not in {*here, *seen.busy}:
                forget = lambda id_=id_: contents.forget_record(id_)  # noqa: E731
                seen.orphans[orphan("record-kept", id_)] = _removal(forget)
        for name in seen.cache.unfinished:
            remove_part = lambda name=name: cache.remove_unfinished(name)  # noqa: E731
            seen.orphans[orphan("cache-unfinished", name)] = _removal(remove_part)

    def _while_idle(self, instance_id: InstanceId, remove: Removal) -> Removal:
        """An action may have begun since the look."""

        async def removed() -> str:
            return "an action has begun" if self._queues.is_busy(instance_id) else await remove()

        return removed

    async def _note(self, seen: _Seen) -> Mapping[str, float]:
        try:
            return await self._sightings.note(seen.orphans.keys())
        except OSError as exc:
            raise HypervisorError(f"The record of earlier looks cannot be written: {exc}") from exc

    async def _with_disks(
        self, guests: Mapping[InstanceId, GuestContents], page: list[InstanceId]
    ) -> tuple[GuestContents, ...]:
        contents = CONTENTS.of(self._tools.driver)
        found: list[GuestContents] = []
        for id_ in page:
            guest = guests[id_]
            if guest.power is not None:
                try:
                    async with asyncio.timeout(DISK_S):
                        guest = replace(guest, disk=await contents.disk_trouble(id_))
                except TimeoutError:
                    guest = replace(guest, unread="it does not respond")
                except (HypervisorError, HypervisorUnavailable) as exc:
                    guest = replace(guest, unread=exc.message)
            found.append(guest)
        return tuple(found)


def _page(guests: Mapping[InstanceId, GuestContents], after: str) -> tuple[list[InstanceId], bool]:
    rest = sorted(id_ for id_ in guests if id_ > after)
    return rest[:GUESTS_PER_PAGE], len(rest) > GUESTS_PER_PAGE


def _drifted(seen: _Seen) -> tuple[InstanceId, ...]:
    """Guests that exist with another power state than the recorded one."""
    states = {id_: GuestState(one.power) for id_, one in seen.guests.items() if one.power is not None}
    return tuple(one.instance_id for one in differences(seen.expected.guests, states, 0) if one.power is not None)


def _removal(remove: Callable[[], Awaitable[None]]) -> Removal:
    async def removed() -> str:
        return await _attempt(remove)

    return removed


async def _attempt(work: Callable[[], Awaitable[None]]) -> str:
    """Why the work could not be done; empty when it is done."""
    try:
        await work()
    except HypervisorUnavailable:
        raise
    except (KilonovaError, OSError) as exc:
        return str(exc)
    return ""
