# SPDX-License-Identifier: Apache-2.0
"""The requests of operators, each by its name in a plan.  An operator undoes what it did, and returns then."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from kilonova.base.errors import KilonovaError, NotFound
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import FORGET_HOST, ForgetHost
from tests.simulation.explore.cloud import Answer
from tests.simulation.explore.faults import Scene
from tests.simulation.explore.plan import LONGEST_S

Edit = Callable[[Scene, Random], Awaitable[None]]
COMPUTE = "/compute/v2.1"


async def change_service(scene: Scene, host: str, **words: object) -> Answer:
    """Change the service of a host, as `openstack compute service set` does."""
    rows = scene.cloud.observer.rows("SELECT id FROM services WHERE host = ? AND binary = 'kilonova-compute'", host)
    if not rows:
        return Answer(404)
    return await scene.cloud.request("PUT", f"{COMPUTE}/os-services/{rows[0]['id']}", words)


async def _disable(scene: Scene, random: Random) -> None:
    host = scene.host(random).name
    scene.note(f"an operator disables host {host}")
    await change_service(scene, host, status="disabled")
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    await change_service(scene, host, status="enabled")


async def _force_down(scene: Scene, random: Random) -> None:
    host = scene.host(random).name
    scene.note(f"an operator forces host {host} down")
    await force_down(scene, host)
    await asyncio.sleep(random.uniform(1, LONGEST_S))
    await change_service(scene, host, forced_down=False)


_OPEN = """
SELECT id, verb FROM actions AS a WHERE host = ? AND state = 'open' AND verb != 'delete'
AND EXISTS (SELECT 1 FROM services AS s WHERE s.host = a.host AND s.forced_down)
"""


async def force_down(scene: Scene, host: str) -> None:
    """No work of the host is open any more when the answer arrives."""
    before = {row["id"] for row in scene.cloud.observer.rows(_OPEN.partition("AND EXISTS")[0], host)}
    answer = await change_service(scene, host, forced_down=True)
    left = [row["verb"] for row in scene.cloud.observer.rows(_OPEN, host) if row["id"] in before]
    if answer.code == 200 and left:
        scene.cloud.defects.append(f"Host {host} was forced down, and its {', '.join(left)} is still open.")


USUAL_QUOTA = 30
"""Servers of a project."""


async def change_quota(scene: Scene, servers: int) -> None:
    """Change how many servers the project may have."""
    await scene.cloud.request("PUT", f"{COMPUTE}/os-quota-sets/p1", {"quota_set": {"instances": servers}})


async def _quota(scene: Scene, random: Random) -> None:
    scene.note("an operator lowers a quota")
    await change_quota(scene, random.randint(0, 8))
    await asyncio.sleep(random.uniform(1, LONGEST_S / 2))
    await change_quota(scene, USUAL_QUOTA)


async def _flavor(scene: Scene, random: Random) -> None:
    number = random.randrange(3)
    scene.note(f"an operator edits flavor x{number}")
    flavor = {"id": f"x{number}", "name": f"x{number}", "vcpus": 1, "ram": 512, "disk": 1}
    await scene.cloud.request("POST", f"{COMPUTE}/flavors", {"flavor": flavor})
    await scene.cloud.request("PUT", f"{COMPUTE}/flavors/x{number}", {"flavor": {"description": "edited"}})
    await asyncio.sleep(random.uniform(0, LONGEST_S / 2))
    await scene.cloud.request("DELETE", f"{COMPUTE}/flavors/x{number}")


async def _aggregate(scene: Scene, random: Random) -> None:
    host = scene.host(random).name
    scene.note(f"an operator makes an aggregate with host {host}")
    name = f"aggregate-{random.getrandbits(32)}"
    made = await scene.cloud.request("POST", f"{COMPUTE}/os-aggregates", {"aggregate": {"name": name}})
    if made.code == 200:
        path = f"{COMPUTE}/os-aggregates/{made.body['aggregate']['id']}"
        await scene.cloud.request("POST", f"{path}/action", {"add_host": {"host": host}})
        await asyncio.sleep(random.uniform(1, LONGEST_S / 2))
        await scene.cloud.request("POST", f"{path}/action", {"remove_host": {"host": host}})
        await scene.cloud.request("DELETE", path)


async def _delete_image(scene: Scene, random: Random) -> None:
    """An image that a client has made of a server; rarely the second base image, below servers that live."""
    rows = scene.cloud.observer.rows("SELECT id FROM images ORDER BY id")
    kept = scene.clients.images[: 1 if random.random() < 0.1 else None]
    deletable = [row["id"] for row in rows if row["id"] not in kept]
    if deletable:
        image = random.choice(deletable)
        scene.note(f"image {image[:8]} is deleted")
        await scene.cloud.request("DELETE", f"/image/v2/images/{image}")


async def _reset(scene: Scene, random: Random) -> None:
    if scene.clients.slots:
        slot = random.choice(sorted(scene.clients.slots))
        await scene.clients.action(0, scene.clients.slots[slot], "resetState to active", random)


async def _evacuate(scene: Scene, random: Random) -> None:
    """Give up a host that is off, and evacuate its servers."""
    off = sorted(host.name for host in scene.cloud.hosts.values() if host.off)
    if not off:
        return
    if not await give_up(scene, random.choice(off)):
        return
    for server in sorted(scene.clients.slots.values()):
        await scene.clients.action(0, server, "evacuate", random)


_ON_HOST = "SELECT id FROM instances WHERE host = ? AND deleted_at IS NULL"


async def give_up(scene: Scene, host: str) -> bool:
    """Give up a host, as `kilonova host forget` does.  Returns whether it is given up."""
    cloud = scene.cloud
    there = {row["id"] for row in cloud.observer.rows(_ON_HOST, host)}
    try:
        await scene.cloud.rpc.call(FORGET_HOST, ForgetHost(HostName(host)))
    except KilonovaError as exc:
        scene.note(f"host {host} is not given up: {exc.message[:60]}")
        return isinstance(exc, NotFound)
    cloud.buried |= {(host, "")} | {(host, server) for server in there}
    kept = {row["instance_id"] for row in cloud.observer.rows("SELECT * FROM tombstones WHERE host = ?", host)}
    living = {row["id"] for row in cloud.observer.rows("SELECT id FROM instances WHERE deleted_at IS NULL")}
    if lost := (there & living) - kept:
        cloud.defects.append(f"Host {host} was given up, and nothing remembers its copies of {sorted(lost)}.")
    scene.note(f"an operator gives host {host} up")
    return True


async def _list_hosts(scene: Scene, _random: Random) -> None:
    for path in ("os-services", "os-hypervisors", "os-aggregates", "flavors/detail", "limits"):
        await scene.cloud.request("GET", f"{COMPUTE}/{path}")


EDITS: Mapping[str, Edit] = {
    "disable a host": _disable,
    "force a host down": _force_down,
    "change a quota": _quota,
    "edit a flavor": _flavor,
    "edit an aggregate": _aggregate,
    "delete an image": _delete_image,
    "reset a state": _reset,
    "evacuate servers": _evacuate,
    "list hosts": _list_hosts,
}
"""Each edit of a plan."""
