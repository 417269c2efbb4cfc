# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL that is read-only, frozen, out of connections, or of another schema while a fleet runs on it: requests
are refused in words, the doctor names it, and it passes without a new start of any process."""

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest

from lab.postgres import PrivatePostgres
from tests.live.box import wait_for
from tests.live.postgres_fleet import Clients, Running, running, short_directory

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def postgres() -> Generator[PrivatePostgres]:
    with short_directory() as directory, PrivatePostgres(Path(directory) / "pg", {"max_connections": "30"}) as server:
        yield server


@pytest.fixture(scope="module")
def fleet(postgres: PrivatePostgres) -> Generator[Running]:
    with running(postgres.url) as made:
        yield made


def refused(clients: Clients, words: str) -> Callable[[], bool]:
    """Whether a client has received these words."""
    return lambda: any(words in said for _, said in list(clients.refused))


def passes(fleet: Running, clients: Clients) -> None:
    """More is accepted, and all that was accepted runs."""
    fleet.wait_more(clients)
    clients.finish()
    fleet.assert_whole(clients)


END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kilonova'"


def end_sessions(postgres: PrivatePostgres) -> None:
    postgres.sql(END_SESSIONS)


def put_schema(postgres: PrivatePostgres, revision: str, lowest: str) -> None:
    postgres.sql(f"UPDATE schema_version SET lowest_code_version = {int(lowest)}")  # noqa: S608 - a number
    postgres.sql(f"UPDATE alembic_version SET version_num = '{int(revision):04}'")  # noqa: S608 - a number


def test_read_only_while_it_runs(fleet: Running, postgres: PrivatePostgres) -> None:
    clients = fleet.clients(3)
    fleet.wait_of(clients, lambda: clients.accepted)
    postgres.sql("ALTER DATABASE kilonova SET default_transaction_read_only = on")
    end_sessions(postgres)
    try:
        fleet.wait_of(clients, refused(clients, "in a read-only transaction. Nothing was accepted"))
        wait_for(lambda: fleet.api.http.get("/compute/v2.1/servers").status_code == 200, why=fleet.said)
        wait_for(lambda: "read-only" in fleet.api.http.get("/readyz").text, why=fleet.said)
        fleet.wait_doctor("The database is read-only (default_transaction_read_only).")
    finally:
        postgres.sql("ALTER DATABASE kilonova RESET default_transaction_read_only", "postgres")
    passes(fleet, clients)


def test_frozen_for_longer_than_every_deadline(fleet: Running, postgres: PrivatePostgres) -> None:
    clients = fleet.clients(3)
    fleet.wait_of(clients, lambda: clients.accepted)
    postgres.freeze()
    try:
        # A write has 4 s, the question for the outcome of its COMMIT 6 s, a call with its attempts less.
        fleet.wait_of(clients, lambda: sum(clients.refused.values()) >= 3)
        fleet.wait_doctor("connection timeout expired")
    finally:
        postgres.thaw()
    passes(fleet, clients)


def test_without_a_free_connection(fleet: Running, postgres: PrivatePostgres) -> None:
    clients = fleet.clients(3)
    fleet.wait_of(clients, lambda: clients.accepted)
    held = [_connect(postgres)]
    try:
        is_refused = refused(clients, "too many clients already")
        fleet.wait_of(clients, lambda: _hold_all(postgres, held) or is_refused())
        fleet.wait_doctor("too many clients already")
    finally:
        for connection in held:
            connection.close()
    passes(fleet, clients)


def _hold_all(postgres: PrivatePostgres, held: list[psycopg.Connection]) -> None:
    """Take each connection that is free.  The processes of the fleet may have theirs again before: end these anew."""
    held[0].execute(END_SESSIONS)
    with contextlib.suppress(psycopg.OperationalError):
        while len(held) < 40:
            held.append(_connect(postgres))
    assert len(held) < 40


def _connect(postgres: PrivatePostgres) -> psycopg.Connection:
    return psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True)


@pytest.mark.parametrize(
    ("revision", "lowest", "words"),
    [("0001", "1", "has the older revision 0001"), ("9999", "99", "was written by a newer Kilonova")],
)
def test_another_schema_while_it_runs(
    fleet: Running, postgres: PrivatePostgres, revision: str, lowest: str, words: str
) -> None:
    """Somebody has upgraded the database, or restored an old copy."""
    found = postgres.sql("SELECT version_num FROM alembic_version")
    clients = fleet.clients(2)
    fleet.wait_of(clients, lambda: clients.accepted)
    before = postgres.sql("SELECT lowest_code_version FROM schema_version")
    put_schema(postgres, revision, lowest)
    end_sessions(postgres)
    try:
        fleet.wait_of(clients, refused(clients, words))
        wait_for(lambda: words in fleet.api.http.get("/readyz").text, why=fleet.said)
        fleet.wait_doctor(words)
    finally:
        put_schema(postgres, found, before)
    passes(fleet, clients)
