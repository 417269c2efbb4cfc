# SPDX-License-Identifier: Apache-2.0
"""The clients of a run: threads with a session each, which use every verb of servers, and keep what they saw."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bench.web import Answer, Web
from tests.simulation.explore.history import Exchange, Shown
from tests.simulation.explore.requests import ACTIONS, ADMINS, SERVERS, SMALL, action_of, shown

REQUEST_S = 8.0
"""A request without an answer in this time has an unknown outcome."""
TRIES = 6
SERVERS_EACH, ACTIONS_EACH = 4, 14
"""Servers of one client at a time; a server with more requests is deleted."""


@dataclass
class Sessions:
    """The ports of the API processes, a token of an administrator, and one for each member."""

    ports: list[int]
    admin: str
    members: list[str]


@dataclass
class Server:
    """What its client knows of a server."""

    id: str
    seen: Shown | None = None
    requests: int = 0


@dataclass
class Client:
    """One thread.  Its requests follow from its seed and from the answers."""

    number: int
    sessions: Sessions
    images: list[str]
    zone: str
    random: Random
    begun: float
    pause_s: float
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    servers: list[Server] = field(default_factory=list[Server])
    defects: list[str] = field(default_factory=list[str])
    accepted: int = 0
    """How many of its requests that change something were accepted."""
    _creates: int = 0
    _webs: dict[tuple[int, bool], Web] = field(default_factory=dict[tuple[int, bool], Web])

    @property
    def is_admin(self) -> bool:
        """Whether it is an administrator: each fourth one."""
        return self.number % 4 == 0

    def run(self, stop: threading.Event) -> None:
        """Send requests until the end."""
        while not stop.wait(self.random.expovariate(1 / self.pause_s)):
            self.one()

    def one(self) -> None:
        """One request, or one that is repeated until its outcome is known."""
        roll = self.random.random()
        if not self.servers or (len(self.servers) < SERVERS_EACH and roll < 0.3):
            self.create()
        else:
            self.use(self.random.choice(self.servers), roll)

    def use(self, server: Server, roll: float) -> None:
        """A request on a server."""
        server.requests += 1
        if server.requests > ACTIONS_EACH or roll > 0.93:
            self.delete(server)
        elif roll > 0.85:
            self.show(server)
        else:
            if self.random.random() < 0.7:
                self.show(server)
            if server in self.servers:
                self.act(server, action_of(self.random, server.seen))

    def create(self) -> None:
        """A new server; repeated under its key while the outcome is unknown."""
        self._creates += 1
        name = f"chaos-{self.number}-{self._creates}"
        body = {
            "name": name,
            "imageRef": self.random.choice(self.images),
            "flavorRef": SMALL,
            "networks": "auto",
            "availability_zone": self.zone,
        }
        for _ in range(TRIES):
            one, answer = self._send("create", "", ("POST", SERVERS, {"server": body}), key=name)
            if one.code == 202 and answer is not None:
                one.server = answer.json()["server"]["id"]
                self.servers.append(Server(one.server))
            if not one.unknown and one.code != 503:
                return
            time.sleep(0.3)

    def act(self, server: Server, verb: str) -> None:
        """An action; requested once more if its outcome is unknown."""
        body = ACTIONS[verb]
        if verb == "rebuild":
            body = {"rebuild": {"imageRef": self.random.choice(self.images)}}
        for _ in range(2):
            path = f"{SERVERS}/{server.id}/action"
            one, _ = self._send(verb, server.id, ("POST", path, body), admin=verb in ADMINS)
            if one.code == 404 and verb not in ("rebuild", "rescue"):
                self._forget(server)
            if not one.unknown:
                return

    def delete(self, server: Server) -> None:
        """A delete, repeated while its outcome is unknown."""
        for _ in range(TRIES):
            one, _ = self._send("delete", server.id, ("DELETE", f"{SERVERS}/{server.id}", None))
            if one.code in (204, 404):
                self._forget(server)
            if not one.unknown and one.code != 503:
                return

    def show(self, server: Server) -> None:
        """Read a server, as an administrator: members do not see its host."""
        one, answer = self._send("show", server.id, ("GET", f"{SERVERS}/{server.id}", None), admin=True)
        if one.code == 200 and answer is not None:
            one.shown = server.seen = shown(answer.json()["server"])
        elif one.code == 404:
            self._forget(server)

    def _forget(self, server: Server) -> None:
        if server in self.servers:
            self.servers.remove(server)

    def _send(
        self, verb: str, server: str, call: tuple[str, str, Any], *, admin: bool = False, key: str = ""
    ) -> tuple[Exchange, Answer | None]:
        admin = admin or self.is_admin
        one = Exchange(0, self.number, admin, server, verb, time.monotonic() - self.begun, 0)
        self.exchanges.append(one)
        web = self._web(self.random.choice(self.sessions.ports), admin=admin)
        web.headers["Idempotency-Key"] = key
        if not key:
            del web.headers["Idempotency-Key"]
        try:
            answer = web(*call)
        except OSError as error:
            one.message = f"{type(error).__name__}: {error}"
            one.answered_s = time.monotonic() - self.begun
            return one, None
        one.answered_s, one.code = time.monotonic() - self.begun, answer.status
        one.request_id = answer.headers.get("x-openstack-request-id", "")
        self.accepted += one.accepted and verb != "show"
        if answer.status >= 400:
            one.message = message_of(answer)
        if answer.status == 500:
            self.defects.append(f"{call[0]} {call[1]} ({one.request_id}) was answered with 500: {one.message}")
        return one, answer

    def _web(self, port: int, *, admin: bool) -> Web:
        if (port, admin) not in self._webs:
            tokens = self.sessions.members
            token = self.sessions.admin if admin or not tokens else tokens[self.number % len(tokens)]
            self._webs[port, admin] = Web(port, token, REQUEST_S)
        return self._webs[port, admin]


def message_of(answer: Answer) -> str:
    """The sentence of a fault."""
    try:
        found: Mapping[str, Any] = next(iter(answer.json().values()), {})
        return str(found.get("message", ""))
    except (ValueError, AttributeError):
        return answer.data[:200].decode(errors="replace")
