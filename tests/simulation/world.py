# SPDX-License-Identifier: Apache-2.0
"""A cloud under virtual time: every clock, id, random choice and thread follows from one seed.

The API, a conductor and hosts run as "processes" (a task each, with a bus end and a supervisor of its own) by the same
code as in real running.  Messages between them are lost, doubled and late as the seed says.  Nothing waits for real:
when no task can go on, time jumps to the next timer.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

import httpx

from kilonova.api.app import ApiDeps, create_app
from kilonova.api.http.disk_space import DiskSpace
from kilonova.api.http.login_limits import LoginLimits
from kilonova.api.http.policy import Policy
from kilonova.api.http.token_revalidation import TokenRevalidationCache
from kilonova.api.rules import RULES
from kilonova.base.errors import HostSuperseded, HostTaken, InvalidState, RpcTimeout
from kilonova.base.failpoints import Failpoints
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import InlineWorkers
from kilonova.compute import seeds
from kilonova.compute.local_images import LocalImages
from kilonova.compute.manager import ComputeManager, Parts
from kilonova.compute.operation import Operation
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.session import HostIdentity
from kilonova.conductor import bootstrap
from kilonova.conductor.engine.plan import PLANS, Plan
from kilonova.conductor.service import Conductor
from kilonova.conductor.tools import Policy as ConductorPolicy
from kilonova.conductor.tools import Tools
from kilonova.config.load import Settings, load
from kilonova.db.engine import Database
from kilonova.db.readers import quotas, servers
from kilonova.identity.key_ring import OneKey
from kilonova.identity.passwords import Passwords
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.images.own_store import OwnStore
from kilonova.images.store import ImageStore
from kilonova.objects.console import ConsoleStream, ConsoleTicket
from kilonova.objects.examination import ReportedFinding
from kilonova.objects.ids import HostName
from kilonova.objects.quota import Usage, usage_of
from kilonova.objects.states import Verb
from kilonova.rpc.bus import Bus, Handler
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi.caller import Caller
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import CutOff, FakeHypervisor
from tests import template
from tests.simulation.virtual import Network, SimClock

T = TypeVar("T")


class NoConsoles:
    """Nobody types in a simulation."""

    async def open(self, ticket: ConsoleTicket) -> ConsoleStream:
        raise InvalidState(f"{ticket.instance_id} on {ticket.host} has no console here.")


async def no_findings() -> tuple[ReportedFinding, ...]:
    """A simulated machine has nothing that a doctor can look at."""
    return ()


class Process:
    """One process of the simulated cloud.  `kill` ends it between two of its steps, as SIGKILL would; `ended` is why it
    has ended by itself, as a host's does that has lost its host: nobody starts it again."""

    def __init__(self, body: Callable[[], Awaitable[None]], tasks: Supervisor) -> None:
        self._body, self._tasks = body, tasks
        self._task: asyncio.Task[Any] | None = None
        self.ended: HostSuperseded | HostTaken | None = None

    def start(self) -> None:
        self.ended = None
        self._task = self._tasks.spawn("process", self._run())

    async def kill(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            await self._body()
        except* (HostSuperseded, HostTaken) as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            assert isinstance(error, HostSuperseded | HostTaken)
            self.ended = error


class _CutBus(MemoryBus):
    """An end of the bus.  While `cut_off` says so of a subject, nothing comes or goes there."""

    def __init__(self, hub: MemoryHub, clock: SimClock, cut_off: Callable[[str], bool]) -> None:
        super().__init__(hub, clock)
        self._cut_off = cut_off

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        if self._cut_off(subject):
            await asyncio.sleep(timeout_s)
            raise RpcTimeout(f"No reply from {subject}.")
        return await super().request(subject, payload, timeout_s)

    async def publish(self, subject: str, payload: bytes) -> None:
        if not self._cut_off(subject):
            await super().publish(subject, payload)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str | None = None) -> None:
        async def if_there(subject: str, payload: bytes) -> bytes:
            if self._cut_off(subject):
                await asyncio.Event().wait()  # it never comes
            return await handler(subject, payload)

        await super().subscribe(subject, if_there, queue=queue)


class _OwnClock(SimClock):
    """The clock of one machine, which differs from that of the world."""

    def __init__(self, clock: SimClock, skew: timedelta) -> None:
        self._clock, self._skew, self._random = clock, skew, clock.random

    def now(self) -> datetime:
        return self._clock.now() + self._skew


