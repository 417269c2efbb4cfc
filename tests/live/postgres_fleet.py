# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes on PostgreSQL, and clients that create servers while its database fails."""

import contextlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from lab.postgres import PASSWORD
from tests.live.box import PATIENCE_S, wait_for
from tests.live.fleet import ApiServer, Fleet, Service, fleet
from tests.live.other_clock import prelude

TELLING = (503, 504)
"""What a client may receive while the database fails: nothing was accepted, or the outcome is unknown."""


@dataclass
class Clients:
    """Threads that create servers, each under an Idempotency-Key, which they repeat until the server is accepted."""

    api: ApiServer
    image: str
    name: str
    """The beginning of the names of their servers."""
    accepted: dict[str, str] = field(default_factory=dict[str, str])
    """The id of each accepted server, by its name."""
    refused: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    """The status and the sentence of each reply that was not an acceptance."""
    unexpected: list[str] = field(default_factory=list[str])
    _ends: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def start(self, count: int) -> None:
        """Each creates one server after the other."""
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Create no further server."""
        self._ends.set()

    def finish(self) -> None:
        """Until each has the acceptance of its last server."""
        self.end()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), self.api.last_words()

    def _run(self, number: int) -> None:
        headers = self.api.http.headers
        with httpx.Client(base_url=self.api.http.base_url, headers=headers, timeout=60) as http:
            turn = 0
            while not self._ends.wait(0.2) and not self.unexpected:
                with contextlib.suppress(httpx.HTTPError):  # (a test that fails ends the API before its clients)
                    self._create(http, f"{self.name}-{number}-{turn}")
                turn += 1

    def _create(self, http: httpx.Client, name: str) -> None:
        server = {"name": name, "imageRef": self.image, "flavorRef": "1", "networks": "auto"}
        for attempt in range(600):
            headers = {"Idempotency-Key": name}
            reply = http.post("/compute/v2.1/servers", json={"server": server}, headers=headers)
            if reply.status_code == 202:
                self.accepted[name] = str(reply.json()["server"]["id"])
                return
            if reply.status_code not in TELLING:
                self.unexpected.append(f"{attempt} {reply.status_code} {reply.text}")
                return
            ((_, fault),) = reply.json().items()
            self.refused[reply.status_code, fault["message"]] += 1
            if self._ends.wait(0.1) and attempt > 300:
                return


@dataclass(frozen=True)
class Clocks:
    """How many seconds the clocks of the processes are ahead."""

    api: float = 0.0
    conductor: float = 0.0
    host: float = 0.0


RIGHT = Clocks()


@dataclass
class Running:
    """The processes of a fleet, all of them ready."""

    fleet: Fleet
    api: ApiServer
    image: str
    made: list[Clients] = field(default_factory=list[Clients])

    @property
    def services(self) -> Sequence[Service]:
        return (self.api.service, self.fleet.conductor, self.fleet.compute)

    def clients(self, count: int) -> Clients:
        """Clients that create servers from now on."""
        made = Clients(self.api, self.image, f"c{len(self.made)}")
        self.made.append(made)
        made.start(count)
        return made

    def wait_of(self, clients: Clients, what: Callable[[], object]) -> None:
        """Until something is true, while clients receive nothing unexpected."""

        def look() -> object:
            assert clients.unexpected == [], self.said()
            return what()

        wait_for(look, why=self.said)

    def wait_more(self, clients: Clients) -> None:
        """Until a few more creates of the clients are accepted."""
        before = len(clients.accepted)
        self.wait_of(clients, lambda: len(clients.accepted) > before + 4)

    def wait_ready(self) -> None:
        wait_for(self.is_ready, why=self.api.last_words)

    def is_ready(self) -> bool:
        return self.api.http.get("/readyz").status_code == 200

    def doctor(self, config: Path | None = None, ahead_s: float = 0.0) -> str:
        """What the doctor says on the machine of the API process, or of another one with this clock."""
        done = self.fleet.command("doctor", config=config or self.api.config, prelude=prelude(ahead_s))
        assert "Traceback" not in done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def wait_doctor(self, words: str, ahead_s: float = 0.0) -> None:
        """Until the doctor says so: a check that takes too long on a busy machine ends without a finding."""
        said = lambda: self.doctor(ahead_s=ahead_s)  # noqa: E731
        wait_for(lambda: words in said(), within_s=3 * PATIENCE_S, why=said)

    def said(self) -> str:
        return "".join(service.said() for service in self.services)

    def assert_whole(self, clients: Clients) -> None:
        """Every accepted server runs, there is no other one, no process has ended, and no log has a secret."""
        assert clients.unexpected == []
        wanted = {(name, server, "ACTIVE") for name, server in clients.accepted.items()}
        wait_for(lambda: wanted <= set(self.servers()), why=lambda: f"{wanted - set(self.servers())} {self.said()}")
        names = [name for name, _, _ in self.servers()]
        assert len(names) == len(set(names))
        self.assert_alive()

    def servers(self) -> list[tuple[str, str, str]]:
        """Name, id and status of every server."""
        found: list[tuple[str, str, str]] = []
        while True:
            marker = f"&marker={found[-1][1]}" if found else ""
            page = self.api.http.get(f"/compute/v2.1/servers/detail?limit=500{marker}").json()["servers"]
            if not page:
                return found
            found += [(one["name"], one["id"], one["status"]) for one in page]

    def assert_alive(self) -> None:
        for service in self.services:
            assert service.process is not None
            assert service.process.poll() is None, service.said()[-2000:]
            assert "Traceback" not in service.said(), service.said()[-6000:]
            assert PASSWORD not in service.said()


def short_directory() -> "tempfile.TemporaryDirectory[str]":
    """A directory for a server, whose user is another one."""
    made = tempfile.TemporaryDirectory(prefix="kn-pg-")
    Path(made.name).chmod(0o711)
    return made


@contextmanager
def running(url: str, clocks: Clocks = RIGHT) -> Generator[Running]:
    """An API process, a conductor and a host on this database."""
    with fleet() as made:
        made.config.write_text(made.config.read_text() + "[quota]\ninstances = -1\ncores = -1\nram = -1\n")
        made.use(url)
        api = made.api_server()
        api.service.prelude, made.conductor.prelude = prelude(clocks.api), prelude(clocks.conductor)
        made.compute.prelude = prelude(clocks.host)
        made.conductor.start().ready()
        api.start()
        made.compute.start().ready()
        api.ready()
        made.bootstrap(api)
        file = made.directory / "image.raw"
        file.write_bytes(b"\x55" * 65536)
        fleet_on_it = Running(made, api, api.upload(file, "raw"))
        try:
            yield fleet_on_it
        finally:
            for clients in fleet_on_it.made:
                clients.end()
