# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes: nats-server, kilonova-conductor, kilonova-compute with the fake driver."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from kilonova.base.clock import SystemClock
from kilonova.base.context import RequestContext
from kilonova.base.threads import InlineWorkers
from kilonova.db.location import sqlite_url
from kilonova.db.readers import instances as read_instances
from kilonova.db.sqlite import make_engine
from kilonova.images.store import ImageStore
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpc.nats import NatsBus
from kilonova.rpcapi.caller import Caller
from tests.contract.buses import NatsServer, nats_server
from tests.live.box import PATIENCE_S, wait_for

CONFIG = """
[DEFAULT]
host = box1
state_path = {state}
transport_url = {url}
compute_driver = fake.FakeDriver
report_interval = 0.5
action_poll_interval = 1
[conductor]
watchdog_interval = 0.5
grace_period = 5
"""

CLOCK = SystemClock()
FLAVOR = Flavor(FlavorId("1"), "m1.nano", 1, 64, 1)


class Service:
    """One process: `module` is kilonova.cmd.compute or kilonova.cmd.conductor."""

    def __init__(self, module: str, log: Path, words: list[str]) -> None:
        self.module, self.log, self.words = module, log, words
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *interpreter: str, env: Mapping[str, str] | None = None) -> Self:
        """Begin; the log starts anew."""
        argv = [sys.executable, *interpreter, "-c", f"from {self.module} import main; main()", *self.words]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def _has_said(self, text: str) -> bool:
        assert self.process is not None
        ended = self.process.poll() is not None
        assert text in self.said() or not ended, self.said()[-2000:]
        return text in self.said()

    def wait_said(self, text: str, within_s: float = PATIENCE_S) -> None:
        wait_for(lambda: self._has_said(text), within_s=within_s, why=self.said)

    def ready(self, within_s: float = PATIENCE_S) -> Self:
        self.wait_said(f"{self.module.replace('.cmd.', '-')} ready\n", within_s)
        return self

    def wait_dead(self, within_s: float = PATIENCE_S) -> int:
        """It ends by itself; its status."""
        assert self.process is not None
        return self.process.wait(within_s)

    def stop(self, within_s: float = PATIENCE_S) -> int:
        """SIGTERM; the exit status.  Raises TimeoutExpired."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait_dead(within_s)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class Fleet:
    """One of each, not started yet but the NATS server."""

    def __init__(self, directory: Path, nats: NatsServer) -> None:
        self.directory, self.nats, self.state = directory, nats, directory / "state"
        self.config = directory / "nova.conf"
        self.config.write_text(CONFIG.format(state=self.state, url=nats.url))
        self.compute = self.service("compute")
        self.conductor = self.service("conductor")

    def service(self, name: str, config: Path | None = None) -> Service:
        """Another process, under the same or another configuration."""
        words = ["--config-file", str(config or self.config)]
        return Service(f"kilonova.cmd.{name}", self.directory / f"{name}.log", words)

    def close(self) -> None:
        for service in (self.compute, self.conductor):
            service.kill()

    async def image(self) -> ImageRef:
        """A small raw image in the byte store that the host reads."""

        async def chunks() -> AsyncIterator[bytes]:
            yield b"\x55" * 65536

        image_id = ImageId(CLOCK.new_id())
        stored = await ImageStore(self.state / "images", InlineWorkers()).write(image_id, chunks(), 1 << 20)
        return ImageRef(image_id, "raw", stored.size, stored.size, stored.sha512)

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Caller]:
        """What an API process has of the conductor."""
        async with NatsBus(self.nats.url, "api", CLOCK) as bus:
            yield Caller(bus, CLOCK)

    def instance(self, image: ImageRef, **changes: object) -> Instance:
        now = CLOCK.now()
        instance_id = InstanceId(CLOCK.new_id())
        made = Instance(instance_id, "p1", "u1", "s1", "s1", FLAVOR, image, created_at=now, updated_at=now)
        return replace(made, **changes)

    def record(self, instance_id: InstanceId) -> Instance:
        """What the database has, read from the side."""
        engine = make_engine(sqlite_url(self.state / "kilonova.db"), readers=1)
        try:
            with engine.connect() as connection:
                return read_instances.get(connection, instance_id)
        finally:
            engine.dispose()

    def wait_state(self, instance_id: InstanceId, vm_state: str, within_s: float = PATIENCE_S) -> Instance:
        """Until no task is left; then it must be that state."""

        def look() -> Instance | None:
            found = self.record(instance_id)
            return found if found.task_state is None else None

        settled: Instance = wait_for(look, within_s=within_s, why=lambda: self.conductor.said() + self.compute.said())
        assert settled.vm_state == vm_state, settled
        return settled


def context(verb: Verb = Verb.CREATE) -> RequestContext:
    return RequestContext(f"req-{verb}-{CLOCK.new_id()}", "u1", "p1", ("admin",))


@contextmanager
def fleet() -> Iterator[Fleet]:
    """A NATS server runs; the processes are for the test to start.  All are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kn-fleet-") as directory, nats_server() as nats:
        made = Fleet(Path(directory), nats)
        try:
            yield made
        finally:
            made.close()