class _HeldDatabase:
    """A conductor's way to the shared database: transactions that `holds` names wait until it does not any more."""

    def __init__(self, db: Database, holds: Callable[[object], bool]) -> None:
        self._db, self._holds = db, holds
        self.start, self.trouble, self.close, self.on_recorded = db.start, db.trouble, db.close, db.on_recorded

    async def write(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        await self._until_free(fn)
        return await self._db.write(fn, *args, **kwargs)

    async def read(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        await self._until_free(fn)
        return await self._db.read(fn, *args, **kwargs)

    async def _until_free(self, fn: object) -> None:
        while self._holds(fn):  # noqa: ASYNC110 (a test sets it from outside)
            await asyncio.sleep(0.5)


@dataclass
class Troubles:
    """What is wrong with one conductor: the difference of its clock, the hosts of which it receives nothing, a
    transaction that waits, or all of it stands still."""

    skew: timedelta = timedelta(0)
    deaf_to: frozenset[str] = frozenset()
    held: object = None
    frozen: bool = False

    def cut_off(self, subject: str) -> bool:
        return self.frozen or subject.rpartition(".")[2] in self.deaf_to

    def holds(self, fn: object) -> bool:
        return self.frozen or (self.held is not None and fn is self.held)


class World:
    """`http` speaks to the API under an administrator's token."""

    plans: Mapping[Verb, Plan] = PLANS
    """Of the conductor's next process."""
    operations: Mapping[str, Operation] = OPERATIONS
    """Of the hosts' next processes."""

    def __init__(self, seed: int, state: Path, network: Network, tasks: Supervisor) -> None:
        self.seed, self.state, self.network, self._tasks = seed, state, network, tasks
        self.clock = SimClock(seed)
        self.hub = MemoryHub(network.fate)
        self.workers = InlineWorkers()
        # A secret that the hosts drew at their start would change the story of every seed.
        (state / seeds.FILE).write_text("the hosts' secret")
        self.settings = simulated_settings(state)
        template.put_schema(state / "kilonova.db")
        self.db = template.open_inline(state / "kilonova.db")
        self.store = ImageStore(state / "images", self.workers)
        self.metrics = Metrics()
        """Of the conductor."""
        self.machines: dict[str, FakeHypervisor] = {}
        self.cut_off = 0.0
        """The probability of a driver call to be cut off with an unknown outcome."""
        self.boots: dict[str, int] = {}
        self.hosts: dict[str, Process] = {}
        self.managers: dict[str, ComputeManager] = {}
        self.process_ids: dict[str, str] = {}
        self.unreachable: set[str] = set()
        """Hosts that are cut off from the bus."""
        self.conductor = Process(lambda: self._conductor("sim", Troubles()), tasks)
        self.others: dict[str, Process] = {}
        """Conductors besides the first."""
        self.http: httpx.AsyncClient

    def add_conductor(self, name: str, troubles: Troubles | None = None) -> None:
        """Another conductor, which starts now."""
        found = troubles or Troubles()
        self.others[name] = Process(lambda: self._conductor(name, found), self._tasks)
        self.others[name].start()

    async def _conductor(self, name: str, troubles: Troubles) -> None:
        async with AsyncExitStack() as stack:
            clock = _OwnClock(self.clock, troubles.skew) if troubles.skew else self.clock
            bus = await stack.enter_async_context(_CutBus(self.hub, self.clock, troubles.cut_off))
            tasks = await stack.enter_async_context(Supervisor(clock))
            policy = ConductorPolicy(
                self.settings.conductor,
                HostName(name),
                down_time_s=self.settings.default.service_down_time,
                resize_confirm_window_s=0,
                offload_after_s=self.settings.default.shelved_offload_time,
                retention=self.settings.database.retention,
                plans=self.plans,
            )
            tools = Tools(_HeldDatabase(self.db, troubles.holds), clock, self.settings.quota, Failpoints())
            conductor = Conductor(tools, Caller(bus, clock), policy, self.metrics)
            await conductor.start(bus, tasks)
            await asyncio.Event().wait()

    def add_host(self, name: str, identity: str = "") -> None:
        """A host that starts now; its machine outlives its process.  With an `identity` its disk is a copy of that
        other host's: it bears its name and its node id."""
        self.machines[name] = FakeHypervisor(vcpus=64, memory_mib=256 * 1024, disk_gib=4096)
        self.machines[name].before_call = self._slow
        self.boots[name] = 1
        self.hosts[name] = Process(lambda: self._host(name, identity or name), self._tasks)
        self.hosts[name].start()

    async def _slow(self, _call: str, _guest: object) -> Exception | None:
        """Every driver call takes a moment, in which others go on; some are cut off, and done late all the same."""
        random = self.clock.random
        await asyncio.sleep(random.uniform(0, 0.2))
        if not self.cut_off or random.random() >= self.cut_off:
            return None
        return CutOff(random.uniform(0, 40))

    async def _host(self, name: str, identity: str) -> None:
        async with AsyncExitStack() as stack:
            bus = await stack.enter_async_context(_CutBus(self.hub, self.clock, lambda _: name in self.unreachable))
            process_id = self.process_ids[name] = self.clock.new_id()
            manager = self.managers[name] = ComputeManager(
                HostIdentity(
                    HostName(identity),
                    f"node-{identity}",
                    f"boot-{name}-{self.boots[name]}",
                    process_id,
                    f"state-{name}",
                    self.clock.monotonic(),
                ),
                self.settings,
                Parts(self.clock, lambda _: LocalImages(self.store), self.workers, Failpoints(), no_findings),
                lambda api: FakeDriver(api, self.settings, hypervisor=self.machines[name]),
                operations=self.operations,
            )
            stack.push_async_callback(manager.stop)
            tasks = await stack.enter_async_context(Supervisor(self.clock))
            await manager.start(bus, tasks)
            await asyncio.Event().wait()

    async def open_api(self, stack: AsyncExitStack) -> None:
        """The API and a client of it."""
        bus = await stack.enter_async_context(MemoryBus(self.hub, self.clock))
        tokens = TokenMinter(OneKey(b"s" * 48), self.clock, 1e6)
        deps = api_deps(self, self.db, bus, tokens, self._tasks)
        token, _ = tokens.mint(Subject("u1", "admin", "p1", "admin", ("admin", "member", "reader")), ("password",))
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.90"}
        self.http = await stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=create_app(deps)),
                base_url="http://sim",
                headers=headers,
                timeout=None,
            )
        )

    async def until(self, what: Callable[[], Awaitable[T]], *, within_s: float) -> T:
        """Ask until the answer is true, for at most so many virtual seconds."""
        deadline = self.clock.monotonic() + within_s
        while True:
            answer = await what()
            if answer:
                return answer
            assert self.clock.monotonic() < deadline, f"did not come about within {within_s} virtual seconds"
            await asyncio.sleep(0.25)


