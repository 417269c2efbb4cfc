# SPDX-License-Identifier: Apache-2.0
"""Serves `kilonova verify`: looks at the database and at one host at a time, twice, and repairs on request.

A look changes nothing.  Repairs are transactions that judge again, operations of the host, and requests that the API
accepts, too: a server with an open action is never repaired.
"""

from collections.abc import Iterable
from dataclasses import replace

import structlog

from kilonova.base.clock import Clock
from kilonova.base.context import system_context
from kilonova.base.errors import KilonovaError, NotFound
from kilonova.conductor.engine.accept import accept
from kilonova.conductor.hosts.guests import without_secrets
from kilonova.conductor.verify import database
from kilonova.conductor.verify.host import Look, differences, images_of, listed
from kilonova.db.engine import Database
from kilonova.db.readers import holdings, image_stores
from kilonova.db.readers import hosts as read_hosts
from kilonova.images.signing import grant
from kilonova.objects.action_params import RebootParams
from kilonova.objects.difference import KINDS, Difference, in_both
from kilonova.objects.ids import ActionId, HostName, ImageId, InstanceId
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.to_host import WAKE, Wake
from kilonova.rpcapi.to_host_verify import (
    CHECK_BASES,
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
from kilonova.rpcapi.verify import (
    MOST_DIFFERENCES,
    VERIFY_DATABASE,
    VERIFY_HOST,
    Verified,
    VerifyDatabase,
    VerifyHost,
)

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
"""Between two looks at a host: a report that was on its way has arrived, an answer to an operator is not late."""
RESERVED_MOST = 50
"""The number of servers in one message: a second repair has the next ones."""
REPAIRED, REQUESTED = "repaired", "requested"


class VerifyService:
    """See kilonova.rpcapi.verify."""

    def __init__(self, db: Database, clock: Clock, rpc: Caller) -> None:
        self._db, self._clock, self._rpc = db, clock, rpc

    def serve(self, endpoint: Endpoint) -> None:
        """Serve the methods."""
        endpoint.on(VERIFY_DATABASE, self.verify_database)
        endpoint.on(VERIFY_HOST, self.verify_host)

    async def verify_database(self, request: VerifyDatabase, _peer: str) -> Verified:
        """One snapshot; a repair is one transaction."""
        if not request.repair:
            return _verified(await self._db.read(database.differences))
        mended = await self._db.write(database.mend)
        for one in mended:
            log.warning("a difference was repaired", code=one.code, subject=one.subject, found=one.found)
        left = await self._db.read(database.differences)
        return _verified((*(replace(one, outcome=REPAIRED) for one in mended), *left))

    async def verify_host(self, request: VerifyHost, _peer: str) -> Verified:
        """Two looks.  A host that does not answer is not compared, and the reply says why.  Raises NotFound."""
        host = request.host
        if await self._db.read(read_hosts.process_of, host) is None:
            raise NotFound(f"There is no host {host}.")
        try:
            bases = await self._bases(request)
            if bases.running:
                return Verified(running=True)
            look = await self._look(host, bases.damaged)
            found = differences(look)
            if found:
                await self._clock.sleep(AGAIN_S)
                look = await self._look(host, bases.damaged)
                found = in_both(found, differences(look))
            if request.repair and found:
                found = await self._repair(request, look, found)
        except KilonovaError as exc:
            return Verified(unseen=f"Host {host} could not be compared: {exc.message}")
        return replace(_verified(found), unseen=_unread(look))

    async def _bases(self, request: VerifyHost) -> BasesChecked:
        if not request.checksums:
            return BasesChecked(running=False)
        return await self._rpc.call(CHECK_BASES, CheckBases(request.begin), request.host)

    async def _look(self, host: HostName, damaged: tuple[str, ...]) -> Look:
        """The records are read before the host: a server that is made meanwhile does not seem to have no guest."""
        records = await self._db.read(holdings.of_host, host)
        first = await self._rpc.call(LIST_CONTENTS, ListContents(), host)
        guests, page = list(first.guests), first
        while page.more and guests:
            page = await self._rpc.call(LIST_CONTENTS, ListContents(guests[-1].instance_id), host)
            guests += page.guests
        contents: HostContents = replace(first, guests=tuple(guests), more=False)
        return Look(host, records, contents, damaged)

    async def _repair(self, request: VerifyHost, look: Look, found: Iterable[Difference]) -> tuple[Difference, ...]:
        wanted = [one for one in found if one.repair]
        images = images_of(look.records)
        fetched = tuple(images[one.subject] for one in wanted if one.code in ("base-missing", "base-damaged"))
        keys = await self._db.read(image_stores.keys)
        now = self._clock.now()
        grants: dict[ImageId, str] = {one.id: grant(one.id, look.host, now, keys[0]) for one in fetched if keys}
        servers = [one.subject for one in wanted if one.code == "reservation-missing"][:RESERVED_MOST]
        unreserved = tuple(without_secrets(look.records.servers[InstanceId(id_)]) for id_ in servers)
        mend = MendHost(request.pause_s, unreserved, fetched, grants)
        mended = await self._rpc.call(MEND_HOST, mend, look.host)
        outcomes: list[Difference] = []
        for one in found:
            is_rebooted = one.code == "guest-missing" and one.repair
            outcome = await self._reboot(one, look) if is_rebooted else _outcome(one, mended)
            outcomes.append(replace(one, outcome=outcome))
        return tuple(outcomes)

    async def _reboot(self, found: Difference, look: Look) -> str:
        """Accept a reboot, as the API does: it is refused while another action is open."""
        action_id, now = ActionId(self._clock.new_id()), self._clock.now()
        server = look.records.servers[InstanceId(found.subject)]
        context = replace(system_context(f"req-{action_id}"), project_id=server.project_id)
        request = AcceptAction(context, server.id, Verb.REBOOT, RebootParams("HARD"))
        try:
            await self._db.write(accept, request, action_id, now)
        except KilonovaError as exc:
            return exc.message
        log.warning("a server without a guest is rebooted on request", instance=found.subject)
        await self._rpc.cast(WAKE, Wake(), look.host)
        return REQUESTED


def _unread(look: Look) -> str:
    unread = [one for one in look.contents.guests if one.unread]
    if not unread:
        return ""
    names = listed([one.instance_id for one in unread])
    return f"The disks of these guests on host {look.host} could not be checked: {names} ({unread[0].unread})."


def _outcome(found: Difference, mended: HostMended) -> str:
    if not found.repair:
        return ""
    if found.code in ("base-missing", "base-damaged"):
        return REQUESTED
    if not KINDS[found.code].orphan:
        return "; ".join(mended.failures) or REPAIRED
    name = orphan(found.code, found.subject)
    if name in mended.failed:
        return mended.failed[name]
    if name in mended.waiting:
        return "not removed: no earlier look has found it, or not long enough ago; repeat the command"
    return REPAIRED


def _verified(found: tuple[Difference, ...]) -> Verified:
    return Verified(found[:MOST_DIFFERENCES], len(found))
