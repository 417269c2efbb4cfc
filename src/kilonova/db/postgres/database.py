# SPDX-License-Identifier: Apache-2.0
"""Running transactions on PostgreSQL: a few worker threads, each with one connection.

Every write is SERIALIZABLE, unless its function locks what it depends on (transaction.locks_usage_of).  Every read is a
snapshot: REPEATABLE READ, READ ONLY, or a single statement, which needs no BEGIN and no COMMIT
(transaction.single_statement).  The function of a transaction runs again after a conflict with
another transaction, then alone (see contention), and after a connection that was lost before its COMMIT.  A COMMIT
without an answer is settled by the transaction's id, which the server is asked for on a new connection.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from kilonova.base.backoff import Backoff, Pauses
from kilonova.base.clock import Clock
from kilonova.base.errors import DatabaseUnavailable, RequestOutcomeUnknown
from kilonova.base.threads import Workers
from kilonova.db.dialect import SECOND_CALL
from kilonova.db.engine import Usage, usage_of
from kilonova.db.postgres.connection import OtherSchema, server_run
from kilonova.db.postgres.contention import Contended, Contention
from kilonova.db.postgres.failures import Kind, in_our_words, kind_of
from kilonova.db.postgres.session import (
    Unanswered,
    begin_read,
    begin_write,
    commit,
    connected,
    end_read,
    only_one_statement,
    write_trial,
)
from kilonova.db.postgres.turn import Phase, Turn
from kilonova.db.transaction import (
    Snapshot,
    Transaction,
    is_single,
    single_statement,
    take_recorded,
    usage_to_lock,
)

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

WRITE_S = 4.0
"""The longest time of a write with its repetitions.  Less than one attempt of a call (rpcapi.method): the caller
receives the error, that nothing was done, before its own timeout."""
READ_S = 10.0
SETTLE_S = 6.0
"""How long the outcome of a COMMIT without an answer is asked for."""
TRIAL_S, MARGIN_S = 0.4, 0.1
"""The limit of the write that shows whether the database takes writes again: less than its caller waits
(api_to_conductor_admin.CHECK_CONDUCTOR)."""
CLOSE_S = 5.0
VIOLATIONS = 3
"""How often a function runs whose result violates a constraint.  PostgreSQL reports some conflicts between serializable
transactions as violations of a unique key (documentation, "Serializable Isolation Level")."""

LOST = Backoff(0.02, 0.5)
START = Backoff(0.5, 5.0)

_FAILURES = (DBAPIError, psycopg.Error)
_NOTHING = "Nothing was accepted; try again later."
_NO_ANSWER = f"The database does not answer. {_NOTHING}"
_BUSY = "All connections to the database ([database] max_pool_size) are in use. " + _NOTHING


class PostgresDatabase:
    """A Database on a PostgreSQL server.

    `engine` has as many connections as `workers` has threads.  `repeated` counts the calls of functions after the first
    one, by their reason.
    """

    def __init__(self, engine: sa.Engine, workers: Workers, clock: Clock, *, write_s: float = WRITE_S) -> None:
        self._engine, self._workers, self._clock, self._write_s = engine, workers, clock, write_s
        self._refused, self._started = "", False
        self._contention = Contention(clock)
        self._listeners: list[Callable[[], None]] = []
        self.repeated = {Kind.CONFLICT: 0, Kind.VIOLATION: 0, Kind.LOST: 0}

    async def start(self) -> None:
        """Wait until the database can be used, with a line in the log for each new reason.  Raises StateError when it
        has the schema of another version."""
        pauses, said = START.start(self._clock), ""
        while True:
            try:
                return await self.read(_nothing)
            except DatabaseUnavailable as exc:
                if str(exc) != said:
                    said = str(exc)
                    log.warning("waiting for the database", error=said)
            await pauses.wait()

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(transaction, ...)` in a transaction that is on disk when this returns."""
        try:
            run = partial(self._run_write, partial(_call, fn, args, kwargs), usage_to_lock(fn, args))
            result = await self._repeat(run, self._write_s, self._contention.of(fn))
        except DatabaseUnavailable as exc:
            self._refused = str(exc)
            raise
        self._refused = ""
        return result  # type: ignore[no-any-return]

    async def read(self, fn: Callable[Concatenate[Snapshot, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(snapshot, ...)` on a snapshot."""
        run = partial(self._run_single if is_single(fn) else self._run_read, partial(_call, fn, args, kwargs))
        return await self._repeat(run, READ_S, self._contention.of(fn))  # type: ignore[no-any-return]

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """Call `recorded` after each commit of a transaction that has recorded a notification."""
        self._listeners.append(recorded)

    async def trouble(self) -> str:
        """The reason why the database cannot be written, in one sentence; empty when it can."""
        if self._refused:
            run = partial(self._run_write, partial(_call, write_trial, (), {}), None)
            with contextlib.suppress(DatabaseUnavailable, TimeoutError):
                async with asyncio.timeout(TRIAL_S + MARGIN_S):  # (the outcome of its COMMIT is not asked for)
                    await self._repeat(run, TRIAL_S, self._contention.of(write_trial))
                self._refused = ""
        return self._refused

    def usage(self) -> Usage:
        """The connections of this process, and what it has repeated."""
        repeated = {kind.name.lower(): count for kind, count in self.repeated.items()}
        return usage_of(self._engine, repeated)

    async def close(self) -> None:
        """Finish the accepted transactions, then close the connections."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._workers.drain()
        self._engine.dispose()

    async def _repeat(self, run: Callable[[Turn], Any], limit_s: float, contended: Contended) -> Any:
        """Attempts until one has an outcome, or the time is over."""
        deadline = self._clock.monotonic() + limit_s
        pauses = LOST.start(self._clock)
        violations, before = VIOLATIONS, None
        while True:
            try:
                result = await self._attempt(run, deadline, Turn(alone=contended.now(), again=violations > 1))
                self._started = True
                return result
            except DatabaseUnavailable:
                if before is None:
                    raise
                raise _final(before) from before  # the reason for which there is no time left
            except OtherSchema as exc:
                if not self._started:
                    raise
                raise DatabaseUnavailable(f"{exc.message} {_NOTHING}") from exc
            except (*_FAILURES, _RolledBack) as exc:
                kind = Kind.LOST if isinstance(exc, _RolledBack) else kind_of(exc)
                violations -= kind is Kind.VIOLATION
                if kind is Kind.CONFLICT:
                    contended.note()
                if kind not in self.repeated or not violations or not await self._pause(kind, pauses, deadline):
                    raise _final(exc) from exc
                self.repeated[kind] += 1
                before = exc

    async def _pause(self, kind: Kind, pauses: Pauses, deadline: float) -> bool:
        """Wait before the next attempt; False when there is no time for one.  After a conflict it begins at once: it
        waits for the others on the server."""
        pause_s = pauses.next_s() if kind is Kind.LOST else 0.0
        if self._clock.monotonic() + pause_s >= deadline:
            return False
        await self._clock.sleep(pause_s)
        return True

    async def _attempt(self, run: Callable[[Turn], Any], deadline: float, turn: Turn) -> Any:
        """One attempt in a worker.  Its connection is cut at the deadline, also when nobody waits any more."""
        left_s = max(0.0, deadline - self._clock.monotonic())
        limit = asyncio.get_running_loop().call_later(left_s, turn.cut)
        try:
            result = await self._in_time(run, turn, left_s)
        except asyncio.CancelledError:
            turn.give_up(running=False)
            raise
        except BaseException:
            limit.cancel()
            raise
        limit.cancel()
        for listener in self._listeners if turn.recorded else ():
            listener()
        return result

    async def _in_time(self, run: Callable[[Turn], Any], turn: Turn, left_s: float) -> Any:
        limit = asyncio.timeout(left_s)
        try:
            async with limit:
                return await self._workers.run(run, turn)
        except Unanswered:
            return await self._settle(turn)
        except TimeoutError:
            if not limit.expired():
                raise  # the function's own
        phase = turn.give_up(running=True)
        turn.cut()
        if phase is Phase.COMMITTING:
            return await self._settle(turn)
        raise DatabaseUnavailable(_NO_ANSWER if turn.taken else self._refused or _BUSY)

    async def _settle(self, turn: Turn) -> Any:
        """The result of an attempt whose COMMIT has no answer.  Raises _RolledBack when it is certain that nothing was
        changed, and RequestOutcomeUnknown."""
        log.warning("a commit was not answered", transaction=turn.xid)
        deadline, pauses = self._clock.monotonic() + SETTLE_S, LOST.start(self._clock)
        while self._clock.monotonic() < deadline:
            status: str | None = "in progress"
            with contextlib.suppress(*_FAILURES, DatabaseUnavailable):
                status = await self._attempt(partial(self._run_ask, turn), deadline, Turn())
            if status == "committed":
                return turn.result
            if status == "aborted":
                raise _RolledBack
            if status is None:
                break
            await pauses.wait()
        raise RequestOutcomeUnknown("The database did not answer a commit, and its outcome cannot be read.")

    def _run_write(self, call: Callable[[Transaction], Any], usage_of: str | None, turn: Turn) -> Any:
        with connected(self._engine, turn) as connection:
            turn.server_run = server_run(connection)
            turn.xid = begin_write(connection, alone=turn.alone, usage_of=usage_of)
            connection.info[SECOND_CALL] = turn.again
            take_recorded(connection)  # of a transaction that was rolled back
            turn.enter(Phase.RUNNING)
            turn.result = call(connection)
            turn.recorded = take_recorded(connection)
            turn.enter(Phase.COMMITTING)
            commit(connection)
        return turn.result

    def _run_read(self, call: Callable[[Snapshot], Any], turn: Turn) -> Any:
        with connected(self._engine, turn) as connection:
            begin_read(connection)
            turn.enter(Phase.RUNNING)
            result = call(connection)
            end_read(connection)
            return result

    def _run_single(self, call: Callable[[Snapshot], Any], turn: Turn) -> Any:
        """A read of one statement, which is a snapshot of its own."""
        with connected(self._engine, turn) as connection, only_one_statement(connection):
            turn.enter(Phase.RUNNING)
            return call(connection)

    def _run_ask(self, of: Turn, turn: Turn) -> str | None:
        """The status of a transaction of this run of the server; None when it cannot be known."""
        with connected(self._engine, turn) as connection:
            if server_run(connection) != of.server_run:
                return None
            status: str | None = connection.exec_driver_sql("SELECT pg_xact_status(%s::xid8)", (of.xid,)).scalar_one()
            return status


class _RolledBack(Exception):
    """The connection was lost while it committed, and the transaction was rolled back."""


def _call(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], connection: sa.Connection) -> T:
    return fn(connection, *args, **kwargs)


def _final(exc: Exception) -> Exception:
    if isinstance(exc, _RolledBack):
        return DatabaseUnavailable(f"The connection to the database was lost. {_NOTHING}")
    return in_our_words(exc)


@single_statement
def _nothing(_snapshot: Snapshot) -> None:
    """A read, for its connection."""
