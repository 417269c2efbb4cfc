# SPDX-License-Identifier: Apache-2.0
"""The primary of PostgreSQL is killed amid creates, and its standby takes its place: no process starts again."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab.postgres import PASSWORD, PrivatePostgres
from lab.postgres_kinds import Standby, wait_for_standby
from tests.live.box import wait_for
from tests.live.postgres_fleet import running, short_directory

pytestmark = pytest.mark.live


@contextmanager
def pair() -> Generator[tuple[PrivatePostgres, Standby]]:
    """A primary and its standby, both running."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(short_directory()))
        primary = stack.enter_context(PrivatePostgres(directory / "primary"))
        yield primary, stack.enter_context(Standby(directory / "standby", primary))


def both(primary: PrivatePostgres, standby: PrivatePostgres) -> str:
    """The URL that names both servers."""
    return f"postgresql+psycopg://kilonova:{PASSWORD}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/kilonova"


def test_with_synchronous_replication_nothing_accepted_is_lost() -> None:
    """While the standby is away the primary accepts nothing.  When it is back, it takes the primary's place."""
    with pair() as (primary, standby), running(both(primary, standby)) as fleet:
        wait_for_standby(primary)
        standby.kill()
        clients = fleet.clients(4)
        fleet.wait_of(clients, lambda: clients.refused)
        fleet.wait_doctor("Every write waits: no synchronous standby is connected")
        assert clients.accepted == {}
        standby.start()
        fleet.wait_of(clients, lambda: len(clients.accepted) >= 4)
        primary.kill()
        standby.promote()
        fleet.wait_more(clients)
        clients.finish()
        fleet.assert_whole(clients)


def test_without_it_the_fleet_goes_on_with_what_the_standby_has() -> None:
    """The standby has received nothing of the last create: it is lost, and nothing else is."""
    with pair() as (primary, standby), running(both(primary, standby)) as fleet:
        fleet.wait_doctor("1 standby is asynchronous: a failover may lose the last accepted requests")
        known = [fleet.api.create(fleet.image, f"k{number}") for number in range(2)]
        for server in known:
            fleet.api.wait_status(server, "ACTIVE")
        written = primary.sql("SELECT pg_current_wal_lsn()", "postgres")
        wait_for(lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{written}'", "postgres") == "t")
        standby.separate()
        lost = fleet.api.create(fleet.image, "lost")
        fleet.api.wait_status(lost, "ACTIVE")
        primary.kill()
        standby.promote()
        fleet.wait_ready()
        assert fleet.api.server(lost) is None
        for server in (*known, fleet.api.create(fleet.image, "after")):
            fleet.api.wait_status(server, "ACTIVE")
        assert "More than one server accepts writes" not in fleet.doctor()
        primary.start()
        fleet.wait_doctor("More than one server accepts writes")
        fleet.assert_alive()
