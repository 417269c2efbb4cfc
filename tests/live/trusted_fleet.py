# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes in which each has credentials of its own."""

from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.permissions import Role
from lab.cloud import free_port
from tests.contract.trust import CLOCK, Bench, trusted
from tests.live.fleet import CONFIG, Fleet, Service


class TrustedFleet(Fleet):
    """Like Fleet; the host and the conductor are on machines of different names."""

    def __init__(self, directory: Path, bench: Bench) -> None:
        self.bench = bench
        super().__init__(directory, bench.server)
        self.status = free_port()
        self._configure(self.config, Role.HOST, "box1")
        self.conductor = self.process("conductor", Role.CONDUCTOR, "c1")

    def process(self, program: str, role: Role, name: str) -> Service:
        """A process under a name, with its credentials."""
        config = self.directory / f"{role}-{name}.conf"
        self._configure(config, role, name)
        return self.service(program, config)

    def _configure(self, path: Path, role: Role, name: str) -> None:
        text = CONFIG.format(
            state=self.directory / ("state" if role is not Role.HOST or name == "box1" else name), url=""
        )
        text = text.replace("host = box1", f"host = {name}").replace(
            "transport_url = ", f"transport_credentials = {self.bench.access(role, name).credentials_file}"
        )
        if role is Role.CONDUCTOR:
            text = text.replace("[DEFAULT]", f"[DEFAULT]\nstatus_listen = 127.0.0.1:{self.status}")
        path.write_text(text)

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Caller]:
        async with self.bench.bus(Role.API, "a1") as bus:
            yield Caller(bus, CLOCK)

    def refused(self, reason: str) -> float:
        """How many messages the conductor has refused for that reason."""
        text = httpx.get(f"http://127.0.0.1:{self.status}/metrics", timeout=10).text
        wanted = f'kilonova_refused_messages_total{{reason="{reason}"}} '
        return sum(float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted))


@contextmanager
def trusted_fleet() -> Generator[TrustedFleet]:
    """Servers run; the processes are for the test to start.  All are gone afterwards."""
    with trusted() as bench:
        directory = bench.directory / "fleet"
        directory.mkdir()
        made = TrustedFleet(directory, bench)
        try:
            yield made
        finally:
            made.close()
