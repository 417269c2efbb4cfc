# SPDX-License-Identifier: Apache-2.0
"""A cloud whose every process is behind a gate, and whose hypervisors and database are watched.

It is built of the parts of tests.simulation.world, by the code that ships.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from kilonova.api.app import create_app
from kilonova.base.errors import HostSuperseded, HostTaken
from kilonova.base.failpoints import Failpoints
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import InlineWorkers
from kilonova.compute import seeds
from kilonova.compute.local_images import LocalImages
from kilonova.compute.manager import ComputeManager, Parts
from kilonova.compute.session import HostIdentity
from kilonova.conductor import bootstrap
from kilonova.conductor.service import Conductor
from kilonova.conductor.tools import Policy as ConductorPolicy
from kilonova.conductor.tools import Tools
from kilonova.config.load import Settings, load
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.images.store import ImageStore
from kilonova.objects.ids import HostName
from kilonova.rpc.memory import MemoryHub
from kilonova.rpcapi.caller import Caller
from kilonova.virt.fake import FakeDriver
from tests.simulation.explore.asgi import send
from tests.simulation.explore.calls import Calls
from tests.simulation.explore.files import open_database
from tests.simulation.explore.gates import GATE, Gate, GatedBus, GatedDatabase
from tests.simulation.explore.image_files import keep_up
from tests.simulation.explore.journal import Observer, put_recorded
from tests.simulation.explore.ledger import Ledger, Machine
from tests.simulation.explore.plan import Plan
from tests.simulation.explore.weather import Weather
from tests.simulation.explore.work import Work
from tests.simulation.virtual import EPOCH, SimClock
from tests.simulation.world import api_deps, no_findings

NARROW = "10.64.0.0/27"
"""A network of few guests."""
ADMIN = bootstrap.FirstAdmin("u1", "p1", "no password")


class OwnClock(SimClock):
    """The clock of one process: `ahead` is its difference from the world's, and may change."""

    def __init__(self, clock: SimClock) -> None:
        self._clock, self._random = clock, clock.random
        self.ahead = timedelta(0)

    def now(self) -> Any:
        return self._clock.now() + self.ahead


Body = Callable[["Process", AsyncExitStack], Awaitable[None]]


class Process:
    """One process of a host or a conductor.  `ended`: why it has ended by itself."""

    def __init__(self, name: str, body: Body, cloud: "Cloud") -> None:
        self.name, self._body, self._cloud = name, body, cloud
        self.clock = OwnClock(cloud.clock)
        self.gate = Gate(name)
        self.cut_off = False
        self.deaf_to: frozenset[str] = frozenset()
        self.ended: BaseException | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def lives(self) -> bool:
        """Whether the process exists."""
        return self.task is not None and not self.task.done()

    def start(self) -> None:
        """Start it, unless it lives."""
        if not self.lives:
            self.ended = None
            self.gate = Gate(self.name)
            self.gate.ends = self.end
            self.task = self._cloud.tasks.spawn(self.name, self._run())

    def end(self) -> None:
        """It ends as by SIGKILL: nothing that it does from now on reaches anything."""
        self.gate.dead = True
        self.gate.thaw()
        if self.task is not None:
            self.task.cancel()

    async def kill(self) -> None:
        """`end`, and wait until nothing of it is left in this interpreter."""
        self.end()
        if self.task is not None:
            await asyncio.wait((self.task,))

    def is_cut_off(self, subject: str) -> bool:
        """Whether nothing comes or goes at this subject."""
        return self.cut_off or subject.rpartition(".")[2] in self.deaf_to

    async def _run(self) -> None:
        GATE.set(self.gate)
        try:
            async with AsyncExitStack() as stack:
                await self._body(self, stack)
                await asyncio.Event().wait()
        except* (HostSuperseded, HostTaken) as group:
            self.ended, self.gate.dead = group, True
        except* Exception as group:
            if not self.gate.dead:  # (the clean-up of a process that was killed reaches nothing, and may say so)
                self._cloud.defects.append(f"{self.name} ended with {_first(group)!r}.")


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


@dataclass
class Host:
    """A host: its machine outlives its process.  `lost`: an operator gave it up, and it stays off."""

    name: str
    machine: Machine
    process: Process
    boots: int = 1
    boot: str = "boot"
    state: str = "state"
    off: bool = False
    lost: bool = False


@dataclass
class Answer:
    """What a client receives: None without an answer."""

    code: int | None
    body: Any = None
    request_id: str = ""


