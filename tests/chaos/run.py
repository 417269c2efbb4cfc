# SPDX-License-Identifier: Apache-2.0
"""One chaos run: a fleet, its clients, the faults, the rest afterwards, and what must hold then."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import psycopg

from kilonova.virt.fake.durable import guests_in
from tests.chaos.checks import Seen, broken
from tests.chaos.clients import Client, Sessions
from tests.chaos.cloud import Cloud, Shape, until
from tests.chaos.faults import Faults
from tests.chaos.guest_log import ledger_of
from tests.chaos.operators import Operator
from tests.chaos.records import Records, Watch
from tests.chaos.report import Report
from tests.chaos.schedule import STEP, Fault
from tests.crashes.view import differences
from tests.live.box import GUEST_IMAGE, wait_for
from tests.simulation.explore.truth import Guest, Truth

SERVE_S, SETTLE_S, GONE_S, VERIFY_S = 240.0, 900.0, 300.0, 90.0
SERVERS = "/compute/v2.1/servers"
REAL_ZONE, FAKE_ZONE = "real", "nova"
REAL_EACH = 4
"""One client of so many has its servers on the hosts with libvirt, where each costs much more."""
REAL_SLOWER = 3.0
OPERATORS = 1000
"""The number of the first operator; each is an administrator (see Client)."""
UUID = "????????-????-????-????-????????????"
"""A pattern of file names."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """`pause_s` is the mean time between two requests of a client, `fault_pause_s` that between two faults, which are
    `faults`."""

    seed: int
    seconds: float
    shape: Shape
    clients: int
    pause_s: float
    fault_pause_s: float
    faults: Sequence[Fault]


@dataclass
class Run:
    """A run in a directory, which must be empty and short.  `say` shows how far it is."""

    options: Options
    directory: Path
    say: Say
    clients: list[Client] = field(default_factory=list[Client])
    defects: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.cloud = Cloud(self.directory, self.options.shape)

    def run(self) -> Report:
        """All of it.  Raises AssertionError when the fleet does not start."""
        cloud, options = self.cloud, self.options
        self.say("The fleet starts")
        cloud.start()
        wait_for(cloud.serves, within_s=SERVE_S)
        self.records = Records(cloud.sql_url)
        self.records.begin()
        self.sessions, images = self._prepare()
        self.begun = time.monotonic()
        self.faults = Faults(cloud, options.faults, self.begun, self._operator)
        self.watch = Watch(cloud, self.records, self.begun)
        for number in range(options.clients):
            self.clients.append(self._client(number, self.sessions, images))
        self._live()
        rest_s = self._rest()
        seen = self._seen()
        self._delete_all()
        found = [*broken(seen), *(f"rest: {one}" for one in self.defects)]
        logs = {path.stem: path.read_text(errors="replace") for path in cloud.logs()}
        return Report(options.seed, options.seconds, seen, found, rest_s, len(self.watch.real), logs)

    # -- before ------------------------------------------------------------------------------------------

    def _prepare(self) -> tuple[Sessions, tuple[str, str]]:
        """Sessions, and the images for fake and for real guests."""
        client, shape = self.cloud.clients["api1"], self.options.shape
        file = self.directory / "image.raw"
        file.write_bytes(b"\x55" * 65536)
        small = client.upload(file, "raw")
        if shape.real:
            self._make_zone(client.http)
        images = (small, client.upload(GUEST_IMAGE) if shape.real else small)
        member = _member(client.http, self.options.clients)
        return Sessions(list(self.cloud.fronts.values()), client.http.headers["X-Auth-Token"], member), images

    def _make_zone(self, http: httpx.Client) -> None:
        path = "/compute/v2.1/os-aggregates"
        body = {"aggregate": {"name": REAL_ZONE, "availability_zone": REAL_ZONE}}
        made = http.post(path, json=body).json()["aggregate"]["id"]
        for host in self.cloud.libvirtds:
            reply = http.post(f"{path}/{made}/action", json={"add_host": {"host": host}})
            assert reply.status_code == 200, reply.text

    def _client(self, number: int, sessions: Sessions, images: tuple[str, str]) -> Client:
        options = self.options
        real = options.shape.real > 0 and number % REAL_EACH == REAL_EACH - 1
        random = Random(f"{options.seed} {number}")
        pause_s = options.pause_s * (REAL_SLOWER if real else 1.0)
        zone = REAL_ZONE if real else FAKE_ZONE
        return Client(number, sessions, [images[int(real)]], zone, random, self.begun, pause_s)

    def _operator(self) -> Operator:
        """A new one, with a history of its own."""
        number = OPERATORS + 4 * len(self.clients)
        client = Client(number, self.sessions, [], "", Random(number), self.begun, 0.0)
        self.clients.append(client)
        return Operator(self.cloud, client)

    # -- meanwhile ---------------------------------------------------------------------------------------

    def _live(self) -> None:
        """Clients and faults, for the time of the run."""
        stop = threading.Event()
        threads = [threading.Thread(target=one.run, args=(stop,), daemon=True) for one in self.clients]
        for thread in threads:
            thread.start()
        self.faults.start()
        self.watch.start()
        while (left_s := self.begun + self.options.seconds - time.monotonic()) > 0:
            self.say(self._progress(f"{left_s:.0f} s left"))
            time.sleep(min(0.5, left_s))
        stop.set()
        for thread in threads:
            thread.join(60)

    def _progress(self, where: str) -> str:
        accepted = sum(one.accepted for one in self.clients)
        wrong = len(self.faults.ended) + len(self.watch.twice) + sum(len(one.defects) for one in self.clients)
        return f"{where}, {accepted} accepted, {len(self.faults.made)} faults so far, {wrong} wrong so far"

    def _rest(self) -> float:
        """End all faults, and wait until nothing is open.  Seconds that it took."""
        self.faults.rest()
        ended = time.monotonic()
        self.cloud.restart_ended()
        operator = self._operator()
        if not until(lambda: self._serves(operator), SERVE_S, 2.0):
            self.defects.append(f"The fleet does not serve {SERVE_S:.0f} s after the last fault.")
        if not until(self._is_quiet, SETTLE_S):
            rows = self.records.open_actions()
            self.defects += [f"The {row['verb']} of {row['instance_id']} on {row['host']} is open." for row in rows]
        return time.monotonic() - ended

    def _serves(self, operator: Operator) -> bool:
        self.say(self._progress("waiting until it serves"))
        operator.take_back()
        return self.cloud.serves()

    def _is_quiet(self) -> bool:
        self.say(self._progress("waiting for rest"))
        with suppress(psycopg.Error):
            return not self.records.open_actions()
        return False

    # -- afterwards --------------------------------------------------------------------------------------

    def _seen(self) -> Seen:
        """What the invariants compare."""
        verified: list[str] = []

        def agrees() -> bool:
            self.say(self._progress("kilonova verify"))
            verified[:] = differences(self.cloud.http)
            return not verified and not self.records.open_actions()

        until(agrees, VERIFY_S, 2.0)
        for client in self.clients:
            client.images = []
            for server in list(client.servers):
                client.show(server)
        self.watch.stop()
        logs = {path.stem: path.read_text(errors="replace") for path in self.cloud.logs()}
        qemus = [(host, name) for host, name, _ in self.cloud.qemus()]
        real = frozenset(self.cloud.libvirtds)
        return Seen(self._truth(), self.faults.made, list(self.watch.open.values()), qemus, real, tuple(verified), logs)

    def _truth(self) -> Truth:
        rows = self.records.rows
        exchanges = sorted((one for client in self.clients for one in client.exchanges), key=lambda one: one.invoked_s)
        for number, one in enumerate(exchanges):
            one.number = number
        ledger = ledger_of(self.cloud.guest_log)
        stores = (self.directory / name / "images" for name in self.cloud.fronts)
        return Truth(
            servers=rows("SELECT * FROM instances ORDER BY id"),
            actions=rows("SELECT * FROM actions ORDER BY started_at, id"),
            nodes=rows("SELECT * FROM compute_nodes ORDER BY host"),
            usages=rows("SELECT * FROM quota_usages"),
            addresses=rows("SELECT * FROM addresses"),
            images=rows("SELECT * FROM images"),
            files=frozenset(path.name for store in stores for path in store.glob(UUID)),
            guests=self._guests(),
            changes=self.records.changes(),
            exchanges=exchanges,
            twice=[*ledger.twice, *self.watch.twice],
            starts=ledger.started,
            ends=ledger.ended,
            defects=[*self.faults.ended, *self.faults.broken, *(text for one in self.clients for text in one.defects)],
            tombstones=frozenset((row["host"], row["instance_id"]) for row in rows("SELECT * FROM tombstones")),
            jumped=any(fault.kind == STEP for fault in self.faults.made),
        )

    def _guests(self) -> list[Guest]:
        """The guests of the fake hosts."""
        found: list[Guest] = []
        for host, machine in self.cloud.machines.items():
            for id_, guest in guests_in(machine).items():
                made, flavor = guest.definition, "" if guest.definition is None else guest.definition.flavor.id
                rescued = made is not None and made.rescue_image is not None
                kept, snapshots = guest.kept_disk is not None, len(guest.snapshots)
                parts = (guest.power, guest.saved, made is not None, rescued, flavor, kept, snapshots)
                found.append(Guest(host, id_, *parts))
        return found

    def _delete_all(self) -> None:
        """Delete all servers and images: nothing may be left."""
        http = self.cloud.http
        for row in self.records.rows("SELECT id FROM instances WHERE deleted_at IS NULL"):
            reply = http.delete(f"{SERVERS}/{row['id']}")
            if reply.status_code not in (204, 404):
                self.defects.append(f"Server {row['id']} cannot be deleted: {reply.text}")
        for row in self.records.rows("SELECT id FROM images"):
            http.delete(f"/image/v2/images/{row['id']}")
        left, operator = list[str](), self._operator()

        def nothing() -> bool:
            self.say(self._progress("everything is deleted"))
            for server in operator.finish_starts():
                http.delete(f"{SERVERS}/{server}")
            left[:] = self._left()
            return not left

        until(nothing, GONE_S, 1.0)
        self.defects += [f"{one} is left after everything was deleted." for one in left]

    def _left(self) -> list[str]:
        rows = self.records.rows
        found = [f"Server {row['id']}" for row in rows("SELECT id FROM instances WHERE deleted_at IS NULL")]
        found += [f"Guest {guest} of {host}" for host, guest in self.cloud.guests()]
        found += [f"QEMU {name} of {host}" for host, name, _ in self.cloud.qemus()]
        found += [f"A claim on {row['host']}" for row in rows("SELECT host FROM compute_nodes WHERE instances <> 0")]
        found += [f"Address {dict(row)}" for row in rows("SELECT * FROM addresses")]
        for host in self.cloud.victims:
            instances = self.directory / host / "instances"
            found += [f"Directory {path}" for path in instances.glob(UUID)]
        return found or differences(self.cloud.http)


def _member(http: httpx.Client, count: int) -> list[str]:
    """Sessions of a user who is a member of the administrator's project."""
    user = {"name": "chaos", "password": "chaos-chaos", "domain_id": "default"}
    user_id = http.post("/identity/v3/users", json={"user": user}).json()["user"]["id"]
    project = http.get("/identity/v3/projects?name=admin").json()["projects"][0]["id"]
    role = http.get("/identity/v3/roles?name=member").json()["roles"][0]["id"]
    reply = http.put(f"/identity/v3/projects/{project}/users/{user_id}/roles/{role}")
    assert reply.status_code == 204, reply.text
    identity = {"methods": ["password"], "password": {"user": {"id": user_id, "password": "chaos-chaos"}}}
    auth = {"identity": identity, "scope": {"project": {"id": project}}}
    found: list[str] = []
    for _ in range(count):
        reply = http.post("/identity/v3/auth/tokens", json={"auth": auth})
        assert reply.status_code == 201, reply.text
        found.append(reply.headers["X-Subject-Token"])
    return found
