# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL that fails: what was accepted is there, what was refused is not, and no worker waits for ever."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from kilonova.base.clock import SystemClock
from kilonova.base.errors import (
    DatabaseUnavailable,
    DatabaseUnreadable,
    InvalidInput,
    RequestOutcomeUnknown,
)
from kilonova.base.threads import DaemonWorkers, count
from kilonova.db.postgres import schema
from kilonova.db.postgres.connection import make_engine
from kilonova.db.postgres.database import PostgresDatabase
from kilonova.db.postgres.failures import Kind
from kilonova.db.postgres.session import begin_write
from kilonova.db.postgres.url import parameters
from kilonova.db.savepoints import each_in_savepoint
from kilonova.db.transaction import single_statement
from lab.postgres import PrivatePostgres
from tests import postgres
from tests.contract.test_database import T, insert, make_table, numbers
from tests.proxy import proxy


@pytest.fixture(scope="module")
def shared_server() -> Generator[PrivatePostgres]:
    """The server of this module, with the database `template`."""
    with postgres.private_server() as found:
        with schema.connected(parameters(found.create_database("template"))) as connection:
            schema.upgrade(connection)
            make_table(connection)
        yield found


@pytest.fixture
def server(shared_server: PrivatePostgres) -> Generator[PrivatePostgres]:
    """A server with the schema and the empty table `t`, to stop, to kill and to freeze."""
    shared_server.drop_database("kilonova")
    shared_server.create_database("kilonova", "template")
    yield shared_server
    shared_server.stop()
    shared_server.start()


@asynccontextmanager
async def database(url: str, *, size: int = 3, write_s: float = 4.0) -> AsyncGenerator[PostgresDatabase]:
    made = PostgresDatabase(
        make_engine(parameters(url), size=size), DaemonWorkers("db", size), SystemClock(), write_s=write_s
    )
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def written(db: PostgresDatabase, n: int) -> None:
    """Write a number, although a busy machine may need longer for it than the limit of the test's database."""
    while True:
        try:
            assert await db.write(insert, n) == n
            return
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)


async def refused(db: PostgresDatabase, n: int, words: str) -> None:
    """Try to write a number, until the reason of its refusal is this one: on a busy machine it can be the limit."""
    while True:
        try:
            await db.write(insert, n)
        except DatabaseUnavailable as exc:
            if words in str(exc):
                return
        else:
            raise AssertionError(f"{n} was written")


async def test_a_restart_is_not_seen(server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kilonova.db.postgres.database.READ_S", 40.0)
    async with database(server.url, write_s=40.0) as db:
        await db.write(insert, 1)
        server.stop()
        writing = asyncio.create_task(db.write(insert, 2))
        reading = asyncio.create_task(db.read(numbers))
        await asyncio.sleep(0.3)
        server.start()
        assert await writing == 2
        assert await reading in ([1], [1, 2])
        assert await db.read(numbers) == [1, 2]


async def test_a_session_that_ends_within_a_transaction_runs_again(server: PrivatePostgres) -> None:
    calls: list[int] = []

    def cut(tx: sa.Connection) -> None:
        insert(tx, 1)
        if not calls:
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
        calls.append(1)
        insert(tx, 2)

    async with database(server.url) as db:
        await db.write(cut)
        assert len(calls) == 2
        assert await db.read(numbers) == [1, 2]


async def test_an_outage_is_one_sentence_and_passes(server: PrivatePostgres) -> None:
    async with database(server.url, write_s=0.5) as db:
        server.stop()
        await refused(db, 1, "Connection refused. Nothing was accepted")
        assert "Connection refused" in await db.trouble()
        server.start()
        while await db.trouble():  # noqa: ASYNC110 - it tries by itself, with a limit of time
            await asyncio.sleep(0.05)
        await written(db, 2)
        assert await db.read(numbers) == [2]


async def test_a_frozen_server_blocks_nobody_for_ever(server: PrivatePostgres) -> None:
    async with database(server.url, size=3, write_s=0.7) as db:
        await db.write(insert, 0)
        before = count()
        server.freeze()
        for _ in range(2):  # a second round does not find its workers lost in the first
            asked = [db.write(insert, n) for n in range(1, 12)]
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(one, DatabaseUnavailable) for one in found)
            assert "The database does not answer. Nothing was accepted; try again later." in map(str, found)
            assert count() <= before + 3
        server.thaw()
        await written(db, 99)
        assert await db.read(numbers) == [0, 99]


