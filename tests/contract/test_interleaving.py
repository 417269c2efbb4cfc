# SPDX-License-Identifier: Apache-2.0
"""Each transaction of the conductor beside each other one, interleaved at each statement, on PostgreSQL.

The content of the database, and what both callers receive, is that of one of the two serial orders, which run on SQLite
and on PostgreSQL.  `make interleave` runs all pairs, the tests a sample of them.
"""

import ast
import asyncio
import os
import random
from collections.abc import AsyncGenerator, Collection, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from kilonova.base.clock import SystemClock
from kilonova.base.threads import DaemonWorkers
from kilonova.conductor import identity_edits
from kilonova.conductor.bootstrap import FirstAdmin
from kilonova.db.engine import Database
from kilonova.db.postgres.connection import make_engine
from kilonova.db.postgres.database import PostgresDatabase
from kilonova.db.postgres.url import parameters
from kilonova.db.schema import metadata
from lab.common import TOP
from tests import postgres, template
from tests.interleave import Stepper, content, difference, interleaved, outcome
from tests.transactions import CASES, COVERED, WITHOUT_A_CASE, Side, build_world

ADMIN = FirstAdmin("u1", "p1", "hash")
ALL = os.environ.get("KILONOVA_INTERLEAVE") == "all"
SAMPLE = 60
HOT = ("create", "place", "place the same", "fetch", "finish", "delete", "report states", "register")
"""Transactions whose pairs are always in the sample."""
ALWAYS = (
    ("place the same", "count time"),
    ("cancel the waiting", "place the same"),
    ("cancel the running", "finish"),
    ("report in order", "report in order"),
    # READ COMMITTED: only locks keep these apart (conductor/idempotency).
    ("create", "create"),
    ("create", "set quotas"),
    ("create the first", "create the first"),
    ("create the first", "permit no server"),
    ("create with a key", "create with a key"),
    ("create as many as fit", "set quotas"),
)
MOST_STATEMENTS = 40

Outcomes = tuple[str, str]
Content = dict[str, list[str]]


def pairs() -> list[tuple[str, str]]:
    """All pairs, or a sample that is the same in each run."""
    every = list(combinations_with_replacement(CASES, 2))
    if ALL:
        return every
    hot = [pair for pair in every if pair[0] in HOT and pair[1] in HOT]
    others = [pair for pair in every if pair not in hot]
    sample = random.Random(11).sample(hot, SAMPLE // 3) + random.Random(11).sample(others, SAMPLE * 2 // 3)
    return [*ALWAYS, *(pair for pair in sample if pair not in ALWAYS)]


TABLES = [table.name for table in metadata.sorted_tables if table.name != "alembic_version"]


@dataclass
class Bench:
    """One PostgreSQL database, whose content is restored before each run, with one engine and one thread for each
    side."""

    server: "psycopg.Connection[Any]"
    engines: tuple[sa.Engine, sa.Engine]
    steppers: tuple[Stepper, Stepper]
    workers: tuple[DaemonWorkers, DaemonWorkers]
    files: Path

    def reset(self) -> None:
        """The content of the world again."""
        changed = [name for name in TABLES if name in self.changed]
        words = [f'DELETE FROM "{name}"; INSERT INTO "{name}" SELECT * FROM world."{name}";' for name in changed]  # noqa: S608
        text = f"BEGIN; SET LOCAL session_replication_role = replica; {' '.join(words)} COMMIT"
        self.server.execute(text.encode())
        for stepper in self.steppers:
            stepper.forget()

    @property
    def changed(self) -> set[str]:
        """The tables that were written since the last reset."""
        return (self.steppers[0].written | self.steppers[1].written) & set(TABLES)

    def side(self, number: int) -> PostgresDatabase:
        """A database of its own: nothing is remembered of earlier conflicts."""
        return PostgresDatabase(self.engines[number], self.workers[number], SystemClock(), write_s=20.0)


async def _run(case: str, db: Database, number: int) -> str:
    task = asyncio.ensure_future(CASES[case](db, Side(number)))
    await asyncio.wait({task})
    return outcome(task)


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Bench]:
    files = tmp_path_factory.mktemp("interleaving")
    template.put_bootstrapped(files / "world.db", ADMIN)
    small = template.open_inline(files / "world.db")
    await build_world(small)
    await small.close()
    url = postgres.new_database(files, ADMIN)
    db = PostgresDatabase(make_engine(parameters(url), size=1), DaemonWorkers("db", 1), SystemClock())
    await build_world(db)
    await db.close()
    server = psycopg.connect(**parameters(url), autocommit=True)  # type: ignore[arg-type]
    server.execute("CREATE SCHEMA world")
    for name in TABLES:
        server.execute((f'CREATE TABLE world."{name}" AS SELECT * FROM public."{name}"').encode())  # noqa: S608
    engines = make_engine(parameters(url), size=1), make_engine(parameters(url), size=1)
    workers = DaemonWorkers("db", 1), DaemonWorkers("db", 1)
    yield Bench(server, engines, (Stepper(engines[0]), Stepper(engines[1])), workers, files)
    for worker in workers:
        worker.close()
    for engine in engines:
        engine.dispose()
    server.close()
    postgres.forget_database(files)


