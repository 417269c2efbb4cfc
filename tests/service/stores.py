# SPDX-License-Identifier: Apache-2.0
"""A fleet in one process whose API processes have image stores of their own, reached over real sockets.

The rounds of upkeep begin only when a test calls them.
"""

import socket
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.types import Message, Receive, Scope, Send

from kilonova.api.app import ApiDeps, create_app
from kilonova.api.consoles.hosts import HostConsoles
from kilonova.api.http.disk_space import DiskSpace
from kilonova.api.http.login_limits import LoginLimits
from kilonova.api.http.policy import Policy
from kilonova.api.http.server import make_server
from kilonova.api.http.token_revalidation import TokenRevalidationCache
from kilonova.api.image.fleet_store import FleetStore, StoreIdentity, StoreParts
from kilonova.api.image.upkeep import Upkeep
from kilonova.api.rules import RULES
from kilonova.base.clock import SystemClock
from kilonova.base.failpoints import Failpoints
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.compute.fleet_images import FleetImages
from kilonova.compute.manager import ComputeManager
from kilonova.conductor.bootstrap import ROLES, FirstAdmin
from kilonova.config.load import Settings, load
from kilonova.db.engine import Database
from kilonova.db.readers import image_stores as read_stores
from kilonova.identity.key_ring import OneKey
from kilonova.identity.passwords import Passwords
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.images.client import StoreClient
from kilonova.images.store import ImageStore
from kilonova.objects.ids import ImageId
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi.caller import Caller
from kilonova.wiring import shared
from tests import template
from tests.service.api import OCTETS
from tests.service.cloud import ADMIN, PASSWORD, PROJECT, QUICK, SCRATCH, database_of

SECRET = b"k" * 48


class Faults:
    """An application whose answers a test spoils."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.cut_after: int | None = None
        """Bytes of an answer's body, after which the connection ends."""
        self.dead = False
        self.dead_for_writes = False
        """Images cannot be stored."""
        self.other_bytes = False
        self.urls: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.urls.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        if self.dead or (self.dead_for_writes and scope["method"] == "PUT"):
            raise ConnectionError("this process is dead")
        sent = 0

        async def spoiled(message: Message) -> None:
            nonlocal sent
            body = message.get("body", b"")
            if self.other_bytes:
                message = {**message, "body": bytes(len(body))} if "body" in message else message
            if self.cut_after is not None and "body" in message and sent + len(body) > self.cut_after:
                if left := body[: self.cut_after - sent]:
                    await send({**message, "body": left, "more_body": True})
                raise ConnectionError("this process died")
            sent += len(body)
            await send(message)

        await self._app(scope, receive, spoiled)


@dataclass
class Node:
    """One API process.  `room`: whether its disk has any."""

    url: str
    root: Path
    files: ImageStore
    store: FleetStore
    upkeep: Upkeep
    faults: Faults
    http: httpx.AsyncClient
    metrics: Metrics
    full: list[bool] = field(default_factory=lambda: [False])

    def file(self, image_id: str) -> Path:
        return self.root / image_id

    async def upload(self, data: bytes, disk_format: str = "raw", status: int = 204) -> str:
        """An image by this process."""
        body = {"name": "image", "disk_format": disk_format, "container_format": "bare"}
        made = await self.http.post("/image/v2/images", json=body)
        assert made.status_code == 201, made.text
        image_id = made.json()["id"]
        put = await self.http.put(f"/image/v2/images/{image_id}/file", content=data, headers=OCTETS)
        assert put.status_code == status, put.text
        return image_id

    async def status(self, image_id: str) -> str:
        reply = await self.http.get(f"/image/v2/images/{image_id}")
        return reply.json()["status"] if reply.status_code == 200 else "gone"


@dataclass
class Stores:
    """`host` fetches its images from the nodes."""

    nodes: list[Node]
    db: Database
    rpc: Caller
    clock: SystemClock
    settings: Settings
    metrics: Metrics
    """Of the conductor."""
    host: ComputeManager | None = None

    async def report(self) -> None:
        """Every node reports."""
        for node in self.nodes:
            if not node.faults.dead:
                await node.upkeep.report()

    async def copies(self, image_id: str) -> set[str]:
        """The stores that have the image, by the database."""
        found = await self.db.read(read_stores.copies_of, ImageId(image_id))
        return {copy.store_id for copy in found if not copy.doubted}