@dataclass
class Cloud:
    """`defects` are sentences about what no fault explains: a process that ended, an answer 500."""

    seed: int
    state: Path
    tasks: Supervisor
    small: bool = False
    narrow: bool = False
    hosts: dict[str, Host] = field(default_factory=dict)
    conductors: list[Process] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SimClock(self.seed)
        self.weather = Weather(Random(self.seed ^ 0x5EED))
        self.hub = MemoryHub(self.weather.fate)
        self.workers = InlineWorkers()
        (self.state / seeds.FILE).write_text("the hosts' secret")
        self.settings = settings_of(self.state, NARROW if self.narrow else "")
        path = self.state / "kilonova.db"
        put_recorded(path, ADMIN)
        self.db = open_database(path)
        self.observer = Observer(path)
        self.store = ImageStore(self.state / "images", self.workers)
        self.ledger = Ledger(self.clock.monotonic)
        self.calls: list[Calls] = []
        self.buried: set[tuple[str, str]] = set()
        """Hosts that were given up, with the servers that were on them."""
        self.vanished: set[str] = set()
        """Guests that another tool has removed."""
        self.work = Work(self.observer, self.clock.monotonic, self.buried)
        self.ledger.fetched = self.work.sends
        self.api_gate = Gate("api")
        self._requests: dict[asyncio.Task[Answer], None] = {}
        """In progress, in the order of their begin.  (The order of a set would differ between two processes.)"""
        self._numbers = itertools.count(1)

    # -- processes ---------------------------------------------------------------------------------------------------

    def add_conductor(self) -> None:
        """Another conductor, which starts now."""
        process = Process(f"conductor-{len(self.conductors)}", self._conductor, self)
        self.conductors.append(process)
        process.start()

    async def _conductor(self, process: Process, stack: AsyncExitStack) -> None:
        clock = process.clock
        bus = await stack.enter_async_context(GatedBus(self.hub, self.clock, process.gate, process.is_cut_off))
        tasks = await stack.enter_async_context(Supervisor(clock))
        policy = ConductorPolicy(
            self.settings.conductor,
            HostName(process.name),
            down_time_s=self.settings.default.service_down_time,
            resize_confirm_window_s=0,
            offload_after_s=self.settings.default.shelved_offload_time,
        )
        db = GatedDatabase(self.db, process.gate, self.weather)
        conductor = Conductor(
            Tools(db, clock, self.settings.quota, Failpoints()), Caller(bus, clock), policy, Metrics()
        )
        while True:
            try:
                await conductor.start(bus, tasks)
                return
            except Exception as exc:  # as systemd does: the database may be away
                if not self.weather.refused and not self.weather.full and not self.weather.unanswered:
                    raise
                del exc
                await clock.sleep(1)

    def add_host(self, name: str) -> Host:
        """A host that starts now."""
        host = self._machine(name, name)
        host.process.start()
        return host

    def add_clone(self, original: Host) -> Host:
        """A copy of a host's machine, which starts now, and of which the cloud has no record."""
        host = self._machine(original.name, f"a copy of {original.name}")
        host.boot = "boot-copy"
        host.process.start()
        return host

    def add_process(self, host: Host) -> Process:
        """Another process of the host beside the one that it has, with a state directory of its own."""
        host.state = f"other {host.state}"
        process = Process(host.process.name, lambda process, stack: self._host(host, process, stack), self)
        process.start()
        return process

    def _machine(self, name: str, machine_name: str) -> Host:
        vcpus = 2 if self.small else 64
        machine = Machine(vcpus=vcpus, memory_mib=256 * 1024, disk_gib=4096)
        machine.name, machine.ledger = machine_name, self.ledger
        machine.changed = partial(self.ledger.enter, machine)
        machine.before_call = calls = Calls(name, self.weather, self.observer, self.clock.monotonic, self.work)
        self.calls.append(calls)
        body: Body = lambda process, stack: self._host(host, process, stack)  # noqa: E731
        host = Host(name, machine, Process(f"host-{name}", body, self))
        return host

    async def _host(self, host: Host, process: Process, stack: AsyncExitStack) -> None:
        name, clock = host.name, process.clock
        bus = await stack.enter_async_context(
            GatedBus(self.hub, self.clock, process.gate, process.is_cut_off, self.ledger.fetch, self.work.receives)
        )
        manager = ComputeManager(
            HostIdentity(
                HostName(name),
                f"node-{name}",
                f"{host.boot}-{name}-{host.boots}",
                self.clock.new_id(),
                f"{host.state}-{name}",
                clock.monotonic(),
            ),
            self.settings,
            Parts(clock, lambda _: LocalImages(self.store), self.workers, Failpoints(), no_findings),
            lambda api: FakeDriver(api, self.settings, hypervisor=host.machine),
        )
        stack.push_async_callback(manager.stop)
        tasks = await stack.enter_async_context(Supervisor(clock))
        await manager.start(bus, tasks)

    # -- the API -----------------------------------------------------------------------------------------------------

    async def open_api(self, stack: AsyncExitStack) -> None:
        """The API, and clients of it: the first is an administrator, the others are members of the same project."""
        bus = await stack.enter_async_context(GatedBus(self.hub, self.clock, self.api_gate, lambda _: False))
        db = GatedDatabase(self.db, self.api_gate, self.weather)
        tokens = TokenMinter(OneKey(b"s" * 48), self.clock, 1e6)
        deps = api_deps(self, db, bus, tokens, self.tasks)
        member = ("member", "reader")
        self.rpc = deps.rpc
        self._tokens = [
            tokens.mint(Subject("u1", "admin", "p1", "admin", roles), ("password",))[0]
            for roles in (("admin", *member), member)
        ]
        self._app = create_app(deps)
        await keep_up(self.store, db, self.rpc, self.clock, self.tasks)

    async def request(
        self, method: str, path: str, body: Any = None, *, admin: bool = True, headers: dict[str, str] | None = None
    ) -> Answer:
        """A request of a client, and what it receives: nothing if the API crashes meanwhile."""
        task = asyncio.ensure_future(self._send(method, path, body, admin=admin, headers=headers or {}))
        self._requests[task] = None
        task.add_done_callback(self._requests.pop)
        await asyncio.wait((task,))
        return Answer(None) if task.cancelled() else task.result()

    async def _send(self, method: str, path: str, body: Any, *, admin: bool, headers: dict[str, str]) -> Answer:
        words = {"X-Auth-Token": self._tokens[0 if admin else 1], "OpenStack-API-Version": "compute 2.90", **headers}
        reply = await send(self._app, method, path, body, words)
        if reply.code == 500:
            self.defects.append(f"{method} {path} was answered with 500: {reply.data.decode()}")
        return Answer(reply.code, reply.body, reply.headers.get("x-openstack-request-id", ""))

    def crash_api(self) -> None:
        """No request that is in progress gets an answer, and none goes on.  The next process serves at once."""
        for task in tuple(self._requests):
            task.cancel()

    async def until(self, what: Callable[[], bool], *, within_s: float, every_s: float = 1.0) -> bool:
        """Wait until it is true, for at most so many virtual seconds.  Returns whether it is."""
        deadline = self.clock.monotonic() + within_s
        while not what():
            if self.clock.monotonic() >= deadline:
                return False
            await asyncio.sleep(every_s)
        return True


