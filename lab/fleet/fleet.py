# SPDX-License-Identifier: Apache-2.0
"""The parts of a fleet on one machine: PostgreSQL, a NATS server, HAProxy, and the processes of Kilonova.

Everything lies below one directory, listens on loopback, and is ended by process id.
"""

import contextlib
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.cloud import free_port
from lab.common import VENV, LabError, environment, tail
from lab.fleet.balancer import balancer
from lab.fleet.process import FleetProcess
from lab.libvirtd import PrivateLibvirtd
from lab.postgres import PrivatePostgres

READY_S = 60.0
COMMAND_S = 60.0

CONTROL = """\
[DEFAULT]
host = {name}
state_path = {state}
transport_credentials = {credentials}
report_interval = {pace.report_s}
service_down_time = {pace.down_s}

[database]
connection = {database}

[conductor]
watchdog_interval = {pace.watchdog_s}
grace_period = {pace.grace_s}
"""

API = """
[api]
listen = 127.0.0.1
port = {port}
public_endpoint = {url}

[image]
internal_url = http://127.0.0.1:{port}
"""

NATS = """\
include "authority/server/nats-server.conf"
http: "127.0.0.1:{port}"
"""
"""The file of the authority, and the server's own statistics on loopback."""

HOST = """\
[DEFAULT]
host = {name}
state_path = {state}
transport_credentials = {credentials}
compute_driver = {driver}
report_interval = {pace.report_s}
action_poll_interval = {pace.poll_s}
# The hosts share the processors of one machine, which may have two.
cpu_allocation_ratio = 16

[console]
listen = 127.0.0.1:0

[libvirt]
connection_uri = {uri}
"""


@dataclass(frozen=True)
class Pace:
    """The intervals of the fleet's processes, in seconds; short ones, so that faults show soon."""

    report_s: float = 1.0
    down_s: float = 8.0
    watchdog_s: float = 1.0
    grace_s: float = 4.0
    poll_s: float = 5.0


USUAL = Pace(report_s=10.0, down_s=60.0, watchdog_s=5.0, grace_s=30.0, poll_s=15.0)
"""The defaults of the configuration."""


@dataclass(frozen=True)
class Plan:
    """How many processes of each kind; `real`: hosts have private libvirt daemons, otherwise the fake driver.
    `postgres`: settings of the PostgreSQL server, besides those of PrivatePostgres."""

    apis: int = 2
    conductors: int = 2
    hosts: int = 3
    real: bool = True
    pace: Pace = field(default_factory=Pace)
    postgres: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class Host:
    """A compute host: its process, and its libvirt daemon if it has one."""

    name: str
    process: FleetProcess
    libvirtd: PrivateLibvirtd | None = None


