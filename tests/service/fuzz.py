# SPDX-License-Identifier: Apache-2.0
"""Bad requests, and the law that every answer obeys: a cloud that is watched while strangers speak to it.

The law: no 500 and no word of an error in the log; a fault has its service's form; who is answered 4xx has changed
nothing.  Everything is made of the table of routes: a new row is fuzzed without a word here.
"""

import asyncio
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import structlog
from hypothesis import HealthCheck, settings

from kilonova.api.http.faults import KEYS
from kilonova.api.http.microversion import MAX, Microversion
from kilonova.api.http.openapi import document
from kilonova.api.routes import SERVICES
from kilonova.db import reserve
from kilonova.db.postgres.url import parameters
from tests import postgres
from tests.service.api import Api, running_api

FACTOR = int(os.environ.get("KILONOVA_FUZZ", "1"))
"""How many times the usual number of examples; above 1 they are new ones each time."""


def some(examples: int) -> settings:
    """Hypothesis's settings: the same few examples each time, or many new ones."""
    return settings(
        max_examples=examples * FACTOR,
        derandomize=FACTOR == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


COMPUTE, IDENTITY = "/compute/v2.1", "/identity/v3"

THINGS: Mapping[str, tuple[str, str, dict[str, dict[str, Any]]]] = {
    "flavors": (
        "flavor_id",
        f"{COMPUTE}/flavors",
        {"flavor": {"name": "two", "id": "two", "ram": 64, "vcpus": 1, "disk": 1}},
    ),
    "keypairs": ("name", f"{COMPUTE}/os-keypairs", {"keypair": {"name": "key"}}),
    "aggregates": ("aggregate_id", f"{COMPUTE}/os-aggregates", {"aggregate": {"name": "aggregate"}}),
    "server_groups": (
        "group_id",
        f"{COMPUTE}/os-server-groups",
        {"server_group": {"name": "group", "policy": "affinity"}},
    ),
    "projects": ("project_id", f"{IDENTITY}/projects", {"project": {"name": "fuzzed"}}),
    "users": ("user_id", f"{IDENTITY}/users", {"user": {"name": "fuzzed", "password": "correct horse battery"}}),
}
"""By table: what requests speak of, and how it is made anew when one of them has removed or renamed it."""


@dataclass(frozen=True)
class Asked:
    """A request as it is on the wire.  `path` has its query; `headers` come beside a token and a microversion."""

    method: str
    path: bytes
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path[:300]!r} {self.headers} {self.body[:300]!r} ({len(self.body)} bytes)"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    @property
    def message(self) -> str:
        """The sentence of a fault."""
        return next(iter(json.loads(self.body).values()))["message"]


TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"


UNFINISHED = (
    "SELECT count(*) FROM actions WHERE state = 'open'",
    "SELECT count(*) FROM notifications WHERE number IS NULL",
    "SELECT count(*) FROM outbox WHERE published < numbered",
)
"""What goes on after a request was answered, and changes the database."""