def settings_of(state: Path, cidr: str) -> Settings:
    """Periods that let a short run contain some rounds of each, and no more: rounds are most of its cost."""
    overrides: dict[tuple[str, str], Any] = {
        ("DEFAULT", "state_path"): str(state),
        ("DEFAULT", "shutdown_timeout"): 5.0,
        ("DEFAULT", "sync_power_state_interval"): 60.0,
        ("DEFAULT", "running_deleted_instance_poll_interval"): 60.0,
        ("DEFAULT", "report_interval"): 15.0,
        ("DEFAULT", "service_down_time"): 40.0,
        ("DEFAULT", "action_poll_interval"): 30.0,
        ("conductor", "watchdog_interval"): 15.0,
        ("api", "allowed_hosts"): ["sim"],
        ("quota", "instances"): 30,
        ("network", "cidr"): cidr,
        ("quota", "cores"): 60,
    }
    return load(overrides=overrides)


@asynccontextmanager
async def opened(plan: Plan, state: Path) -> AsyncGenerator[Cloud]:
    """A cloud in which the API answers and everything else starts."""
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(Supervisor(SimClock(plan.seed)))
        cloud = Cloud(plan.seed, state, tasks, small=plan.small, narrow=plan.narrow)
        stack.push_async_callback(cloud.db.close)
        stack.callback(cloud.observer.close)
        for _ in range(plan.conductors):
            cloud.add_conductor()
        for number in range(plan.hosts):
            cloud.hosts[f"h{number}"] = cloud.add_host(f"h{number}")
        await cloud.open_api(stack)
        yield cloud


__all__ = ["EPOCH", "Answer", "Cloud", "Host", "Process", "opened"]
