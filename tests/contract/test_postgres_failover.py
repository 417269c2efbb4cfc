# SPDX-License-Identifier: Apache-2.0
"""A standby takes the place of its primary: no outcome is guessed, and the former primary is not written."""

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.base.errors import RequestOutcomeUnknown
from kilonova.db.postgres import schema
from kilonova.db.postgres.database import SETTLE_S, WRITE_S
from kilonova.db.postgres.url import STATEMENT_MS, parameters
from lab.postgres import PrivatePostgres
from lab.postgres_kinds import Standby
from tests.contract.test_database import insert, make_table, numbers
from tests.contract.test_postgres import database, refused, written
from tests.live.postgres_fleet import short_directory
from tests.proxy import proxy


@pytest.fixture
def pair() -> Generator[tuple[PrivatePostgres, Standby]]:
    """A primary with the schema and the empty table `t`, and its standby."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(short_directory()))
        primary = stack.enter_context(PrivatePostgres(directory / "primary"))
        with schema.connected(parameters(primary.url)) as connection:
            schema.upgrade(connection)
            make_table(connection)
        yield primary, stack.enter_context(Standby(directory / "standby", primary))


def url(primary: PrivatePostgres, port: int) -> str:
    return primary.url.replace(f"127.0.0.1:{primary.port}/", f"127.0.0.1:{primary.port},127.0.0.1:{port}/")


async def test_the_outcome_of_a_commit_is_not_read_on_another_server(pair: tuple[PrivatePostgres, Standby]) -> None:
    """The number of the lost transaction belongs to another one on the new primary, which has committed it."""
    primary, standby = pair
    standby.separate()
    async with proxy(standby.port) as between, proxy(primary.port) as before:
        given = url(primary, between.port).replace(f":{primary.port},", f":{before.port},")
        async with database(given, write_s=3.0) as db:
            between.deaf.set()  # (nobody settles anything before the number is used again)
            lost: list[str] = []

            def lose_the_answer(tx: sa.Connection) -> None:
                insert(tx, 1)
                lost.append(str(tx.exec_driver_sql("SELECT pg_current_xact_id()").scalar_one()))
                before.mute.set()

            writing = asyncio.create_task(db.write(lose_the_answer))
            while primary.sql("SELECT count(*) FROM t") != "1":  # noqa: ASYNC110 - only the server has the number
                await asyncio.sleep(0.01)
            primary.kill()
            standby.promote()
            while int(standby.sql("SELECT pg_current_xact_id()")) < int(lost[0]):
                pass
            assert standby.sql(f"SELECT pg_xact_status('{lost[0]}'::xid8)") == "committed"
            between.pass_all()
            with pytest.raises(RequestOutcomeUnknown):
                await writing
            assert await db.read(numbers) == []


async def test_a_former_primary_that_runs_again_is_not_written(pair: tuple[PrivatePostgres, Standby]) -> None:
    primary, standby = pair
    async with database(url(primary, standby.port), write_s=0.7) as db:
        await written(db, 1)
        while standby.sql("SELECT count(*) FROM t") != "1":  # noqa: ASYNC110 - only the server has the number
            await asyncio.sleep(0.01)
        primary.kill()
        standby.promote()
        await written(db, 2)
        primary.start()
        standby.stop()
        await refused(db, 3, "is a former primary that was replaced: stop that server")
        standby.start()
        primary.stop()
        await written(db, 4)
        assert await db.read(numbers) == [1, 2, 4]


def test_postgresql_waits_for_a_standby_longer_than_anybody_waits_for_the_outcome() -> None:
    """At statement_timeout a commit counts without its standby: a failover would take back what was accepted."""
    assert STATEMENT_MS / 1000 > WRITE_S + SETTLE_S + 1