@dataclass
class Watched:
    """A cloud with one server, one image, one key pair.  Its loop runs while it is asked something."""

    api: Api
    runner: asyncio.Runner
    database: "sqlite3.Connection | _OnPostgres"
    log: list[Any]
    version: Microversion = MAX
    ids: dict[str, str] = field(default_factory=dict[str, str])
    _seen: tuple[int, str] = (-1, "")

    def ask(self, asked: Asked) -> Answer:
        """The answer, which obeys the law."""
        self.settle()
        before = self._digest()
        self.log.clear()
        answer = self.runner.run(self._send(asked))
        self._judge(asked, answer, before)
        return answer

    def _judge(self, asked: Asked, answer: Answer, before: str) -> None:
        said = f"{asked} was answered {answer.status} {answer.body[:500]!r}"
        assert answer.status < 500 or answer.status == 501, said
        assert not [entry for entry in self.log if entry["log_level"] in ("error", "critical")], (said, self.log)
        if answer.status >= 400:
            check_fault(asked, answer, said)
        if 400 <= answer.status < 500:
            assert self._digest() == before, f"{said}, and yet it changed something"

    async def _send(self, asked: Asked) -> Answer:
        path, _, query = asked.path.partition(b"?")
        given = dict(asked.headers)
        usual = {
            b"host": b"box",
            b"x-auth-token": self.api.token.encode(),
            b"openstack-api-version": f"compute {self.version}".encode(),
            b"x-subject-token": self.api.token.encode(),
            b"content-type": b"application/json",
            b"content-length": str(len(asked.body)).encode(),
        }
        scope: dict[str, Any] = {
            "type": "http",
            "method": asked.method,
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": [(name, value) for name, value in usual.items() if name not in given] + list(asked.headers),
            "server": ("box", 80),
            "client": ("127.0.0.1", 1),
        }
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": asked.body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        async with asyncio.timeout(20):
            await self.api.cloud.box.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], dict(sent[0]["headers"]), body)

    def settle(self) -> None:
        """What was accepted before is done, and what requests speak of is there."""
        self.runner.run(self._quiet())
        self.runner.run(self._enabled())
        row = self.database.execute(
            "SELECT vm_state, locked_by FROM instances WHERE id = ?", (self.ids.get("server_id"),)
        ).fetchone()
        if row != ("active", None):
            self.ids["server_id"] = self.runner.run(self._new_server())
            self.runner.run(self._quiet())
        for table, (parameter, path, body) in THINGS.items():
            (kind,) = body
            found = self._named(table, body[kind]["name"])
            if found is None:
                made = self.runner.run(self.api.call("POST", path, json=body))
                assert made.status_code < 300, made.text
                found = self._named(table, body[kind]["name"])
            self.ids[parameter] = str(found)

    def _named(self, table: str, name: str) -> object:
        key = "name" if table == "keypairs" else "id"
        query = f"SELECT {key} FROM {table} WHERE name = ?"  # noqa: S608 - both are our own words
        found = self.database.execute(query, (name,)).fetchone()
        return None if found is None else found[0]

    async def _quiet(self) -> None:
        async with asyncio.timeout(30):
            while any(self.database.execute(query).fetchone()[0] for query in UNFINISHED):
                await self.api.cloud.clock.sleep(0.002)

    async def _enabled(self) -> None:
        """The host takes guests."""
        row = self.database.execute("SELECT id, disabled, forced_down FROM services WHERE topic = 'compute'")
        self.ids["service_id"], *off = row.fetchone()
        self.ids["hypervisor_id"] = self.ids["service_id"]
        if any(off):
            path, wish = f"/os-services/{self.ids['service_id']}", {"status": "enabled", "forced_down": False}
            assert (await self.api.compute("PUT", path, wish)).status_code == 200

    async def _new_server(self) -> str:
        image = self.ids.get("image_id")
        if image is None or (await self.api.call("GET", f"/image/v2/images/{image}")).status_code != 200:
            image = self.ids["image_id"] = await self.api.image()
        await self._remove_servers()
        return await self.api.server(image, metadata={"key": "value"}, networks="none")

    async def _remove_servers(self) -> None:
        """So that the host always has room for another."""
        for (id_,) in self.database.execute("SELECT id FROM instances WHERE vm_state != 'deleted'").fetchall():
            await self.api.compute("DELETE", f"/servers/{id_}")
        await self._quiet()

    def _digest(self) -> str:
        """What is in the database (but for when hosts were heard last), and which images have bytes."""
        version = self.database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._seen[0]:
            self._seen = version, _digest(self.database)
        images = sorted(path.name for path in (self.api.cloud.state / "images").iterdir())
        return f"{self._seen[1]} {images}"


