# SPDX-License-Identifier: Apache-2.0
"""The primary of PostgreSQL is killed amid creates, and its standby takes its place: no process starts again."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
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
    with short_directory() as directory:
        primary = PrivatePostgres(Path(directory) / "primary")
        standby = Standby(Path(directory) / "standby", primary)
        try:
            primary.start()
            standby.start()
            yield primary, standby
        finally:
            standby.stop()
            primary.stop()


def both(primary: PrivatePostgres, standby: PrivatePostgres) -> str:
    """The URL that names both servers."""
    return f"postgresql+psycopg://kilonova:{PASSWORD}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/kilonova"


def test_with_synchronous_replication_nothing_accepted_is_lost() -> None:
    with pair() as (primary, standby), running(both(primary, standby)) as fleet:
        assert "1 standby is asynchronous" in fleet.doctor()
        wait_for_standby(primary)
        wait_for(lambda: "asynchronous" not in fleet.doctor())
        clients = fleet.clients(4)
        wait_for(lambda: len(clients.accepted) >= 4, why=fleet.said)
        primary.kill()
        standby.promote()
        fleet.wait_ready()
        before = len(clients.accepted)
        wait_for(lambda: len(clients.accepted) > before + 4, why=fleet.said)
        clients.finish()
        print(clients.refused)
        fleet.assert_whole(clients)


def test_while_its_standby_is_away_a_primary_accepts_nothing_and_says_so() -> None:
    with pair() as (primary, standby), running(both(primary, standby)) as fleet:
        wait_for_standby(primary)
        standby.freeze()
        standby.kill()
        clients = fleet.clients(2)
        wait_for(lambda: clients.refused, why=fleet.said)
        print(clients.refused)
        print(fleet.doctor())
        assert "no synchronous standby is connected" in fleet.doctor()
        standby.start()
        fleet.wait_ready()
        wait_for(lambda: len(clients.accepted) >= 4, why=fleet.said)
        clients.finish()
        fleet.assert_whole(clients)


def test_without_it_the_fleet_goes_on_with_what_the_standby_has() -> None:
    """The standby receives nothing of the last creates: they are lost, and nothing else is."""
    with pair() as (primary, standby), running(both(primary, standby)) as fleet:
        known = [fleet.api.create(fleet.image, f"k{number}") for number in range(2)]
        for server in known:
            fleet.api.wait_status(server, "ACTIVE")
        wait_for(lambda: _received(standby) == _written(primary))
        _stop_receiving(standby)
        lost = fleet.api.create(fleet.image, "lost")
        fleet.api.wait_status(lost, "ACTIVE")
        primary.kill()
        standby.thaw()
        standby.promote()
        fleet.wait_ready()
        assert fleet.api.server(lost) is None
        for server in (*known, fleet.api.create(fleet.image, "after")):
            fleet.api.wait_status(server, "ACTIVE")
        print(fleet.said())
        fleet.assert_alive()


def _written(primary: PrivatePostgres) -> str:
    return primary.sql("SELECT pg_current_wal_lsn()", "postgres")


def _received(standby: PrivatePostgres) -> str:
    return standby.sql("SELECT pg_last_wal_replay_lsn()", "postgres")


def _stop_receiving(standby: PrivatePostgres) -> None:
    """Freeze the process of the standby that receives the log."""
    os.kill(int(standby.sql("SELECT pid FROM pg_stat_wal_receiver", "postgres")), signal.SIGSTOP)
