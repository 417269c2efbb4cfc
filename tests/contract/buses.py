# SPDX-License-Identifier: Apache-2.0
"""The buses that the contract suite runs on, and a real NATS server for tests."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kilonova.base.clock import SystemClock
from kilonova.rpc.bus import Bus
from kilonova.rpc.memory import MemoryBus, MemoryHub
from lab.counting import cannot_run

START_S = 10.0
NEVER_S = 3600.0
"""A deadline that no test lives to see: who gets an answer got it for another reason."""

CONFIG = """
listen: "127.0.0.1:{port}"
ping_interval: "2s"
ping_max: 2
{extra}
"""


class NatsServer:
    """A real nats-server on a free loopback port, which it keeps across restarts.

    `extra` goes into its configuration file.  All methods block for a moment.  Raises OSError when it does not start.
    """

    def __init__(self, directory: Path, extra: str = "") -> None:
        self._directory, self.extra = directory, extra
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        return self._directory / "log"

    def start(self) -> None:
        """Until it accepts connections."""
        argv = self.argv(_program())
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        ports = self._directory / f"{Path(argv[0]).name}_{self._process.pid}.ports"
        deadline = time.monotonic() + START_S
        while not (ports.exists() and ports.read_text().strip()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise OSError(f"nats-server did not start: {self.log.read_text()[-500:]}")
            time.sleep(0.01)
        self._port = int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])

    def argv(self, program: str) -> list[str]:
        """The command; its configuration is written."""
        config = self._directory / "nats.conf"
        config.write_text(CONFIG.format(port=self._port, extra=self.extra))
        return [program, "-c", str(config), "--ports_file_dir", str(self._directory)]

    def stop(self) -> None:
        """At once; nothing happens when it is stopped already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it (all of its threads, when this returns), SIGCONT thaws it."""
        assert self._process is not None
        self._process.send_signal(number)
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat") if number == signal.SIGSTOP else ()
        for stat in threads:
            while stat.read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)


def _program() -> str:
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if found is None:
        cannot_run("nats-server is not installed")
    return found


@contextmanager
def nats_server(extra: str = "") -> Iterator[NatsServer]:
    """A running one with a directory of its own; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kn-nats-") as directory:
        server = NatsServer(Path(directory), extra)
        try:
            server.start()
        except OSError as exc:
            cannot_run(str(exc))
        try:
            yield server
        finally:
            server.stop()


class MemoryBuses:
    """Ends of one hub."""

    def __init__(self) -> None:
        self._hub = MemoryHub()

    def end(self, _name: str) -> Bus:
        return MemoryBus(self._hub, SystemClock())


class NatsBuses:
    """Ends of one server."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    def end(self, name: str) -> Bus:
        from kilonova.rpc.nats import NatsBus

        return NatsBus(self._server.url, name, SystemClock(), drain_s=1.0)


Buses = MemoryBuses | NatsBuses


def run(test: Callable[[], Awaitable[None]], *, within_s: float = 180.0) -> None:
    """Run a test's coroutine to its end."""

    async def body() -> None:
        async with asyncio.timeout(within_s):
            await test()

    asyncio.run(body())
