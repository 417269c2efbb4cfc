# SPDX-License-Identifier: Apache-2.0
"""The requests during which processes die.  Each is made alone, on what it has prepared itself."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import httpx

from tests.crashes.cloud import Cloud
from tests.crashes.view import View, of_server
from tests.live.box import wait_for

NUMBERS = count(1)
SERVERS = "/compute/v2.1/servers"
LIMIT_S = 40.0
MARK = re.compile(r"\{[a-z]+\}")


class Scenario(Protocol):
    """`fails` is a failpoint of the host that fails, so that what was done is undone."""

    @property
    def name(self) -> str: ...

    @property
    def fails(self) -> str: ...

    def prepare(self, cloud: Cloud) -> str:
        """Make what the request needs; the result is the request's subject."""
        ...

    def request(self, cloud: Cloud, subject: str) -> httpx.Response:
        """Send it.  Raises HTTPError."""
        ...

    def accepted(self, cloud: Cloud, subject: str) -> bool:
        """Whether the cloud has recorded it."""
        ...

    def view(self, cloud: Cloud, subject: str) -> View:
        """What is to be compared."""
        ...

    def clean_up(self, cloud: Cloud, subject: str) -> None:
        """Remove what was made, and wait until nothing is left of it."""
        ...


def create(cloud: Cloud, name: str, **fields: Any) -> httpx.Response:
    """Send a create."""
    server = {"name": name, "imageRef": cloud.image, "flavorRef": "1", "networks": "auto", **fields}
    return cloud.client.http.post(SERVERS, json={"server": server})


def act(cloud: Cloud, server_id: str, body: Mapping[str, Any]) -> httpx.Response:
    """Send an action."""
    return cloud.client.http.post(f"{SERVERS}/{server_id}/action", json=body)


def wait_status(cloud: Cloud, server_id: str, status: str) -> None:
    """Until the server has the status, and no task."""

    def look() -> bool:
        server = cloud.client.server(server_id)
        return server is not None and (server["status"], server["OS-EXT-STS:task_state"]) == (status, None)

    wait_for(look, within_s=LIMIT_S, why=lambda: str(cloud.client.server(server_id)))


def wait_gone(cloud: Cloud, server_id: str) -> None:
    """Until neither the server nor a part of its guest exists."""
    wait_for(lambda: cloud.client.server(server_id) is None and not cloud.guests(server_id), within_s=LIMIT_S)


def delete(cloud: Cloud, server_id: str) -> None:
    """Delete the server, if it exists, with the images that were made of it."""
    reply = cloud.client.http.delete(f"{SERVERS}/{server_id}")
    assert reply.status_code in (204, 404), reply.text
    wait_gone(cloud, server_id)
    for image in cloud.client.http.get("/image/v2/images", params={"name": f"of-{server_id}"}).json()["images"]:
        cloud.client.http.delete(f"/image/v2/images/{image['id']}")


def actions(cloud: Cloud, server_id: str) -> list[str]:
    """The names of the actions that were recorded."""
    reply = cloud.client.http.get(f"{SERVERS}/{server_id}/os-instance-actions")
    return [one["action"] for one in reply.json()["instanceActions"]] if reply.status_code == 200 else []


Body = Callable[[str], Mapping[str, Any]]


def body(**fields: Any) -> Body:
    """The same body for each server."""
    return lambda _server_id: fields


@dataclass
class OfServer:
    """A request for one server, which is ACTIVE before the actions in `before` with their final statuses."""

    name: str
    send: Callable[[Cloud, str], httpx.Response]
    before: Sequence[tuple[Body, str]] = ()
    fails: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    recorded: dict[str, int] = field(default_factory=dict[str, int])

    def prepare(self, cloud: Cloud) -> str:
        reply = create(cloud, f"s{next(NUMBERS)}", **self.fields)
        assert reply.status_code == 202, reply.text
        server_id = str(reply.json()["server"]["id"])
        wait_status(cloud, server_id, "ACTIVE")
        for made, status in self.before:
            done = act(cloud, server_id, made(server_id))
            assert done.status_code in (200, 202, 204), done.text
            wait_status(cloud, server_id, status)
        self.recorded[server_id] = len(actions(cloud, server_id))
        return server_id

    def request(self, cloud: Cloud, subject: str) -> httpx.Response:
        return self.send(cloud, subject)

    def accepted(self, cloud: Cloud, subject: str) -> bool:
        return cloud.client.server(subject) is None or len(actions(cloud, subject)) > self.recorded[subject]

    def view(self, cloud: Cloud, subject: str) -> View:
        return of_server(cloud, subject)

    def clean_up(self, cloud: Cloud, subject: str) -> None:
        delete(cloud, subject)