async def test_a_server_that_never_answers_again_keeps_no_worker(server: PrivatePostgres) -> None:
    """As behind a router that is gone: the connections stay open, and nothing comes."""
    async with proxy(server.port) as between, database(_through(server, between.port), size=2, write_s=0.6) as db:
        await asyncio.gather(db.write(insert, 1), db.write(insert, 2))
        between.deaf.set()
        between.mute.set()
        found = await asyncio.gather(*(db.write(insert, n) for n in (3, 4)), return_exceptions=True)
        assert all(isinstance(one, DatabaseUnavailable) for one in found)
        between.pass_all()
        await written(db, 5)
        assert await db.read(numbers) == [1, 2, 5]


async def test_a_commit_without_an_answer_that_was_done_is_a_success(server: PrivatePostgres) -> None:
    async with proxy(server.port) as between, database(_through(server, between.port), write_s=1.5) as db:
        await db.write(insert, 1)
        lost = between.mute

        def lose_the_answer(tx: sa.Connection) -> str:
            insert(tx, 2)
            lost.set()
            return "done"

        between.pass_all()
        assert await db.write(lose_the_answer) == "done"
        assert await db.read(numbers) == [1, 2]


async def test_a_commit_that_never_arrived_is_certain_not_to_have_happened(server: PrivatePostgres) -> None:
    async with proxy(server.port) as between, database(_through(server, between.port), write_s=1.5) as db:
        await db.write(insert, 1)
        lost = between.deaf

        def lose_the_commit(tx: sa.Connection) -> None:
            insert(tx, 2)
            lost.set()

        between.pass_all()
        with pytest.raises(DatabaseUnavailable, match="Nothing was accepted"):
            await db.write(lose_the_commit)
        assert await db.read(numbers) == [1]


async def test_after_a_crash_nobody_guesses_the_outcome_of_a_commit(server: PrivatePostgres) -> None:
    """The number of the transaction may belong to another one now."""
    async with proxy(server.port) as between, database(_through(server, between.port), write_s=2.0) as db:
        await db.write(insert, 1)
        lost = between.mute

        def lose_the_answer(tx: sa.Connection) -> None:
            insert(tx, 2)
            lost.set()

        between.pass_all()
        writing = asyncio.create_task(db.write(lose_the_answer))
        while server.sql("SELECT count(*) FROM t") != "2":  # noqa: ASYNC110 - only the server has the number
            await asyncio.sleep(0.01)
        server.kill()
        server.start()
        with pytest.raises(RequestOutcomeUnknown):
            await writing


async def test_a_crash_between_transactions_is_an_ordinary_outage(server: PrivatePostgres) -> None:
    async with database(server.url) as db:
        await db.write(insert, 1)
        server.kill()
        server.start()
        await db.write(insert, 2)
        assert await db.read(numbers) == [1, 2]


async def test_a_read_only_server_accepts_nothing_and_says_why(server: PrivatePostgres) -> None:
    async with database(server.url, write_s=0.5) as db:
        server.sql("ALTER DATABASE kilonova SET default_transaction_read_only = on")
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kilonova'")
        await refused(db, 1, "read-only transaction. Nothing was accepted")
        assert "read-only" in await db.trouble()
        assert await db.read(numbers) == []
        server.sql("ALTER DATABASE kilonova RESET default_transaction_read_only", "postgres")
        await written(db, 2)
        assert await db.trouble() == ""


async def test_a_server_without_a_free_connection(server: PrivatePostgres) -> None:
    async with database(server.url, write_s=0.4) as db:
        server.sql("ALTER DATABASE kilonova CONNECTION LIMIT 0")
        server.sql("CREATE ROLE other LOGIN PASSWORD 'p'", "postgres")
        server.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO other")
        url = server.url.replace("kilonova:", "other:").replace("kilonova-lab", "p")
        other = PostgresDatabase(
            make_engine(parameters(url), size=1), DaemonWorkers("o", 1), SystemClock(), write_s=0.4
        )
        await refused(other, 1, "too many connections for database")
        await other.close()
        await written(db, 1)


