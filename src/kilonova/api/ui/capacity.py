# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/hosts: of each host, what of its capacity is claimed.  Compute shows what a host has, and not how much of
it the host offers: that is another number where guests share CPUs or memory is kept for the host."""

from pydantic_core import to_json
from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.ui.files import SAFE
from kilonova.db.readers import hosts
from kilonova.objects.service import ComputeNode

RULE = "kilonova:hosts:capacity"


class Amounts(TypedDict):
    """`physical`: what the machine has.  `capacity`: what servers may claim, with the ratio and the reserve of the
    host's configuration.  `used`: the claims."""

    physical: int
    capacity: int
    used: int


class HostCapacity(TypedDict):
    """`disk_work`: open actions that work with disks there.  `failed_builds`: builds that failed there in the last
    hour, for a reason of the host, since the last success.  `disk_short`: why no disks are placed there, or empty."""

    host: str
    code_version: int
    vcpus: Amounts
    memory_mib: Amounts
    disk_gib: Amounts
    disk_work: int
    failed_builds: int
    disk_short: str


async def show(call: Call) -> Reply:
    """Show the capacity of each host that has reported its inventory, by host."""
    nodes = await call.db.read(hosts.nodes_to_place, call.deps.clock.now())
    body = to_json({"hosts": [_capacity(node) for node in nodes]})
    return Reply(body, headers=(*SAFE, ("Cache-Control", "no-store")))


def _capacity(node: ComputeNode) -> HostCapacity:
    has = node.inventory
    return {
        "host": node.service.host,
        "code_version": node.service.version,
        "vcpus": {"physical": has.vcpus, "capacity": has.vcpus_capacity, "used": node.vcpus_used},
        "memory_mib": {
            "physical": has.memory_mib,
            "capacity": has.memory_mib_capacity,
            "used": node.memory_mib_used,
        },
        "disk_gib": {"physical": has.disk_gib, "capacity": has.disk_gib_capacity, "used": node.disk_gib_used},
        "disk_work": node.io_ops,
        "failed_builds": node.failed_builds,
        "disk_short": has.disk_short,
    }