@asynccontextmanager
async def running_stores(
    count: int = 2, *, host: bool = False, overrides: Mapping[tuple[str, str], Any] | None = None
) -> AsyncGenerator[Stores]:
    """So many API processes with empty stores that have reported, and one conductor."""
    clock, failpoints = SystemClock(), Failpoints()
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kn-", dir=SCRATCH)))
        url = stack.enter_context(database_of(state, FirstAdmin(ADMIN, PROJECT, template.password_hash(PASSWORD))))
        own = {("DEFAULT", "state_path"): str(state), ("database", "connection"): url}
        settings = load(overrides={**QUICK, **own, **(overrides or {})})
        db = shared.open_database(settings, clock)
        stack.push_async_callback(db.close)
        hub, metrics = MemoryHub(), Metrics()
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        bus = await stack.enter_async_context(MemoryBus(hub, clock))
        tasks = await stack.enter_async_context(Supervisor(clock))
        tools = shared.make_tools(settings, db, clock, failpoints)
        await shared.make_conductor(settings, tools, bus, metrics).start(bus, tasks)
        stores = Stores([], db, Caller(bus, clock), clock, settings, metrics)
        for number, listening in enumerate(sockets):
            stores.nodes.append(await _node(state / f"store{number}", listening, stores, tasks, stack))
        await stores.report()
        if host:
            await _start_host(stores, state, hub, tasks, stack)
        yield stores


async def _node(root: Path, listening: socket.socket, stores: Stores, tasks: Supervisor, stack: AsyncExitStack) -> Node:
    clock, settings, metrics = stores.clock, stores.settings, Metrics()
    full, process_id = [False], clock.new_id()
    files = ImageStore(root, DaemonWorkers(root.name, 2), lambda total: 2 * total if full[0] else 0, process_id)
    client = StoreClient()
    stack.push_async_callback(client.close)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    identity = StoreIdentity(await files.identify(clock.new_id()), process_id, url, settings.image.copies)
    parts = StoreParts(files, stores.db, stores.rpc, client, clock, metrics)
    store = FleetStore(identity, parts, settings.api.max_image_bytes)
    tokens = TokenMinter(OneKey(SECRET), clock, 3600)
    deps = ApiDeps(
        db=stores.db,
        rpc=stores.rpc,
        tokens=tokens,
        token_revalidation=TokenRevalidationCache(stores.db, clock),
        policy=Policy(RULES, settings.oslo_policy),
        passwords=Passwords(DaemonWorkers("argon2", 1)),
        login_limits=LoginLimits(clock, metrics, (), tasks),
        images=store,
        clock=clock,
        settings=settings.api,
        quotas=settings.quota,
        console=settings.console,
        console_ttl_s=600,
        consoles=HostConsoles(),
        disk_space=DiskSpace(root, DaemonWorkers("room", 1), stores.db, tasks),
        ready=lambda: (True, ""),
        metrics=metrics,
    )
    faults = Faults(create_app(deps))
    server = make_server(faults, settings.api)
    tasks.spawn(f"serve {root.name}", server.serve(sockets=[listening]))
    stack.callback(server.stop)
    token, _ = tokens.mint(Subject(ADMIN, "admin", PROJECT, "admin", ROLES), ("password",))
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.90"}
    http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=30))
    return Node(url, root, files, store, Upkeep(store, parts, 60.0), faults, http, metrics, full)


async def _start_host(stores: Stores, state: Path, hub: MemoryHub, tasks: Supervisor, stack: AsyncExitStack) -> None:
    clock, client, files = stores.clock, StoreClient(), DaemonWorkers("host", 2)
    nothing = ImageStore(state / "no images", files)
    manager = shared.compute_manager(
        stores.settings, clock, Failpoints(), lambda conductor: FleetImages(conductor, client, clock, nothing), files
    )
    bus = await stack.enter_async_context(MemoryBus(hub, clock))
    stack.push_async_callback(client.close)
    stack.push_async_callback(manager.stop)
    await manager.start(bus, tasks)
    while not manager.ready()[0]:
        await clock.sleep(0.01)
    stores.host = manager
