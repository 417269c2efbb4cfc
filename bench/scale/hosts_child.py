# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.scale.hosts_child PLAN`: many hosts in one process.

Each host is the compute manager with the fake driver, a connection to NATS with credentials of its own, and the
intervals of the configuration.  Nothing of the control plane is simulated.  The process prints a line of JSON each
second (see `Report`), until SIGTERM.
"""

import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import uvloop

from kilonova.base import logging
from kilonova.base.clock import SystemClock
from kilonova.base.failpoints import Failpoints
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.compute.fleet_images import FleetImages
from kilonova.compute.host_identity import read_identity
from kilonova.compute.manager import ComputeManager, Parts
from kilonova.config.load import Settings, load
from kilonova.images.client import StoreClient
from kilonova.images.store import ImageStore
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.states import PowerState
from kilonova.rpc.nats import NatsBus
from kilonova.rpc.transport_url import Access
from kilonova.virt.fake import FakeDriver, FakeHypervisor
from kilonova.virt.fake.machine import FakeGuest
from kilonova.wiring.examiner import Examiner


@dataclass(frozen=True, slots=True)
class HostsPlan:
    """Which hosts, with how many running guests each (see `guest_id`).  `directory` has their credentials and
    states."""

    directory: str
    first: int
    count: int
    guests: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The hosts that are ready, and those with a connection; `answered_at`: of all hosts, the oldest monotonic time at
    which a host received its last answer from a conductor."""

    ready: int
    connected: int
    answered_at: float


def host_name(number: int) -> str:
    """The name of a simulated host."""
    return f"h{number:05}"


def guest_id(host: int, number: int) -> InstanceId:
    """The id of a guest of a simulated host; SQL computes the same (see rows)."""
    found = hashlib.md5(f"guest-{host}-{number}".encode(), usedforsecurity=False).hexdigest()
    return InstanceId("-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:])))


class WatchedBus(NatsBus):
    """A bus that keeps the time of its last answer."""

    answered_at: float = 0.0

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        reply = await super().request(subject, payload, timeout_s)
        self.answered_at = asyncio.get_running_loop().time()
        return reply


class Hosts:
    """The hosts of this process."""

    def __init__(self, plan: HostsPlan, tasks: Supervisor, stack: AsyncExitStack) -> None:
        self._plan, self._tasks, self._stack = plan, tasks, stack
        self._clock, self._files = SystemClock(), DaemonWorkers("files", 4)
        self._settings = load(overrides={("DEFAULT", "compute_driver"): "fake.FakeDriver"})
        self._client = StoreClient("")
        self._store = ImageStore(Path(plan.directory) / "images", self._files)
        self._hosts: list[tuple[ComputeManager, WatchedBus]] = []

    async def start(self) -> None:
        """Start them all, some at a time, as machines that boot together would."""
        gate = asyncio.Semaphore(32)

        async def one(number: int) -> None:
            async with gate:
                await self._start(number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(self._plan.first, self._plan.first + self._plan.count):
                tasks.create_task(one(number))

    async def _start(self, number: int) -> None:
        settings = self._settings_of(host_name(number))
        manager = ComputeManager(
            read_identity(settings.default.state_path, settings.default.host, self._clock),
            settings,
            Parts(
                self._clock,
                lambda conductor: FleetImages(conductor, self._client, self._clock, self._store),
                self._files,
                Failpoints(),
                Examiner(settings, self._clock).examine,
            ),
            lambda virtapi: FakeDriver(virtapi, settings, hypervisor=self._machine(number)),
        )
        access = Access(credentials_file=settings.default.transport_credentials)
        bus = WatchedBus(access, f"host-{settings.default.host}", self._clock)
        await self._stack.enter_async_context(bus)
        self._hosts.append((manager, bus))
        self._tasks.spawn(f"start {number}", manager.start(bus, self._tasks))

    def _settings_of(self, name: str) -> Settings:
        directory = Path(self._plan.directory)
        state = directory / "states" / name
        state.mkdir(parents=True, exist_ok=True)
        own = replace(
            self._settings.default,
            host=name,
            state_path=state,
            instances_path=str(state / "instances"),
            transport_credentials=str(directory / "credentials" / f"{name}.kilonova"),
        )
        return replace(self._settings, default=own)

    def _machine(self, host: int) -> FakeHypervisor:
        machine = FakeHypervisor(vcpus=64, memory_mib=256 * 1024, disk_gib=4000)
        for number in range(self._plan.guests):
            machine.guests[guest_id(host, number)] = FakeGuest(definition=TEMPLATE, power=PowerState.RUNNING)
        return machine

    def report(self) -> Report:
        """How they are now."""
        return Report(
            sum(manager.ready()[0] for manager, _ in self._hosts),
            sum(bus.connected for _, bus in self._hosts),
            min((bus.answered_at for _, bus in self._hosts), default=0.0),
        )


def _template() -> Instance:
    image = ImageRef(ImageId("0" * 36), "raw", 1 << 20, 1 << 20, "0" * 128)
    now = SystemClock().now()
    return Instance(
        InstanceId("0" * 36), "p", "u", "guest", "guest", Flavor(FlavorId("1"), "m1.nano", 1, 128, 1), image,
        created_at=now, updated_at=now,
    )  # fmt: skip


TEMPLATE = _template()
"""What the simulated guests run: only their number and their states matter."""


async def serve(plan: HostsPlan) -> None:
    """Run the hosts until SIGTERM."""
    logging.set_up(debug=False)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncExitStack() as stack, Supervisor(SystemClock()) as tasks:
        hosts = Hosts(plan, tasks, stack)
        tasks.spawn("start", hosts.start())
        while not stop.is_set():
            print(json.dumps(asdict(hosts.report())), flush=True)
            try:
                async with asyncio.timeout(1):
                    await stop.wait()
            except TimeoutError:
                continue


def main(argv: Sequence[str]) -> None:
    """The one argument is a HostsPlan as JSON."""
    uvloop.run(serve(HostsPlan(**json.loads(argv[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
