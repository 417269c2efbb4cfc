# SPDX-License-Identifier: Apache-2.0
"""The process of a host."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kilonova.base.clock import Clock
from kilonova.base.failpoints import Failpoints
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.load import Settings
from kilonova.wiring.failpoints import breakable_bus, check_failpoints
from kilonova.wiring.shared import (
    Vitals,
    compute_manager,
    console_listener,
    fleet_bus,
    host_vitals,
    image_files,
    keep_database_files,
    make_conductor,
    make_tools,
    running_database,
)

if TYPE_CHECKING:
    from kilonova.compute.manager import ComputeManager, Images


@dataclass(frozen=True, slots=True)
class ComputeProcess:
    """A running host process."""

    manager: "ComputeManager"
    vitals: Vitals


@asynccontextmanager
async def compute_process(settings: Settings, clock: Clock, failpoints: Failpoints) -> AsyncGenerator[ComputeProcess]:
    """Start a host process.  It waits for its bus and its conductor in the background; `ready` reports when it has
    them.  With `[conductor] use_local` the conductor runs in this process, with the database; otherwise not even a
    module of the database is imported.  Raises StateError, ConfigError, DriverLoadError."""
    from kilonova.compute.fleet_images import FleetImages
    from kilonova.compute.local_images import LocalImages
    from kilonova.images.client import StoreClient
    from kilonova.rpc.memory import MemoryBus, MemoryHub

    local = settings.conductor.use_local
    check_failpoints(failpoints, *(("conductor", "compute") if local else ("compute",)))
    files = DaemonWorkers("files", 4)
    store, client = image_files(settings, files), StoreClient(settings.image.ca_file)
    remote: Images = lambda conductor: FleetImages(conductor, client, clock, store)  # noqa: E731
    images: Images = (lambda _: LocalImages(store)) if local else remote
    manager = compute_manager(settings, clock, failpoints, images, files)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(running_database(settings, clock)) if local else None
        end = MemoryBus(MemoryHub(), clock) if local else fleet_bus(settings, f"host-{settings.default.host}", clock)
        bus = breakable_bus(await stack.enter_async_context(end), failpoints)
        stack.push_async_callback(client.close)
        stack.push_async_callback(manager.stop)
        tasks = await stack.enter_async_context(Supervisor(clock, manager.metrics.round_ended))
        if db is not None:
            keep_database_files(db, settings, files, clock, tasks)
            await make_conductor(
                settings, make_tools(settings, db, clock, failpoints), bus, manager.metrics, alone=True
            ).start(bus, tasks)
        if not local:
            listener = console_listener(settings, manager, clock)
            tasks.spawn("console listener", listener.serve(tasks, files))
        tasks.spawn("start", manager.start(bus, tasks))
        yield ComputeProcess(manager, host_vitals(manager, bus, tasks, settings, clock.new_id()))
