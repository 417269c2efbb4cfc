# SPDX-License-Identifier: Apache-2.0
"""All services: the records of hosts with their latest heartbeats, of conductors and of API processes.

Heartbeats are only in the conductors' memory, so the API requests them from one of them, which has received those of
all hosts.  The conductors and API processes of a fleet have records that they renew; the conductor of a one box has
none, and follows from its reply.  The scheduler is a library of the conductor and runs with it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from kilonova.api.http.call import Call
from kilonova.base.errors import KilonovaError
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import CONDUCTOR
from kilonova.networks.ids import service_id
from kilonova.objects.ids import HostName
from kilonova.objects.service import Service
from kilonova.rpcapi.api_to_conductor_admin import LAST_HEARD, AskLastHeard, LastHeard

SCHEDULER = "kilonova-scheduler"
INTERNAL = "internal"
"""The zone of services other than compute services."""


async def all_services(call: Call) -> list[Service]:
    """Services sorted by host and binary.  If no conductor answers, times are those of the records."""
    found = await call.db.read(hosts.services_at, call.deps.clock.now())
    heard: LastHeard | None = None
    with contextlib.suppress(KilonovaError):
        heard = await call.deps.rpc.call(LAST_HEARD, AskLastHeard())
    if heard is not None:
        found = [_heard(service, heard.hosts) for service in found]
        if all((service.host, service.binary) != (heard.conductor, CONDUCTOR) for service in found):
            found.append(_of_conductor(heard))
    found += [_scheduler(service) for service in found if service.binary == CONDUCTOR]
    return sorted(found, key=lambda service: (service.host, service.binary))


def _heard(service: Service, at: Mapping[HostName, datetime]) -> Service:
    if service.expires_at is not None:
        return service
    return replace(service, updated_at=max(service.updated_at, at.get(service.host, service.updated_at)))


def _scheduler(conductor: Service) -> Service:
    number = service_id(conductor.host, SCHEDULER)
    return replace(conductor, id=number, binary=SCHEDULER, topic=SCHEDULER.rpartition("-")[2])


def _of_conductor(heard: LastHeard) -> Service:
    return Service(
        id=service_id(heard.conductor, CONDUCTOR),
        host=heard.conductor,
        binary=CONDUCTOR,
        topic=CONDUCTOR.rpartition("-")[2],
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
