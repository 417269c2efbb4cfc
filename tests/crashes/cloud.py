# SPDX-License-Identifier: Apache-2.0
"""The two clouds of the matrix, with processes that die: a box, and a fleet on PostgreSQL and NATS."""

import asyncio
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import FORGET_HOST, ForgetHost
from kilonova.virt.fake.durable import DIRECTORY, guests_in
from kilonova.virt.fake.machine import FakeGuest
from lab.cloud import free_port
from lab.common import memory_directory
from lab.postgres import PrivatePostgres
from tests.contract.buses import nats_server
from tests.crashes.victim import Programs, Victim
from tests.live.box import CloudClient, wait_for
from tests.live.fleet import Fleet

BOX, COMPUTE, CONDUCTOR, API = ROLES = ("box", "compute", "conductor", "api")
NUMBERS = count(1)
DRIVER = "fake.DurableFakeDriver"
CONFIG = f"""
[DEFAULT]
compute_driver = {DRIVER}
report_interval = 4
action_poll_interval = 2
orphan_report_interval = 5
shutdown_timeout = 3
[conductor]
watchdog_interval = 4
[quota]
instances = -1
cores = -1
ram = -1
"""


@dataclass
class Cloud:
    """`victims` by role; `machines` are the directories of the hosts' guests."""

    client: CloudClient
    victims: Mapping[str, Sequence[Victim]]
    machines: Sequence[Path]
    another_host: Callable[[], Victim] | None = None
    """Starts one more host, which is not among the victims; only in a fleet."""
    forget: Callable[[str], None] | None = None
    """Gives up a host that is down; only in a fleet."""
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def image(self) -> str:
        """The image of all servers."""
        with tempfile.NamedTemporaryFile(suffix=".raw") as file:
            file.write(b"\x55" * 65536)
            file.flush()
            return self.client.upload(Path(file.name), "raw")

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The ids of what each cloud has: an image, a server, a host and its service, the administrator."""
        http = self.client.http
        server = self.client.create(self.image, "of all")
        self.client.wait_status(server, "ACTIVE")
        service = http.get("/compute/v2.1/os-services?binary=nova-compute").json()["services"][0]
        user = http.get("/identity/v3/users?name=admin").json()["users"][0]["id"]
        project = http.get("/identity/v3/projects?name=admin").json()["projects"][0]["id"]
        role = http.get("/identity/v3/roles?name=member").json()["roles"][0]["id"]
        facts = {"image": self.image, "server": server, "service": service["id"], "host": service["host"]}
        facts |= {"user": user, "project": project, "role": role}
        return {f"{{{name}}}": fact for name, fact in facts.items()}

    @property
    def every(self) -> list[Victim]:
        """All processes."""
        return [victim for victims in self.victims.values() for victim in victims]

    def arm(self, role: str, plan: str) -> None:
        """Arm the processes of one role, and disarm the others."""
        for victim in self.every:
            victim.arm(plan if victim.role == role else "")

    def revive(self) -> None:
        """Start the processes that have died, and wait until they serve.  One may still die meanwhile."""
        while dead := [victim for victim in self.every if not victim.alive]:
            for victim in dead:
                victim.start()
            for victim in dead:
                victim.ready()

    def guests(self, server_id: str) -> list[Mapping[str, Any]]:
        """What lies of the guest of a server, on each machine that has something."""
        found = (guests_in(machine, server_id) for machine in self.machines)
        return [_shown(guest) for guests in found for guest in guests.values()]

    def close(self) -> None:
        """End all processes."""
        for victim in self.every:
            victim.kill()
        self.client.http.close()
        self.stack.close()


def _shown(guest: FakeGuest) -> Mapping[str, Any]:
    definition = guest.definition
    return {
        "power": guest.power.name,
        "reason": guest.reason,
        "starts": guest.starts,
        "base": guest.base is not None,
        "rescue": guest.rescue is not None,
        "disk": guest.disk_bytes,
        "kept": guest.kept_disk is not None,
        "snapshots": len(guest.snapshots),
        "config drive": guest.config_drive is not None,
        "network": guest.network,
        "flavor": definition and definition.flavor.name,
    }


def _answers(client: CloudClient) -> bool:
    try:
        return client.http.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def box(programs: Programs, *words: str, directory: Path | None = None) -> Cloud:
    """A box that serves, with an administrator who is logged in.  `words` are more of its command line."""
    with ExitStack() as stack:
        if directory is None:
            made = tempfile.TemporaryDirectory(prefix="kn-crash-", dir=memory_directory())
            directory = Path(stack.enter_context(made))
        config = directory / "nova.conf"
        config.write_text(CONFIG)
        client, state, clouds = CloudClient(free_port()), directory / "state", directory / "clouds.yaml"
        line = ["up", "--config-file", str(config), "--state-path", str(state), *words]
        line += ["--listen", f"127.0.0.1:{client.port}", "--clouds-file", str(clouds)]
        victim = Victim(BOX, programs, line, directory, BOX)
        victim.is_ready = lambda: _answers(client)
        cloud = Cloud(client, {BOX: [victim]}, [state / DIRECTORY], stack=stack.pop_all())
        cloud.revive()
        wait_for(clouds.exists, why=victim.last_words)
        client.log_in(clouds)
        return cloud


def fleet(programs: Mapping[str, Programs], postgres: PrivatePostgres) -> Cloud:
    """An API process, a conductor and two hosts that serve."""
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="kn-crash-", dir=memory_directory())
        directory, nats = Path(stack.enter_context(made)), stack.enter_context(nats_server())
        made_fleet = Fleet(directory, nats)
        made_fleet.config.write_text(
            made_fleet.config.read_text()
            .replace("fake.FakeDriver", DRIVER)
            .replace("report_interval = 0.5", "report_interval = 2")
            .replace("action_poll_interval = 1", "action_poll_interval = 2")
            .replace("watchdog_interval = 0.5", "watchdog_interval = 2")
            .replace("[conductor]", "service_down_time = 6\n[conductor]")
            + "[quota]\ninstances = -1\ncores = -1\nram = -1\n[image]\nupkeep_interval = 4\n"
        )
        made_fleet.use(postgres.create_database(f"crash{next(NUMBERS)}"))
        api = made_fleet.api_server()
        hosts = {"host1": made_fleet.host("host1"), "host2": made_fleet.host("host2")}
        services = {API: {"api1": api.service}, CONDUCTOR: {"conductor": made_fleet.conductor}, COMPUTE: hosts}
        victims = {
            role: [Victim(role, programs[role], one.words, directory, name) for name, one in ones.items()]
            for role, ones in services.items()
        }
        machines = [directory / name / DIRECTORY for name in hosts]
        another = partial(_another_host, made_fleet, programs[COMPUTE])
        cloud = Cloud(api, victims, machines, another, partial(_forget, made_fleet), stack.pop_all())
        for role in (CONDUCTOR, API, COMPUTE):
            for victim in victims[role]:
                victim.start()
        for victim in cloud.every:
            victim.ready()
        made_fleet.bootstrap(api)
        return cloud


def _another_host(made: Fleet, programs: Programs) -> Victim:
    name = f"lost{next(NUMBERS)}"
    victim = Victim(COMPUTE, programs, made.host(name).words, made.directory, name)
    victim.start()
    victim.ready()
    return victim


def _forget(made: Fleet, host: str) -> None:
    async def call() -> None:
        async with made.api() as api:
            await api.call(FORGET_HOST, ForgetHost(HostName(host)))

    asyncio.run(call())


@contextmanager
def databases() -> Generator[PrivatePostgres]:
    """A PostgreSQL server for all fleets."""
    with tempfile.TemporaryDirectory(prefix="kn-pg-", dir=memory_directory()) as directory:
        Path(directory).chmod(0o711)
        with PrivatePostgres(Path(directory) / "pg", {"max_connections": "300"}) as server:
            yield server
