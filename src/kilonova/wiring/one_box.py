# SPDX-License-Identifier: Apache-2.0
"""API, conductor and compute in one process."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kilonova.base.clock import Clock
from kilonova.base.errors import ConfigError
from kilonova.base.failpoints import Failpoints
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.config.default import kept_from_images
from kilonova.config.load import Settings
from kilonova.wiring.failpoints import breakable_bus, check_failpoints
from kilonova.wiring.shared import (
    SECRET_BYTES,
    Vitals,
    bootstrap_cloud,
    compute_manager,
    host_vitals,
    image_files,
    keep_database_files,
    make_conductor,
    make_tools,
    running_database,
    token_secret,
    web_page,
)

if TYPE_CHECKING:
    from ssl import SSLContext

    from kilonova.api.http.policy import Policy
    from kilonova.api.http.server import Server
    from kilonova.compute.manager import ComputeManager
    from kilonova.images.store import ImageStore


@dataclass(frozen=True, slots=True)
class OneBox:
    """API, conductor and compute of one process.  `first_password` is set only at the first start."""

    settings: Settings
    app: Any
    manager: "ComputeManager"
    policy: "Policy"
    first_password: str | None
    vitals: Vitals
    images: "ImageStore"

    def reload(self, fresh: Settings) -> None:
        """Apply the settings that may change while the process runs.  Raises ConfigError for an unusable policy file,
        and has changed nothing then."""
        self.policy.reload(fresh.oslo_policy)
        self.manager.reload(fresh)
        self.images.keep_free(partial(kept_from_images, fresh.default))

    def server(self, tls: "SSLContext | None" = None) -> "Server":
        """An HTTP server of the API that leaves signal handling to its owner."""
        from kilonova.api.http.server import make_server

        return make_server(self.app, self.settings.api, tls)


@asynccontextmanager
async def one_box(settings: Settings, clock: Clock, failpoints: Failpoints) -> AsyncGenerator[OneBox]:
    """Start all parts; they stop in reverse order at the end.  Raises StateError, ConfigError, DriverLoadError."""
    from kilonova.api.app import ApiDeps, create_app, recover
    from kilonova.api.http.breakable import breakable_app
    from kilonova.api.http.disk_space import DiskSpace
    from kilonova.api.http.login_limits import LoginLimits
    from kilonova.api.http.policy import Policy
    from kilonova.api.http.token_revalidation import TokenRevalidationCache
    from kilonova.api.rules import RULES
    from kilonova.compute.consoles import LocalConsoles
    from kilonova.compute.local_images import LocalImages
    from kilonova.identity.key_ring import OneKey
    from kilonova.identity.passwords import Passwords
    from kilonova.identity.tokens import TokenMinter
    from kilonova.images.own_store import OwnStore
    from kilonova.objects.ids import HostName
    from kilonova.rpc.memory import MemoryBus, MemoryHub
    from kilonova.rpcapi.caller import Caller

    _check(settings, failpoints)
    policy = Policy(RULES, settings.oslo_policy)
    state = settings.default.state_path
    files = DaemonWorkers("files", 4)
    passwords = Passwords(DaemonWorkers("argon2", 1), clock.new_secret(SECRET_BYTES).encode())
    store = image_files(settings, files)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(running_database(settings, clock))
        bus = breakable_bus(await stack.enter_async_context(MemoryBus(MemoryHub(), clock)), failpoints)
        manager = compute_manager(settings, clock, failpoints, lambda _: LocalImages(store), files)
        stack.push_async_callback(manager.stop)
        tasks = await stack.enter_async_context(Supervisor(clock, manager.metrics.round_ended))
        keep_database_files(db, settings, files, clock, tasks)
        tools = make_tools(settings, db, clock, failpoints)
        await make_conductor(settings, tools, bus, manager.metrics, alone=True).start(bus, tasks)
        deps = ApiDeps(
            db=db,
            rpc=Caller(bus, clock),
            tokens=TokenMinter(OneKey(token_secret(state, clock)), clock, settings.api.token_lifetime),
            token_revalidation=TokenRevalidationCache(db, clock),
            policy=policy,
            passwords=passwords,
            login_limits=LoginLimits(clock, manager.metrics, settings.api.trusted, tasks),
            images=OwnStore(store),
            clock=clock,
            settings=settings.api,
            quotas=settings.quota,
            console=settings.console,
            console_ttl_s=settings.consoleauth.token_ttl,
            consoles=LocalConsoles(HostName(settings.default.host), manager.console_desk),
            disk_space=DiskSpace(state, files, db, tasks),
            metrics=manager.metrics,
            ready=manager.ready,
            has_page=settings.ui.enabled,
        )
        await recover(deps, store)  # before the host may write into the image store
        await manager.start(bus, tasks)
        vitals = host_vitals(manager, bus, tasks, settings, clock.new_id())
        app = breakable_app(create_app(deps, page=await web_page(settings, deps, tasks, bus)), failpoints)
        # At the very end: a start that fails must not lose the only copy of a password.
        first_password = await bootstrap_cloud(db, passwords, clock)
        yield OneBox(settings, app, manager, policy, first_password, vitals, store)


def _check(settings: Settings, failpoints: Failpoints) -> None:
    check_failpoints(failpoints, "api", "conductor", "compute")
    if settings.image.store_path:
        raise ConfigError(
            "[image] store_path is for API processes of a fleet: the one box has its images in state_path."
        )
    if settings.record.file is not None:
        raise ConfigError("[record] file is for the conductors of a fleet: the one box has no record.")