class _OnPostgres:
    """The database of a cloud on PostgreSQL, with the few words of SQLite that this module uses."""

    WORDS: ClassVar[Mapping[str, str]] = {
        "PRAGMA data_version": "SELECT pg_current_wal_insert_lsn()",
        TABLES: "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
    }

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(**parameters(url), autocommit=True)  # type: ignore[arg-type]

    def execute(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        return self._connection.execute(self.WORDS.get(query, query).replace("?", "%s"), values or None)

    def close(self) -> None:
        self._connection.close()


def _beside(state: Path) -> "sqlite3.Connection | _OnPostgres":
    url = postgres.url_of(state)
    return sqlite3.connect(state / "kilonova.db", isolation_level=None) if url is None else _OnPostgres(url)


def _digest(database: "sqlite3.Connection | _OnPostgres") -> str:
    found = hashlib.sha256()
    for (table,) in database.execute(TABLES).fetchall():
        rows = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the name is the schema's own
        names = [column[0] for column in rows.description]
        if table == reserve.NAME:  # it comes and goes by itself
            continue
        volatile = {"updated_at"} if table in ("services", "compute_nodes") else set[str]()
        kept = [at for at, name in enumerate(names) if name not in volatile]
        for row in sorted(repr([row[at] for at in kept]) for row in rows):
            found.update(f"{table} {row}\n".encode())
    return found.hexdigest()


def check_fault(asked: Asked, answer: Answer, said: str) -> None:
    """The one key is that of the service, and of the status."""
    if asked.method == "HEAD":
        return
    body = json.loads(answer.body)
    assert len(body) == 1, said
    (key,) = body
    identity, network = asked.path.startswith(b"/identity/v3"), asked.path.startswith(b"/network/v2.0")
    if answer.status == 401 or identity:
        assert key == "error", said
    elif network:
        assert key == "NeutronError", said
    else:
        assert key in KEYS, said
        assert body[key]["code"] == answer.status, said
        if answer.status in (400, 403, 404, 405, 409, 413, 415):
            assert key != "computeFault", said
    assert isinstance(body[key]["message"], str), said
    assert "Traceback" not in body[key]["message"], said


@contextmanager
def watched() -> Generator[Watched]:
    """A cloud with its log and its database in view."""
    opened = asyncio.Event()
    closing_time = asyncio.Event()
    found: list[Api] = []

    async def hold() -> None:
        # Wrong passwords are answered at once.
        async with running_api({("api", "trusted"): ["127.0.0.1"]}) as api:
            found.append(api)
            opened.set()
            await closing_time.wait()

    async def begin() -> "asyncio.Task[None]":
        task = asyncio.create_task(hold())
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return task

    async def end(task: "asyncio.Task[None]") -> None:
        closing_time.set()
        await task

    with structlog.testing.capture_logs() as log, asyncio.Runner() as runner:
        task = runner.run(begin())
        try:
            with closing(_beside(found[0].cloud.state)) as database:
                yield Watched(found[0], runner, database, log)
        finally:
            runner.run(end(task))


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    arguments: tuple[str, ...]
    media: str
    needs_token: bool
    body: Mapping[str, Any] | None = field(repr=False)
    schemas: Mapping[str, Any] = field(repr=False)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema itself, or the one that it refers to."""
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.schemas[name] if name else schema

    def to(self, ids: Mapping[str, str], **segments: str) -> bytes:
        """Its path, with things that are there."""
        values = {"key": "key", **ids, **segments}
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "1"), self.path).encode()


@lru_cache
def operations(version: Microversion) -> list[Operation]:
    """Every operation that a microversion has."""
    whole = document(SERVICES, version)
    found: list[Operation] = []
    for path, methods in whole["paths"].items():
        for method, one in methods.items():
            content: dict[str, Any] = one.get("requestBody", {}).get("content", {})
            media = next(iter(content), "application/json")
            names = tuple(parameter["name"] for parameter in one["parameters"] if parameter["in"] == "query")
            schema = content[media]["schema"] if content else None
            found.append(
                Operation(method.upper(), path, names, media, "security" in one, schema, whole["components"]["schemas"])
            )
    return found


def example(operation: Operation, schema: Mapping[str, Any], ids: Mapping[str, str], name: str = "") -> Any:
    """A value that fits a schema: as small as may be."""
    schema = operation.resolved(schema)
    known: dict[str, Any] = {"flavorRef": "1", "imageRef": ids["image_id"], "networks": "none", "uuid": ids["image_id"]}
    if name in known:
        return known[name]
    for word in ("examples", "enum", "oneOf", "anyOf"):
        if schema.get(word):
            first = schema[word][0]
            return example(operation, first, ids) if word in ("oneOf", "anyOf") else first
    if "const" in schema:
        return schema["const"]
    members = schema.get("properties", {})
    values: dict[str, Any] = {
        "object": {key: example(operation, members[key], ids, key) for key in schema.get("required", ())},
        "array": [],
        "string": "a" * max(1, schema.get("minLength", 1)),
        "integer": schema.get("minimum", 1),
        "number": 1.0,
        "boolean": True,
    }
    return values.get(schema.get("type", "null"))


Path = tuple[str | int, ...]


def paths(operation: Operation, schema: Mapping[str, Any], path: Path = ()) -> Iterable[tuple[Path, Mapping[str, Any]]]:
    """Every place in a body, with its schema; entries of lists as entry 0."""
    schema = operation.resolved(schema)
    for word in ("oneOf", "anyOf"):
        for one in schema.get(word, ()):
            yield from paths(operation, one, path)
    for name, member in schema.get("properties", {}).items():
        yield (*path, name), member
        yield from paths(operation, member, (*path, name))
    if "items" in schema:
        yield (*path, 0), schema["items"]
        yield from paths(operation, schema["items"], (*path, 0))


def with_value(operation: Operation, path: Path, value: str, ids: Mapping[str, str]) -> bytes:
    """A body that is right but for the JSON text at one place."""
    assert operation.body is not None
    return json.dumps(_placed(operation, operation.body, path, ids)).replace('"@@"', value).encode()


def _placed(operation: Operation, schema: Mapping[str, Any], path: Path, ids: Mapping[str, str]) -> Any:
    if not path:
        return "@@"
    schema = _towards(operation, schema, path[0])
    below = schema["items"] if path[0] == 0 else schema["properties"][path[0]]
    inner = _placed(operation, below, path[1:], ids)
    if path[0] == 0:
        return [inner]
    whole = example(operation, schema, ids)
    return {**(whole if isinstance(whole, dict) else {}), path[0]: inner}


def _towards(operation: Operation, schema: Mapping[str, Any], step: str | int) -> Mapping[str, Any]:
    """The alternative of a schema that has such a member."""
    schema = operation.resolved(schema)
    if (step == 0 and "items" in schema) or step in schema.get("properties", {}):
        return schema
    for one in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        found = _towards(operation, one, step)
        if found:
            return found
    return {}
