# SPDX-License-Identifier: Apache-2.0
"""A whole cloud in one process: the real API, conductor and compute on SQLite, with the fake driver."""

import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kilonova.base.clock import SystemClock
from kilonova.base.failpoints import Failpoints
from kilonova.conductor.bootstrap import ROLES, FirstAdmin
from kilonova.config.load import load
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.wiring.one_box import OneBox, one_box
from kilonova.wiring.shared import token_secret
from lab.common import memory_directory
from tests import postgres, template
from tests.service import answers

SCRATCH = memory_directory()
"""A sync of a disk for each write is most of what a test would wait for."""

PASSWORD = "password of admin"
ADMIN, PROJECT = "ad" * 16, "bc" * 16

QUICK: Mapping[tuple[str, str], Any] = {
    ("DEFAULT", "compute_driver"): "fake.FakeDriver",
    ("DEFAULT", "host"): "box1",
    ("DEFAULT", "report_interval"): 0.2,
    ("DEFAULT", "action_poll_interval"): 0.5,
    ("DEFAULT", "shutdown_timeout"): 1.0,
    ("conductor", "watchdog_interval"): 0.2,
    ("api", "allowed_hosts"): ["box"],
}


@dataclass
class Cloud:
    """`http` speaks to the API; `token` and `password` are the first administrator's."""

    box: OneBox
    http: httpx.AsyncClient
    token: str
    clock: SystemClock
    state: Path
    password: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Auth-Token": self.token, "OpenStack-API-Version": "compute 2.90"}


def password_login(password: str, name: str = "admin", project: str = "admin") -> dict[str, Any]:
    """The body of a log-in by name and password."""
    domain = {"id": "default"}
    return {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": name, "domain": domain, "password": password}},
            },
            "scope": {"project": {"name": project, "domain": domain}},
        }
    }


async def log_in(http: httpx.AsyncClient, password: str, name: str = "admin", project: str = "admin") -> str:
    """A token by name and password."""
    reply = await http.post("/identity/v3/auth/tokens", json=password_login(password, name, project))
    assert reply.status_code == 201, reply.text
    return reply.headers["X-Subject-Token"]


@asynccontextmanager
async def running_cloud(
    overrides: Mapping[tuple[str, str], Any] | None = None,
    *,
    state: Path | None = None,
    failpoints: Failpoints | None = None,
    password: str | None = None,
) -> AsyncGenerator[Cloud]:
    """A cloud that is ready, whose database is a copy of that of a first start.  With a `state`, the one that is kept
    there: a real first start when the directory is new, and later with its `password`, that one started again."""
    clock, admin = SystemClock(), None
    async with AsyncExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kn-", dir=SCRATCH)))
            admin, password = FirstAdmin(ADMIN, PROJECT, template.password_hash(PASSWORD)), PASSWORD
            url = stack.enter_context(database_of(state, admin))
            overrides = {("database", "connection"): url, **(overrides or {})}
        settings = load(overrides={**QUICK, ("DEFAULT", "state_path"): str(state), **(overrides or {})})
        box = await stack.enter_async_context(one_box(settings, clock, failpoints or Failpoints()))
        transport = httpx.ASGITransport(app=box.app)
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                transport=transport, base_url="http://box", timeout=30, event_hooks={"response": [answers.check]}
            )
        )
        while not box.manager.ready()[0]:
            await clock.sleep(0.01)
        password = box.first_password or password
        assert password is not None
        token = await log_in(http, password) if admin is None else _mint(clock, state)
        yield Cloud(box, http, token, clock, state, password)


@contextmanager
def database_of(state: Path, admin: FirstAdmin) -> Generator[str]:
    """A new database as the first start leaves it, and its URL: empty for SQLite."""
    if not postgres.is_used():
        template.put_bootstrapped(state / "kilonova.db", admin)
        yield ""
        return
    try:
        yield postgres.new_database(state, admin)
    finally:
        postgres.forget_database(state)


def _mint(clock: SystemClock, state: Path) -> str:
    """A token as the first administrator's log-in gives it, without the time that a password takes."""
    minter = TokenMinter(OneKey(token_secret(state, clock)), clock, 3600)
    subject = Subject(ADMIN, "admin", PROJECT, "admin", ROLES)
    return minter.mint(subject, ("password",))[0]