async def test_all_connections_in_use_is_one_sentence(server: PrivatePostgres) -> None:
    free = threading.Event()

    def hold(_tx: sa.Connection) -> None:
        free.wait(10)

    async with database(server.url, size=2, write_s=0.5) as db:
        holding = [asyncio.create_task(db.read(hold)) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(DatabaseUnavailable, match=r"All connections .*max_pool_size.* are in use"):
            await db.write(insert, 1)
        free.set()
        await asyncio.gather(*holding)
        await written(db, 2)
        assert await db.read(numbers) == [2]


async def test_a_lock_of_somebody_else_is_waited_for_in_vain_and_in_time(server: PrivatePostgres) -> None:
    locked = threading.Event()
    free = threading.Event()

    def hold() -> None:
        with schema.connected(parameters(server.url)) as connection, schema.whole(connection):
            connection.exec_driver_sql("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            locked.set()
            free.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(10)
    async with database(server.url, write_s=0.5) as db:
        with pytest.raises(DatabaseUnavailable, match="Nothing was accepted"):
            await db.write(insert, 1)
        free.set()
        thread.join()
        await written(db, 2)
        assert await db.read(numbers) == [2]


async def test_a_process_that_is_frozen_within_a_write_holds_up_the_others_for_seconds_only(
    server: PrivatePostgres,
) -> None:
    frozen = make_engine(parameters(server.url), size=1)
    async with database(server.url) as db:
        with frozen.connect() as connection:
            begin_write(connection, alone=True)
            assert await db.write(insert, 1) == 1
            connection.invalidate()
    frozen.dispose()


async def test_values_that_cannot_be_stored_are_the_callers_mistake(server: PrivatePostgres) -> None:
    async with database(server.url) as db:
        for n, text in ((1, "a\0b"), (2, "x" * 21), (1 << 40, "")):
            with pytest.raises(InvalidInput, match="cannot be stored"):
                await db.write(insert, n, text)
        assert await db.read(numbers) == []
        assert await db.trouble() == ""


async def test_a_function_that_swallows_a_failure_is_not_committed(server: PrivatePostgres) -> None:
    def swallow(tx: sa.Connection) -> None:
        insert(tx, 1)
        try:
            insert(tx, 1)
        except IntegrityError:
            return

    async with database(server.url) as db:
        with pytest.raises(RuntimeError, match="went on after a statement had failed"):
            await db.write(swallow)
        assert await db.read(numbers) == []


async def test_a_conflict_in_a_savepoint_runs_the_whole_transaction_again(server: PrivatePostgres) -> None:
    """Otherwise an item would be dropped, because another conductor wrote at the same time."""
    calls: list[int] = []

    async with database(server.url) as db:
        loop = asyncio.get_running_loop()
        await db.write(insert, 0)

        def change(tx: sa.Connection, n: int) -> int:
            tx.execute(sa.update(T).values(text=str(n)))
            return n

        def batch(tx: sa.Connection) -> list[int]:
            numbers(tx)
            calls.append(1)
            if len(calls) == 1:
                asyncio.run_coroutine_threadsafe(db.write(change, 7), loop).result(10)
            return list(each_in_savepoint(tx, [1, 2], lambda n: change(tx, n), "test"))

        assert await db.write(batch) == [1, 2]
        assert len(calls) == 2
        assert db.repeated[Kind.CONFLICT] == 1


async def test_a_row_of_another_in_a_savepoint_runs_the_whole_transaction_again(server: PrivatePostgres) -> None:
    calls: list[int] = []

    async with database(server.url) as db:
        loop = asyncio.get_running_loop()

        def put(tx: sa.Connection, n: int) -> int:
            return n if n in found else insert(tx, n)

        found: list[int] = []

        def batch(tx: sa.Connection) -> list[int]:
            found[:] = tx.execute(sa.select(T.c.n).where(T.c.n > 100)).scalars()
            calls.append(1)
            if len(calls) == 1:
                asyncio.run_coroutine_threadsafe(db.write(insert, 5), loop).result(10)
                return list(each_in_savepoint(tx, [5], lambda n: insert(tx, n), "test"))
            return list(each_in_savepoint(tx, [6], lambda n: put(tx, n), "test"))

        assert await db.write(batch) == [6]
        assert len(calls) == 2


async def test_a_new_connection_finds_a_schema_of_another_version(server: PrivatePostgres) -> None:
    server.sql("UPDATE alembic_version SET version_num = '0001'")
    await _refused(server.url, "older revision 0001.*kilonova db upgrade")
    server.sql("UPDATE alembic_version SET version_num = '9999'")
    made = PostgresDatabase(make_engine(parameters(server.url), size=1), DaemonWorkers("db", 1), SystemClock())
    await made.start()  # the newer schema says that this code may use it
    await made.close()
    server.sql("UPDATE schema_version SET lowest_code_version = 99")
    await _refused(server.url, "newer Kilonova .*needs code version 99, this one is 2")
    server.sql("DROP TABLE schema_version")
    await _refused(server.url, "newer Kilonova")


async def test_an_empty_database_names_the_command(server: PrivatePostgres) -> None:
    await _refused(server.create_database("empty"), r"is empty: run kilonova db upgrade once\.")


async def test_the_start_waits_for_the_server(server: PrivatePostgres) -> None:
    server.stop()
    made = PostgresDatabase(make_engine(parameters(server.url), size=1), DaemonWorkers("db", 1), SystemClock())
    starting = asyncio.create_task(made.start())
    await asyncio.sleep(0.3)
    assert not starting.done()
    server.start()
    await starting
    await made.write(insert, 1)
    await made.close()


async def test_settings_of_each_session(server: PrivatePostgres) -> None:
    def look(connection: sa.Connection, name: str) -> str:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())

    async with database(server.url) as db:
        for name, value in (
            ("statement_timeout", "12s"),
            ("lock_timeout", "3s"),
            ("idle_in_transaction_session_timeout", "2s"),
            ("transaction_isolation", "repeatable read"),
            ("transaction_read_only", "on"),
        ):
            assert await db.read(look, name) == value
        assert await db.write(look, "transaction_isolation") == "serializable"


async def _refused(url: str, words: str) -> None:
    made = PostgresDatabase(make_engine(parameters(url), size=1), DaemonWorkers("db", 1), SystemClock())
    with pytest.raises(DatabaseUnreadable, match=words):
        await made.start()
    await made.close()


def _through(server: PrivatePostgres, port: int) -> str:
    return server.url.replace(f":{server.port}/", f":{port}/")


@single_statement
def _two(snapshot: sa.Connection) -> None:
    numbers(snapshot)
    numbers(snapshot)


async def test_a_function_of_one_statement_cannot_execute_a_second_one(server: PrivatePostgres) -> None:
    """The second one would see a later state of the database."""
    async with database(server.url) as db:
        with pytest.raises(RuntimeError, match="a second one"):
            await db.read(_two)
        assert await db.read(numbers) == []


def _prepared(snapshot: sa.Connection) -> int:
    return int(snapshot.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one())


async def test_statements_stay_prepared_after_a_read(server: PrivatePostgres) -> None:
    async with database(server.url, size=1) as db:
        for _ in range(8):
            await db.read(numbers)
        assert await db.read(_prepared) > 0


async def test_an_upgrade_that_widens_a_column_is_not_seen(server: PrivatePostgres) -> None:
    """Each session has prepared statements that return the column."""
    alone = single_statement(lambda snapshot: numbers(snapshot))
    async with database(server.url, size=1) as db:
        for width in ("bigint", "smallint"):
            for _ in range(8):
                assert await db.read(numbers) == await db.read(alone) == []
            server.sql(f"ALTER TABLE t ALTER COLUMN n TYPE {width}")
            assert await db.read(alone if width == "bigint" else numbers) == []