async def _on_sqlite(bench: Bench, pair: tuple[str, str], tables: Collection[str]) -> tuple[Outcomes, Content]:
    """What the callers receive and the content when one case ends before the other begins."""
    path = bench.files / "run.db"
    path.write_bytes((bench.files / "world.db").read_bytes())
    db = template.open_inline(path)
    first, second = [await _run(pair[number - 1], db, number) for number in (1, 2)]
    result = await db.read(content, tables, times=False)
    await db.close()
    return (first, second), result


async def _serial(bench: Bench, pair: tuple[str, str], order: tuple[int, int]) -> Outcomes:
    """What the callers receive on PostgreSQL when one side ends before the other begins."""
    bench.reset()
    found = {number: await _run(pair[number - 1], bench.side(number - 1), number) for number in order}
    return found[1], found[2]


def _are_strangers(bench: Bench) -> bool:
    """Whether no side has written what the other one has read or written."""
    one, two = bench.steppers
    return not (one.written & (two.written | two.read) or two.written & one.read)


@pytest.mark.parametrize("pair", pairs(), ids=" and ".join)
async def test_two_at_once_are_as_one_after_the_other(bench: Bench, pair: tuple[str, str]) -> None:
    allowed: list[tuple[Outcomes, Content]] = []
    tables = set[str]()
    for order in ((2, 1), (1, 2)):
        outcomes = await _serial(bench, pair, order)
        if _are_strangers(bench):
            return
        tables |= bench.changed
        allowed.append((outcomes, await bench.side(0).read(content, TABLES)))
    small = await _on_sqlite(bench, pair, tables)
    assert (outcomes, await bench.side(0).read(content, tables, times=False)) == small, "the engines differ"
    for late in (0, 1):  # which side is interrupted
        for at in range(MOST_STATEMENTS):
            bench.reset()
            sides = bench.side(late), bench.side(1 - late)
            numbers = (late + 1, 2 - late)
            calls = [CASES[pair[number - 1]](db, Side(number)) for number, db in zip(numbers, sides, strict=True)]
            steppers = bench.steppers[late], bench.steppers[1 - late]
            found = await interleaved(calls[0], calls[1], steppers, at, bench.server)
            if found is None:
                break
            outcomes = found if late == 0 else (found[1], found[0])
            tables |= bench.changed
            result = await bench.side(0).read(content, tables)
            expected = [(one, {name: rows[name] for name in tables}) for one, rows in allowed]
            assert (outcomes, result) in expected, (
                f"{pair}, interrupted: side {numbers[0]} after {at} statements: {outcomes}, allowed: "
                f"{[one[0] for one in allowed]}\n{difference(result, [one[1] for one in allowed])}"
            )


@pytest.mark.parametrize("case", CASES if ALL else sorted(HOT))
async def test_a_connection_that_ends_at_any_statement_changes_nothing_or_all(bench: Bench, case: str) -> None:
    bench.reset()
    expected = await _run(case, bench.side(0), 1), await bench.side(0).read(content, TABLES)
    stepper = bench.steppers[0]
    for at in range(MOST_STATEMENTS):
        bench.reset()
        stepper.hold()
        running = asyncio.ensure_future(CASES[case](bench.side(0), Side(1)))
        goes_on = await stepper.step(at, running)
        if goes_on:
            bench.server.execute("SELECT pg_terminate_backend(%s)", (stepper.pid,))
        stepper.release()
        await asyncio.wait({running})
        assert (outcome(running), await bench.side(0).read(content, TABLES)) == expected, at
        if not goes_on:
            break


def test_each_transaction_has_a_case() -> None:
    names = set(transactions_of_the_code()) | {
        edit.__name__ if edit.__module__ == identity_edits.__name__ else f"catalog_edits.{edit.__name__}"
        for _, edit in identity_edits.EDITS
    }
    assert names - {*COVERED, *WITHOUT_A_CASE} == set()
    assert {*COVERED, *WITHOUT_A_CASE} - names == set()
    assert set(COVERED.values()) <= CASES.keys()


def transactions_of_the_code() -> Iterator[str]:
    """The name of each function that the code above the database passes to `Database.write`, or to a helper for it."""
    for path in sorted((TOP / "src/kilonova").rglob("*.py")):
        if "db" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of_database = node.func.attr == "write" and ast.unparse(node.func.value).endswith("db")
                if of_database or node.func.attr in ("_write", "_write_now"):
                    first = node.args[0]
                    called = first.body if isinstance(first, ast.Lambda) else first
                    name = ast.unparse(called.func if isinstance(called, ast.Call) else called)
                    if name not in ("transaction", "edit", "fn"):  # (the helpers themselves)
                        yield name