@dataclass
class Fleet:
    """A fleet, not started yet.  The start functions raise LabError; close() can be called at any time."""

    directory: Path
    plan: Plan = field(default_factory=Plan)

    def __post_init__(self) -> None:
        self.directory.chmod(0o711)
        self.logs = self.directory / "logs"
        self.logs.mkdir(exist_ok=True)
        self.clouds = self.directory / "clouds.yaml"
        self.postgres = PrivatePostgres(self.directory / "pg", self.plan.postgres)
        self.nats_port, self.nats_status_port, self.port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.authority = self.directory / "authority"
        self.nats = self._nats()
        api_ports = {f"api{n}": free_port() for n in range(1, self.plan.apis + 1)}
        self.balancer = balancer(self.directory, self.port, api_ports)
        self.api_ports = api_ports
        self.apis: list[FleetProcess] = []
        self.conductors: list[FleetProcess] = []
        self.hosts: list[Host] = []

    # -- start -----------------------------------------------------------------------------------------

    def start_engines(self, spin: Callable[[], None]) -> None:
        """Start PostgreSQL and the NATS server, and create the schema."""
        self.postgres.start()
        self.kilonova("bus", "init", self.authority, "--server", f"tls://127.0.0.1:{self.nats_port}")
        _ = self._nats_config.write_text(NATS.format(port=self.nats_status_port))
        self.restart_nats(spin)
        for number in range(1, self.plan.conductors + 1):
            self.conductors.append(self._control("conductor", f"conductor{number}"))
        for name, port in self.api_ports.items():
            self.apis.append(self._control("api", name, API.format(port=port, url=self.url)))
        self.kilonova("db", "upgrade", *self._config("conductor1"))

    def start_control(self, spin: Callable[[], None]) -> None:
        """Start the conductors, the API processes and the balancer; create the administrator."""
        for process in (*self.conductors, *self.apis):
            process.start()
        for process in (*self.conductors, *self.apis):
            self.wait_ready(process, spin)
        self.balancer.start()
        words = ("--clouds-file", str(self.clouds))
        self.kilonova("bootstrap", *self._config("api1"), *words)

    def start_hosts(self, spin: Callable[[], None]) -> None:
        """Start the libvirt daemons and the compute processes."""
        for number in range(1, self.plan.hosts + 1):
            self.hosts.append(self._host(number))
        for host in self.hosts:
            host.process.start()
        for host in self.hosts:
            self.wait_ready(host.process, spin)

    def wait_ready(self, process: FleetProcess, spin: Callable[[], None], since: int = 0) -> None:
        """Wait until a process of Kilonova prints that it is ready; `since`: the size of its log before its start."""
        process.wait_until(lambda: process.has_printed(" ready\n", since), READY_S, spin)

    def restart_nats(self, spin: Callable[[], None] = lambda: None) -> None:
        """Start the NATS server, which has ended, and wait until it is ready."""
        since = self.nats.log_size()
        self.nats.start()
        self.nats.wait_until(lambda: self.nats.has_printed("Server is ready", since), READY_S, spin)

    def restart(self, process: FleetProcess, spin: Callable[[], None] = lambda: None) -> None:
        """Start a process that has ended, and wait until it is ready."""
        since = process.log_size()
        process.start()
        self.wait_ready(process, spin, since)

    # -- commands --------------------------------------------------------------------------------------

    def kilonova(self, *words: str | Path) -> str:
        """Run a `kilonova` command; returns its output.  Raises LabError with its last line when it fails."""
        argv = [str(VENV / "bin/kilonova"), *map(str, words)]
        env = environment({"PYTHONDONTWRITEBYTECODE": None, "PYTHONPATH": None})
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=COMMAND_S, env=env, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"kilonova {words[0]} does not end.") from None
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["it printed nothing"]
            raise LabError(f"kilonova {' '.join(map(str, words[:2]))} failed: {last[0]}")
        return done.stdout

    # -- the end ---------------------------------------------------------------------------------------

    def services(self) -> list[FleetProcess]:
        """Every process of Kilonova."""
        return [*(host.process for host in self.hosts), *self.apis, *self.conductors]

    def close(self) -> list[str]:
        """Stop everything; a line for each thing that did not stop by itself."""
        left: list[str] = []
        services = self.services()
        for process in services:
            if process.alive:
                with contextlib.suppress(ProcessLookupError):
                    process.thaw()
                    os.kill(process.pid, 15)
        for process in services:
            if process.alive and process.stop(20.0) is None:
                left.append(f"{process.name}: {tail(process.log, 1)}")
        for host in self.hosts:
            if host.libvirtd is not None:
                left += host.libvirtd.stop()
        for process in (self.balancer, self.nats):
            process.kill()
        self.postgres.stop()
        return left

    # -- parts -----------------------------------------------------------------------------------------

    @property
    def _nats_config(self) -> Path:
        return self.directory / "nats.conf"

    def _nats(self) -> FleetProcess:
        return FleetProcess("nats-server", [VENV / "bin/nats-server", "-c", self._nats_config], self.logs / "nats.log")

    def _credentials(self, name: str, *words: str) -> Path:
        """The file with which a process connects to NATS, as that process only."""
        file = self.directory / f"{name}.kilonova"
        self.kilonova(*words, name, "--authority", self.authority, "--output", file)
        return file

    def _config(self, name: str) -> Sequence[str]:
        return ("--config-file", str(self.directory / f"{name}.conf"))

    def _control(self, kind: str, name: str, more: str = "") -> FleetProcess:
        credentials = self._credentials(name, "bus", "credentials", "--role", kind)
        text = CONTROL.format(
            name=name,
            state=self.directory / name,
            credentials=credentials,
            database=self.postgres.url,
            pace=self.plan.pace,
        )
        return self._process(kind, name, text + more)

    def _host(self, number: int) -> Host:
        name = f"host{number}"
        libvirtd = None
        if self.plan.real:
            libvirtd = PrivateLibvirtd(self.directory / f"v{number}", hostname=name)
            libvirtd.start()
        text = HOST.format(
            name=name,
            state=self.directory / name,
            credentials=self._credentials(name, "host", "enroll"),
            pace=self.plan.pace,
            driver="libvirt.LibvirtDriver" if self.plan.real else "fake.FakeDriver",
            uri=libvirtd.uri if libvirtd is not None else "",
        )
        return Host(name, self._process("compute", name, text), libvirtd)

    def _process(self, kind: str, name: str, text: str) -> FleetProcess:
        config = self.directory / f"{name}.conf"
        config.touch(mode=0o600)
        _ = config.write_text(text)
        return FleetProcess(name, [VENV / f"bin/kilonova-{kind}", *self._config(name)], self.logs / f"{name}.log")
