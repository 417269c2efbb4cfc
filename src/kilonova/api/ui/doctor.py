# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/hosts/{host}/doctor and GET /ui/api/doctor: what the doctor finds.

Of a host: what its record shows, and what the host finds on its machine.  A host that is frozen delays the answer by a
ping's time limit; one whose checks hang answers with these checks as findings.
"""

from collections.abc import Iterable

from pydantic_core import to_json

from kilonova.api.compute.admin.service_lookup import all_services
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.times import micros
from kilonova.api.ui import host_record
from kilonova.api.ui.files import SAFE
from kilonova.base.errors import KilonovaError, NotFound, NotInThisVersion
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE
from kilonova.objects.examination import Examine, ReportedFinding
from kilonova.objects.ids import HostName
from kilonova.objects.service import Service
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.to_host import EXAMINE, PING, ExamineHost, Ping

RULE = "kilonova:doctor"
HOST_RULE = "kilonova:hosts:doctor"
ANSWER = "answer"
"""The check that the host, or the doctor, answers."""
ON_THE_HOST = "Run `kilonova doctor` on the host."


class Doctor:
    """`examine` examines the machine of this process, whose name is `host`."""

    def __init__(self, examine: Examine, host: str) -> None:
        self._examine, self._host = examine, host

    async def own(self, call: Call) -> Reply:
        """Show what the doctor finds on the machine of this API process: database, bus, images, clock."""
        try:
            found = await self._examine()
        except KilonovaError as exc:
            found = (
                ReportedFinding(ANSWER, "error", f"The checks cannot be run: {exc.message}", "Run `kilonova doctor`."),
            )
        return _reply(call, self._host, found)

    async def of_host(self, call: Call) -> Reply:
        """Show what the doctor finds on a host, and what the record of the host shows."""
        service = await _service(call, call.params["host"])
        now = call.deps.clock.now()
        nodes = await call.db.read(hosts.nodes_to_place, now)
        node = next((one for one in nodes if one.service.host == service.host), None)
        recorded = host_record.findings(service, node, now)
        return _reply(call, service.host, (*recorded, *await _ask(call.deps.rpc, service.host)))


async def _service(call: Call, host: str) -> Service:
    for service in await all_services(call):
        if (service.host, service.binary) == (host, COMPUTE):
            return service
    raise NotFound(f"Compute host {host[:255]} could not be found.")


async def _ask(rpc: Caller, host: HostName) -> Iterable[ReportedFinding]:
    """What the host finds.  Its process may be frozen, and its record still up: a ping shows that soon."""
    try:
        await rpc.call(PING, Ping(), host)
        return (await rpc.call(EXAMINE, ExamineHost(), host)).findings
    except NotInThisVersion:
        old = "The host has a release that cannot examine itself for this page."
        return (ReportedFinding(ANSWER, "note", old, f"Upgrade the host. Until then: {ON_THE_HOST}"),)
    except KilonovaError as exc:
        message = f"The host did not report what it finds: {exc.message}"
        return (ReportedFinding(ANSWER, "error", message, ON_THE_HOST),)


def _reply(call: Call, host: str, found: Iterable[ReportedFinding]) -> Reply:
    examination = {"host": host, "at": micros(call.deps.clock.now()), "findings": list(found)}
    return Reply(to_json({"examination": examination}), headers=(*SAFE, ("Cache-Control", "no-store")))
