# SPDX-License-Identifier: Apache-2.0
"""The story of `make fleet`: six guests on three hosts live through the loss of each kind of process, and of NATS and
PostgreSQL."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lab.cloud import Api, Client
from lab.common import LabError
from lab.fleet.fleet import Fleet
from lab.guest_image import IMAGE
from lab.progress import Phases, Terminal

COMMAND_S, ACTIVE_S, AGAIN_S = 90.0, 240.0, 60.0
FLAVOR = "m1.nano"


@dataclass
class Story(Phases):
    """One run.  Each chapter raises LabError with the sentence that says what did not come true.

    `outage_s`: how long each engine is away.  `freeze_s`: how long a conductor stands still.
    """

    fleet: Fleet
    client: Client
    terminal: Terminal
    guests: int = 6
    outage_s: float = 20.0
    freeze_s: float = 15.0
    servers: dict[str, str] = field(default_factory=dict[str, str])
    """The servers that must be ACTIVE, by name."""

    def run(self) -> None:
        """All chapters, in order."""
        self.start()
        self.boot()
        self.kill_each()
        self.freeze_a_conductor()
        self.take_away("NATS", self.fleet.nats.kill, self.fleet.restart_nats)
        self.take_away("PostgreSQL", self.fleet.postgres.stop, self.fleet.postgres.start)
        self.check()
        self.delete()

    # -- chapters --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything runs, and the hosts are in service."""
        plan = self.fleet.plan
        with self._phase("PostgreSQL, NATS server, schema"):
            self.fleet.start_engines(self._spin)
        with self._phase(f"{plan.conductors} conductors, {plan.apis} APIs, a balancer") as remarks:
            self.fleet.start_control(self._spin)
            remarks.append(self.fleet.url)
        with self._phase(f"{plan.hosts} hosts, each with a libvirtd of its own"):
            self.fleet.start_hosts(self._spin)
            self._until(self._hosts_up, AGAIN_S, "not every host came into service")
        with self._phase("openstack compute service list"):
            table = self.client("compute", "service", "list", timeout=COMMAND_S, spin=self._spin)
        self._show(table)

    def boot(self) -> None:
        """The guests boot on all hosts."""
        with self._phase("openstack image create"):
            words = ["image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", str(IMAGE)]
            self.image = str(self.client.json(*words, "guest", timeout=COMMAND_S, spin=self._spin)["id"])
        with self._phase(f"openstack server create, {self.guests} times"):
            for number in range(1, self.guests + 1):
                self._create(f"vm{number}")
        with self._phase("all ACTIVE"):
            self._all_active()
        with self._phase("each guest prints its own name") as remarks:
            self._all_speak()
            remarks.append(self._spread())

    def kill_each(self) -> None:
        """One process of each kind is killed, while a server is created through the others."""
        fleet = self.fleet
        victims = (("conductor", fleet.conductors[0]), ("API", fleet.apis[0]), ("compute", fleet.hosts[0].process))
        for kind, victim in victims:
            name = f"during-{kind.lower()}"
            with self._phase(f"kill -9 of the {kind} {victim.name}") as remarks:
                self._create(name)
                victim.kill()
                self._create(f"{name}-after")
                fleet.restart(victim, self._spin)
                self._all_active()
                remarks.append(f"{name} and {name}-after are ACTIVE")
            self._remove(name, f"{name}-after")

    def freeze_a_conductor(self) -> None:
        """A conductor stands still for longer than the hosts' down time, and continues."""
        victim = self.fleet.conductors[1]
        with self._phase(f"freeze {victim.name} for {self.freeze_s:g} s, then thaw it") as remarks:
            victim.freeze()
            try:
                begun = time.monotonic()
                self._create("during-freeze")
                self._all_active()
                remarks.append(f"a create took {time.monotonic() - begun:.0f} s meanwhile")
                while time.monotonic() < begun + self.freeze_s:
                    self._pause()
            finally:
                victim.thaw()
            begun = time.monotonic()
            while time.monotonic() < begun + 3.0:  # two rounds of its watch
                if not self._hosts_up():
                    raise LabError(f"{victim.name} has marked a host as down after it was thawed.")
                self._pause()
        self._remove("during-freeze")

    def take_away(self, name: str, stop: Callable[[], object], start: Callable[[], object]) -> None:
        """An engine is away for `outage_s` seconds; then everything continues by itself."""
        with self._phase(f"{name} is away for {self.outage_s:g} s") as remarks:
            stop()
            begun = time.monotonic()
            while time.monotonic() < begun + self.outage_s:
                self._pause()
            start()
            back = time.monotonic()
            server = f"after-{name.lower()}"
            self._retry(lambda: self._create(server), AGAIN_S)
            self._all_active()
            remarks.append(f"a new server was ACTIVE {time.monotonic() - back:.1f} s after its return")
        self._remove(server)

    def check(self) -> None:
        """Every server has exactly one running guest, the one that was booted first."""
        with self._phase("each server has one running guest"):
            self._until(self._hosts_up, AGAIN_S, "not every host is in service")
            self._all_active()
            now = self._processes()
            if now != self.first_processes:
                raise LabError(f"The guests are not those that were booted: {self.first_processes} and now {now}.")
        with self._phase("openstack server list --long"):
            words = ["server", "list", "--long", "-c", "Name", "-c", "Status", "-c", "Host", "-c", "Networks"]
            table = self.client(*words, timeout=COMMAND_S, spin=self._spin)
        self._show(table)

    def delete(self) -> None:
        """Nothing is left of the guests."""
        with self._phase("openstack server delete --wait"):
            self._remove(*self.servers)
            for host in self.fleet.hosts:
                if host.libvirtd is not None and host.libvirtd.guests():
                    raise LabError(f"{host.name} still runs {', '.join(host.libvirtd.guests())}.")

    # -- helpers ---------------------------------------------------------------------------------------

    def _pause(self) -> None:
        self._spin()
        time.sleep(0.2)

    def _show(self, table: str) -> None:
        for line in table.rstrip().splitlines():
            self.terminal.line(f"    {line}")

    def _until(self, check: Callable[[], bool], within_s: float, otherwise: str) -> None:
        deadline = time.monotonic() + within_s
        while not check():
            if time.monotonic() > deadline:
                raise LabError(f"After {within_s:g} s: {otherwise}.")
            self._pause()

    def _retry(self, step: Callable[[], None], within_s: float) -> None:
        """Repeat a command that fails while the control plane returns; each repeat is a new request."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                step()
                return
            except LabError:
                if time.monotonic() > deadline:
                    raise
                self._pause()

    def _create(self, name: str) -> None:
        words = ["server", "create", "--image", self.image, "--flavor", FLAVOR, name]
        answer = self.client.json(*words, timeout=COMMAND_S, spin=self._spin)
        self.servers[name] = str(answer["id"])

    def _remove(self, *names: str) -> None:
        ids = [self.servers.pop(name) for name in names]
        _ = self.client("server", "delete", "--wait", *ids, timeout=COMMAND_S, spin=self._spin)

    def _rows(self, *words: str) -> Iterable[dict[str, object]]:
        text = self.client(*words, "-f", "json", timeout=COMMAND_S, spin=self._spin)
        rows: list[dict[str, object]] = json.loads(text[text.index("[") :])
        return rows

    def _hosts_up(self) -> bool:
        rows = self._rows("compute", "service", "list", "--service", "nova-compute")
        up = [row for row in rows if row["State"] == "up" and row["Status"] == "enabled"]
        return len(up) == len(self.fleet.hosts)

    def _all_active(self) -> None:
        def look() -> bool:
            states = {str(row["ID"]): str(row["Status"]) for row in self._rows("server", "list")}
            found = {name: states.get(server_id, "missing") for name, server_id in self.servers.items()}
            bad = {name: state for name, state in found.items() if state in ("ERROR", "missing")}
            if bad:
                raise LabError(f"Servers are not what they must be: {bad}.")
            return all(state == "ACTIVE" for state in found.values())

        self._until(look, ACTIVE_S, "not every server is ACTIVE")

    def _all_speak(self) -> None:
        """Each guest has printed its name, read through the API from the host."""
        token = self.client("token", "issue", "-f", "value", "-c", "id", timeout=COMMAND_S, spin=self._spin)
        api = Api(self.fleet.url, token.strip().splitlines()[-1])
        for name, server_id in self.servers.items():
            self._until(
                lambda name=name, server_id=server_id: f"hostname={name}" in (api.console(server_id) or ""),
                ACTIVE_S,
                f"the guest {name} has not printed its name",
            )
        self.first_processes = self._processes()

    def _processes(self) -> dict[str, dict[str, int]]:
        """The QEMU process of each guest, by host."""
        return {host.name: host.libvirtd.guests() for host in self.fleet.hosts if host.libvirtd is not None}

    def _spread(self) -> str:
        return ", ".join(f"{len(guests)} on {host}" for host, guests in self._processes().items())
