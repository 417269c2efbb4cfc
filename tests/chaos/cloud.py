# SPDX-License-Identifier: Apache-2.0
"""The fleet of a chaos run: real processes, PostgreSQL, NATS, and libvirt daemons, with a relay on each path."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from kilonova.virt.fake.durable import DIRECTORY, guests_in
from lab.cloud import free_port
from lab.libvirtd import PrivateLibvirtd
from lab.postgres import PrivatePostgres
from lab.power import PoweredDisk
from tests.chaos.driver import LOG
from tests.chaos.relay import Network
from tests.contract.buses import NatsServer, nats_server
from tests.crashes.victim import Programs, Victim
from tests.live.box import CloudClient, wait_for
from tests.live.other_boot import new_boot
from tests.live.other_clock import BOOT_FILE, CLOCK_FILE, set_ahead

TOP = Path(__file__).parents[2]
START_S, COMMAND_S = 90.0, 60.0
DISKS_MIB: Mapping[str, int] = {
    "PostgreSQL": 700, "api1": 2000, "conductor1": 128, "host1": 128, "host2": 512, "real1": 24_000
}  # fmt: skip
"""The size of each file system that loses its power, or that is filled."""
TO_FILL = "host1"

CONFIG = """\
[DEFAULT]
host = {name}
state_path = {state}
transport_url = nats://127.0.0.1:{bus}
compute_driver = {driver}
report_interval = 1
service_down_time = 8
running_deleted_instance_poll_interval = 5
action_poll_interval = 5
shutdown_timeout = 3
cpu_allocation_ratio = 16
[conductor]
watchdog_interval = 1
grace_period = 4
[console]
listen = 127.0.0.1:0
[quota]
instances = -1
cores = -1
ram = -1
[libvirt]
virt_type = qemu
connection_uri = {uri}
guest_pulse_interval = 5
guest_pulse_timeout = 3
keepalive_interval = 1
keepalive_count = 3
[image]
upkeep_interval = 5
"""
OF_API = """\
internal_url = http://127.0.0.1:{front}
[api]
listen = 127.0.0.1
port = {port}
"""


@dataclass(frozen=True)
class Shape:
    """How many processes of each kind.  `disks`: PostgreSQL and one process of each kind have file systems of their
    own (see DISKS_MIB)."""

    apis: int = 2
    conductors: int = 2
    hosts: int = 3
    real: int = 0
    disks: bool = False


def run_kilonova(*words: str | Path) -> None:
    """Run `kilonova ...` to its end.  AssertionError when it fails."""
    argv = [sys.executable, "-m", "kilonova", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert done.returncode == 0, done.stderr or done.stdout


@dataclass
class Cloud:
    """A fleet, not started yet.  close() ends everything, by process id."""

    directory: Path
    shape: Shape
    network: Network = field(default_factory=Network)
    victims: dict[str, Victim] = field(default_factory=dict[str, Victim])
    fronts: dict[str, int] = field(default_factory=dict[str, int])
    """The port of each API process at which clients and hosts reach it."""
    machines: dict[str, Path] = field(default_factory=dict[str, Path])
    libvirtds: dict[str, PrivateLibvirtd] = field(default_factory=dict[str, PrivateLibvirtd])
    clients: dict[str, CloudClient] = field(default_factory=dict[str, CloudClient])
    """The administrator, at each API process without a relay."""
    disks: dict[str, PoweredDisk] = field(default_factory=dict[str, PoweredDisk])
    """File systems by the name of what lies on them."""
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start everything, and wait until it serves."""
        os.environ[LOG] = str(self.guest_log)
        (self.directory / "logs").mkdir()
        self._engines()
        programs = {name: self._programs(name) for name in ("api", "conductor", "compute")}
        for number in range(1, self.shape.conductors + 1):
            self._add(programs, "conductor", f"conductor{number}")
        for number in range(1, self.shape.apis + 1):
            self._add_api(programs, f"api{number}")
        run_kilonova("db", "upgrade", "--config-file", self._config("conductor1"))
        for number in range(1, self.shape.hosts + 1):
            self._add(programs, "compute", f"host{number}")
            self._put_machine(f"host{number}")
        for number in range(1, self.shape.real + 1):
            self._add_real(programs, f"real{number}")
        for victim in self.victims.values():
            victim.start()
        for victim in self.victims.values():
            wait_for(lambda one=victim: one.is_ready(), within_s=START_S, why=victim.last_words)
        for disk in self.disks.values():
            disk.sync()  # (databases are created without it)
        clouds = self.directory / "clouds.yaml"
        run_kilonova("bootstrap", "--config-file", self._config("api1"), "--clouds-file", clouds)
        for client in self.clients.values():
            client.log_in(clouds)

    @property
    def guest_log(self) -> Path:
        """Where the hosts note when guests live."""
        return self.directory / "guests.jsonl"

    @property
    def http(self) -> httpx.Client:
        """The administrator at the first API process."""
        return self.clients["api1"].http

    @property
    def sql_url(self) -> str:
        """For psycopg."""
        return self.postgres.url.replace("+psycopg", "")

    def logs(self) -> Iterator[Path]:
        """The logs of Kilonova's processes."""
        return (victim.log for victim in self.victims.values())

    def guests(self) -> Iterator[tuple[str, str]]:
        """Host and server of each guest that a fake machine has something of."""
        for host, machine in self.machines.items():
            yield from ((host, guest) for guest in guests_in(machine))

    def qemus(self) -> Iterator[tuple[str, str, int]]:
        """Host, domain name and process id of each real guest that runs."""
        for host, daemon in self.libvirtds.items():
            yield from ((host, name, pid) for name, pid in daemon.guests().items())

    def serves(self) -> bool:
        """Whether all API processes answer, and all hosts are up."""
        with suppress(httpx.HTTPError):
            if all(one.http.get("/readyz").status_code == 200 for one in self.clients.values()):
                reply = self.http.get("/compute/v2.1/os-services?binary=nova-compute")
                found = reply.json()["services"] if reply.status_code == 200 else []
                up = [one for one in found if one["state"] == "up" and one["status"] == "enabled"]
                return len(up) == self.shape.hosts + self.shape.real
        return False

    def close(self) -> None:
        """End all processes."""
        for victim in self.victims.values():
            with suppress(ProcessLookupError):
                if victim.pid:
                    os.kill(victim.pid, signal.SIGKILL)
        self.stack.close()
        self.network.close()

    # -- parts -------------------------------------------------------------------------------------------

    def _engines(self) -> None:
        self.postgres = PrivatePostgres(self._disk("PostgreSQL", self.directory / "pg"))
        self.stack.callback(self.postgres.stop)
        self.postgres.start()
        self.nats: NatsServer = self.stack.enter_context(nats_server())

    def _disk(self, name: str, directory: Path) -> Path:
        """The directory, on a file system of its own if the run has those and this one is among them."""
        if self.shape.disks and name in DISKS_MIB:
            disk = self.disks[name] = PoweredDisk(directory, DISKS_MIB[name])
            self.stack.callback(disk.remove)
            disk.mount()
        return directory

    def _programs(self, name: str) -> Programs:
        made = Programs(name)
        self.stack.callback(made.close)
        return made

    def _state(self, name: str) -> Path:
        return self.directory / name

    def _config(self, name: str) -> Path:
        return self.directory / f"{name}.conf"

    def _add(self, programs: Mapping[str, Programs], role: str, name: str, more: str = "", uri: str = "") -> Victim:
        driver = "libvirt.LibvirtDriver" if uri else "tests.chaos.driver.ChaosDriver"
        state, bus = self._state(name), self.network.relay(f"{name} to NATS", lambda: int(self.nats.url.split(":")[2]))
        if not uri:
            self._disk(name, state)
        text = CONFIG.format(name=name, state=state, bus=bus, driver=driver, uri=uri)
        if role != "compute":
            database = self.network.relay(f"{name} to PostgreSQL", lambda: self.postgres.port)
            url = self.postgres.url.replace(f":{self.postgres.port}/", f":{database}/")
            text = f"[database]\nconnection = {url}\n{text}"
        self._config(name).write_text(text + more)
        self._config(name).chmod(0o600)
        set_ahead(self.clock_of(name), 0)
        new_boot(self.boot_of(name))
        made = Victim(role, programs[role], ["--config-file", str(self._config(name))], self.directory / "logs", name)
        made.environment = {CLOCK_FILE: str(self.clock_of(name)), BOOT_FILE: str(self.boot_of(name))}
        self.victims[name] = made
        return made

    def _put_machine(self, name: str) -> None:
        """The machine of a fake driver is not on a disk that is filled: QEMU's memory is not either."""
        state = self._state(name)
        machine = self.machines[name] = self.directory / f"machine-{name}" if name == TO_FILL else state / DIRECTORY
        machine.mkdir(parents=True)
        if name == TO_FILL:
            state.mkdir(exist_ok=True)
            (state / DIRECTORY).symlink_to(machine)

    def _add_api(self, programs: Mapping[str, Programs], name: str) -> None:
        port = free_port()
        front = self.fronts[name] = self.network.relay(f"clients to {name}", lambda: port)
        self._add(programs, "api", name, OF_API.format(front=front, port=port))
        self.clients[name] = CloudClient(port)
        self.stack.callback(self.clients[name].http.close)

    def _add_real(self, programs: Mapping[str, Programs], name: str) -> None:
        directory = self._disk(name, self.directory / f"v{name[-1]}")
        daemon = PrivateLibvirtd(directory, hostname=name)
        daemon.start()
        (directory / "state").mkdir(mode=0o711)
        self._state(name).symlink_to(directory / "state")
        self.stack.callback(daemon.stop)
        self.libvirtds[name] = daemon
        self._add(programs, "compute", name, uri=daemon.uri)

    # -- what faults do ----------------------------------------------------------------------------------

    def clock_of(self, name: str) -> Path:
        """The file that the clock of a process follows."""
        return self.directory / f"{name}.clock"

    def boot_of(self, name: str) -> Path:
        """The file with the boot id of the machine of a process."""
        return self.directory / f"{name}.boot"

    def restart_ended(self) -> list[str]:
        """Start what does not run.  Names of the processes of Kilonova that did not."""
        if not self.postgres.lives:
            self.postgres.kill()
            self.postgres.start()
        for daemon in self.libvirtds.values():
            daemon.start()
        ended = [name for name, victim in self.victims.items() if not victim.alive]
        for name in ended:
            self.victims[name].start()
        return ended


def until(what: Callable[[], object], within_s: float, every_s: float = 0.5) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + within_s
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)
    return True


def names(victims: Mapping[str, Victim], role: str) -> Sequence[str]:
    """The processes of one role."""
    return [name for name, victim in victims.items() if victim.role == role]