@dataclass
class Evacuate(OfServer):
    """An evacuation from a host that was given up."""

    def prepare(self, cloud: Cloud) -> str:
        assert cloud.another_host is not None
        assert cloud.forget is not None
        host = cloud.another_host()
        wait_for(lambda: _services(cloud).get(host.name) == "up", within_s=LIMIT_S)
        reply = create(cloud, f"s{next(NUMBERS)}", host=host.name)
        assert reply.status_code == 202, reply.text
        server_id = str(reply.json()["server"]["id"])
        wait_status(cloud, server_id, "ACTIVE")
        host.kill()
        wait_for(lambda: _services(cloud).get(host.name) == "down", within_s=LIMIT_S)
        cloud.forget(host.name)
        wait_status(cloud, server_id, "ERROR")
        self.recorded[server_id] = len(actions(cloud, server_id))
        return server_id


def _services(cloud: Cloud) -> Mapping[str, str]:
    """The state of each host."""
    found = cloud.client.http.get("/compute/v2.1/os-services?binary=nova-compute").json()["services"]
    return {one["host"]: one["state"] for one in found}


@dataclass
class Create:
    """A create: its subject is the name of the server."""

    name: str
    fails: str = ""

    def prepare(self, cloud: Cloud) -> str:
        return f"s{next(NUMBERS)}"

    def request(self, cloud: Cloud, subject: str) -> httpx.Response:
        return create(cloud, subject)

    def _ids(self, cloud: Cloud, name: str) -> list[str]:
        found = cloud.client.http.get(SERVERS, params={"name": f"^{name}$"}).json()["servers"]
        return [one["id"] for one in found]

    def accepted(self, cloud: Cloud, subject: str) -> bool:
        return bool(self._ids(cloud, subject))

    def view(self, cloud: Cloud, subject: str) -> View:
        return {"servers": [of_server(cloud, server_id) for server_id in self._ids(cloud, subject)]}

    def clean_up(self, cloud: Cloud, subject: str) -> None:
        for server_id in self._ids(cloud, subject):
            delete(cloud, server_id)


@dataclass
class Edit:
    """A request that one transaction carries out: it can be repeated.  `make` and `unmake` are the requests before and
    after it; a `{}` in paths and bodies is a name of its own, `{id}` the id of what `make` has made.  Cloud.facts has
    the other marks."""

    name: str
    call: "Call"
    make: Sequence["Call"] = ()
    unmake: Sequence["Call"] = ()
    fails: str = ""
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def prepare(self, cloud: Cloud) -> str:
        subject = f"n{next(NUMBERS)}"
        for call in self.make:
            reply = call.send(cloud, subject, self.ids.get(subject, ""))
            assert reply.status_code < 300, f"{self.name}: {reply.status_code} {reply.text}"
            if call.id_at and subject not in self.ids:
                self.ids[subject] = str(call.id_of(reply))
        return subject

    def request(self, cloud: Cloud, subject: str) -> httpx.Response:
        return self.call.send(cloud, subject, self.ids.get(subject, ""))

    def accepted(self, cloud: Cloud, subject: str) -> bool:
        """A repeat is carried out, or it is refused because the request was carried out."""
        reply = self.request(cloud, subject)
        assert reply.status_code < 300 or reply.status_code in (400, 404, 409), f"{reply.status_code} {reply.text}"
        return True

    def view(self, cloud: Cloud, subject: str) -> View:
        return {}

    def clean_up(self, cloud: Cloud, subject: str) -> None:
        for call in self.unmake:
            call.send(cloud, subject, self.ids.get(subject, ""))


@dataclass(frozen=True)
class Call:
    """One HTTP request.  `id_at` is where its reply has the id of what was made: keys with dots."""

    method: str
    path: str
    body: Any = None
    id_at: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def send(self, cloud: Cloud, name: str, made: str) -> httpx.Response:
        """Send it with these words in the place of the marks."""
        words = {"{}": name, "{id}": made}
        path = _filled(self.path, cloud, words)
        if isinstance(self.body, bytes):
            return cloud.client.http.request(self.method, path, content=self.body, headers=dict(self.headers))
        body = _filled(self.body, cloud, words)
        return cloud.client.http.request(self.method, path, json=body, headers=dict(self.headers))

    def id_of(self, reply: httpx.Response) -> Any:
        found = reply.json()
        for key in self.id_at.split("."):
            found = found[key]
        return found


def _filled(part: Any, cloud: Cloud, words: Mapping[str, str]) -> Any:
    if isinstance(part, str):
        for mark, word in words.items():
            part = part.replace(mark, word)
        for mark in MARK.findall(part):
            part = part.replace(mark, cloud.facts[mark])
        return part
    if isinstance(part, dict):
        return {_filled(key, cloud, words): _filled(value, cloud, words) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, cloud, words) for value in part]
    return part
