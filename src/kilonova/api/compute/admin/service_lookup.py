# SPDX-License-Identifier: Apache-2.0
"""All services: the records of hosts with their latest heartbeats, and the conductor itself.

Heartbeats are only in the conductor's memory, so the API requests them from it.  The conductor has no record: its
services follow from its reply.  The scheduler is a library of the conductor and runs with it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from kilonova.api.http.call import Call
from kilonova.base.errors import KilonovaError
from kilonova.db.readers import hosts
from kilonova.networks.ids import service_id
from kilonova.objects.ids import HostName
from kilonova.objects.service import Service
from kilonova.rpcapi.api_to_conductor_admin import LAST_HEARD, AskLastHeard, LastHeard

CONDUCTOR, SCHEDULER = "kilonova-conductor", "kilonova-scheduler"
INTERNAL = "internal"
"""The zone of services other than compute services."""


async def all_services(call: Call) -> list[Service]:
    """Services sorted by host and binary.  If the conductor does not answer, it is missing, and times are those of the
    records."""
    found = await call.db.read(hosts.list_services)
    heard: LastHeard | None = None
    with contextlib.suppress(KilonovaError):
        heard = await call.deps.rpc.call(LAST_HEARD, AskLastHeard())
    if heard is None:
        return found
    found = [_heard(service, heard.hosts) for service in found]
    found += [_of_conductor(heard, binary) for binary in (CONDUCTOR, SCHEDULER)]
    return sorted(found, key=lambda service: (service.host, service.binary))


def _heard(service: Service, at: Mapping[HostName, datetime]) -> Service:
    return replace(service, updated_at=max(service.updated_at, at.get(service.host, service.updated_at)))


def _of_conductor(heard: LastHeard, binary: str) -> Service:
    return Service(
        id=service_id(heard.conductor, binary),
        host=heard.conductor,
        binary=binary,
        topic=binary.rpartition("-")[2],
        zone=INTERNAL,
        epoch=1,
        up=True,
        disabled=False,
        disabled_reason=None,
        disabled_by_host=False,
        forced_down=False,
        version=1,
        updated_at=heard.now,
        created_at=heard.started_at,
    )
