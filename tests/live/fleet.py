# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes: nats-server, kilonova-api, kilonova-conductor, kilonova-compute with the fake driver."""

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
from kilonova.db.readers import signing_keys as read_signing_keys
from kilonova.db.sqlite import make_engine
from kilonova.images.store import ImageStore
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.signing_key import TOKENS
from kilonova.objects.states import Verb
from kilonova.rpc.nats import NatsBus
from kilonova.rpcapi.caller import Caller
from lab.cloud import free_port
from tests.contract.buses import NatsServer, nats_server
from tests.live.box import PATIENCE_S, CloudClient, wait_for

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
[console]
listen = 127.0.0.1:0
"""

CLOCK = SystemClock()
FLAVOR = Flavor(FlavorId("1"), "m1.nano", 1, 64, 1)


class Service:
    """One process: `module` is kilonova.cmd.api, .compute or .conductor."""

    def __init__(self, module: str, log: Path, words: list[str]) -> None:
        self.module, self.log, self.words = module, log, words
        self.prelude = ""
        """What runs in the process before its program."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *interpreter: str, env: Mapping[str, str] | None = None) -> Self:
        """Begin; the log starts anew."""
        argv = [
            sys.executable,
            *interpreter,
            "-c",
            f"{self.prelude}from {self.module} import main; main()",
            *self.words,
        ]
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

    close = kill


class ApiServer(CloudClient):
    """One kilonova-api, and a client of it."""

    def __init__(self, service: Service, port: int, config: Path) -> None:
        super().__init__(port)
        self.service, self.config = service, config

    def start(self) -> Self:
        """Begin, without waiting."""
        self.service.start()
        return self

    def ready(self) -> Self:
        """Until it serves."""
        self.service.ready()
        return self

    def last_words(self) -> str:
        return self.service.said()[-2000:]

    def close(self) -> None:
        self.service.kill()
        self.http.close()


class Fleet:
    """One conductor and one host, and as many more processes as a test makes; only the NATS server runs yet."""

    def __init__(self, directory: Path, nats: NatsServer) -> None:
        self.directory, self.nats, self.state = directory, nats, directory / "state"
        self.config = directory / "nova.conf"
        self.config.write_text(CONFIG.format(state=self.state, url=nats.url))
        self.clouds = directory / "clouds.yaml"
        self.on_server = False
        self.made: list[Service | ApiServer] = []
        self.compute = self.service("compute")
        self.conductor = self.service("conductor")

    def service(self, name: str, config: Path | None = None) -> Service:
        """Another process, under the same or another configuration."""
        words = ["--config-file", str(config or self.config)]
        log = self.directory / f"{config.stem if config else name}.log"
        made = Service(f"kilonova.cmd.{name}", log, words)
        self.made.append(made)
        return made

    def configure(self, name: str, *changes: tuple[str, str], more: str = "") -> Path:
        """A configuration of its own for one process: the common one, with these changes."""
        text = self.config.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.directory / f"{name}.conf"
        path.write_text(text + more)
        return path

    def api_server(self, name: str = "api1", more: str = "") -> ApiServer:
        """An API process on a port of its own; `more` is added to its configuration."""
        port = free_port()
        changes = [("host = box1", f"host = {name}")]
        if self.on_server:
            changes.append((str(self.state), str(self._state_of(name))))
        config = self.configure(name, *changes, more=f"[api]\nport = {port}\n{more}")
        made = ApiServer(self.service("api", config), port, config)
        self.made.append(made)
        return made

    def host(self, name: str) -> Service:
        """Another host, which reads the images of the first."""
        state = self._state_of(name)
        config = self.configure(name, ("host = box1", f"host = {name}"), (str(self.state), str(state)))
        return self.service("compute", config)

    def _state_of(self, name: str) -> Path:
        """A state directory for one more process, with the images of the first."""
        state = self.directory / name
        state.mkdir()
        (self.state / "images").mkdir(parents=True, exist_ok=True)
        (state / "images").symlink_to(self.state / "images")
        return state

    def use(self, database: str) -> None:
        """Another database than the SQLite of the state directory; API processes have directories of their own then."""
        self.config.write_text(f"{self.config.read_text()}[database]\nconnection = {database}\n")
        self.on_server = True
        done = self.command("db", "upgrade")
        assert done.returncode == 0, done.stderr

    def command(self, *words: str, config: Path | None = None, prelude: str = "") -> "subprocess.CompletedProcess[str]":
        """Run `kilonova ...` with the configuration of the fleet to its end."""
        program = f"{prelude}import runpy; runpy.run_module('kilonova', run_name='__main__', alter_sys=True)"
        argv = [sys.executable, "-c", program, *words, "--config-file", str(config or self.config)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def bootstrap(self, *servers: ApiServer) -> None:
        """Create the administrator, and log in to each API process by itself."""
        done = self.command("bootstrap", "--clouds-file", str(self.clouds))
        assert done.returncode == 0, done.stderr
        for server in servers:
            server.log_in(self.clouds)

    def close(self) -> None:
        for made in self.made:
            made.close()

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

    def signing_keys(self) -> list[str]:
        """The secrets of the keys of tokens."""
        engine = make_engine(sqlite_url(self.state / "kilonova.db"), readers=1)
        try:
            with engine.connect() as connection:
                return [key.secret.decode() for key in read_signing_keys.of_purpose(connection, TOKENS)]
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