class ApiOwner(Protocol):
    """What an API process of a simulation has of its cloud."""

    state: Path
    clock: SimClock
    settings: Settings
    store: ImageStore
    workers: InlineWorkers


def api_deps(owner: ApiOwner, db: Database, bus: Bus, tokens: TokenMinter, tasks: Supervisor) -> ApiDeps:
    """The parts of an API process."""
    return ApiDeps(
        db=db,
        rpc=Caller(bus, owner.clock),
        tokens=tokens,
        token_revalidation=TokenRevalidationCache(db, owner.clock),
        policy=Policy(RULES, owner.settings.oslo_policy),
        passwords=Passwords(owner.workers),
        login_limits=LoginLimits(owner.clock, Metrics(), (), tasks),
        images=OwnStore(owner.store),
        clock=owner.clock,
        settings=owner.settings.api,
        quotas=owner.settings.quota,
        console=owner.settings.console,
        console_ttl_s=600,
        consoles=NoConsoles(),
        disk_space=DiskSpace(owner.state, owner.workers, db, tasks),
        metrics=Metrics(),
        ready=lambda: (True, ""),
    )


async def check_quotas(world: World) -> None:
    """What the quotas say is used is what the living instances hold."""
    used: dict[str, Usage] = defaultdict(Usage)
    for instance in await world.db.read(servers.page, servers.ServerQuery()):
        used[instance.project_id] += usage_of(instance)
    for project_id in {"p1", *used}:
        assert await world.db.read(quotas.usage, project_id) == used[project_id]


def simulated_settings(state: Path) -> Settings:
    """Settings with periods short enough for few rounds a minute to matter."""
    overrides: Mapping[tuple[str, str], Any] = {
        ("DEFAULT", "state_path"): str(state),
        ("DEFAULT", "action_poll_interval"): 5.0,
        ("DEFAULT", "shutdown_timeout"): 5.0,
        ("api", "allowed_hosts"): ["sim"],
    }
    return load(overrides=overrides)


@asynccontextmanager
async def simulated(
    seed: int,
    state: Path,
    *,
    hosts: Sequence[str],
    loss: float,
    doubling: float,
    delay_s: float = 0.05,
    late: float = 0.0,
) -> AsyncGenerator[World]:
    """A world in which the API answers and the hosts are starting."""
    network = Network(Random(seed ^ 0x5EED), loss=loss, doubling=doubling, delay_s=delay_s, late=late)
    async with AsyncExitStack() as stack:
        clock = SimClock(seed)
        tasks = await stack.enter_async_context(Supervisor(clock))
        world = World(seed, state, network, tasks)
        stack.push_async_callback(world.db.close)
        await world.db.write(bootstrap.record_first_admin, bootstrap.FirstAdmin("u1", "p1", "no password"))
        world.conductor.start()
        for name in hosts:
            world.add_host(name)
        await world.open_api(stack)
        yield world
