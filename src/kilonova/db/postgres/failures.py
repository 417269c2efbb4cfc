# SPDX-License-Identifier: Apache-2.0
"""The failures of PostgreSQL in the words of our catalogue, and which of them a new attempt may cure.

Source of the codes: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
"""

from collections.abc import Mapping
from enum import Enum, auto

import psycopg
from sqlalchemy.exc import DBAPIError

from kilonova.base.errors import DatabaseUnavailable, DatabaseUnreadable, InvalidInput


class Kind(Enum):
    """What a failure means for the transaction.  None of them leaves a change behind."""

    CONFLICT = auto()
    """Another transaction ran at the same time: the function runs again."""
    VIOLATION = auto()
    """A constraint is violated: perhaps by a row that another transaction has put there since."""
    LOST = auto()
    """The connection is gone, or the server takes no writes now: a new connection may cure it."""
    PASSING = auto()
    """The server refuses now (its disk is full, a statement took too long); the same may succeed later."""
    DAMAGED = auto()
    """The server's files are damaged."""
    VALUE = auto()
    """A value that PostgreSQL cannot store: NUL in a text, a number that is too large, a text that is too long."""
    OTHER = auto()
    """A defect in our own statement, or an exception of the function."""


CHANGED_TYPE = "0A000"
"""A statement that the session has prepared returns another type since an upgrade of the schema ("cached plan must not
change result type"); a new session prepares it again."""
_LOST_CODES = frozenset({CHANGED_TYPE, "25006", "25P03", "57P01", "57P02", "57P03", "57P04", "57P05"})
_PASSING_CODES = frozenset({"57014", "55P03", "42501", "3D000"})
_PASSING_CLASSES = frozenset({"28", "53", "54", "58"})

_DISK_FULL = "53100"
_SAID: Mapping[str, str] = {
    _DISK_FULL: "the disk of the server is full (No space left on device)",
    "55P03": "other transactions do not end (lock timeout): a synchronous standby may be away",
}
"""Our words where those of the server name one of its files, or only the effect."""


def kind_of(exc: BaseException) -> Kind:
    """The kind of a failure of a statement or of a connection."""
    cause = cause_of(exc)
    if cause is None:
        return Kind.OTHER
    state = cause.sqlstate
    if state is None:
        return _without_code(cause)
    if state in _LOST_CODES or state[:2] == "08":
        return Kind.LOST
    if state in _PASSING_CODES or state[:2] in _PASSING_CLASSES:
        return Kind.PASSING
    if state in ("XX001", "XX002"):
        return Kind.DAMAGED
    return {"40": Kind.CONFLICT, "23": Kind.VIOLATION, "22": Kind.VALUE}.get(state[:2], Kind.OTHER)


def _without_code(cause: psycopg.Error) -> Kind:
    """Failures that the client found by itself, and failures to connect."""
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return Kind.LOST
    return Kind.VALUE if isinstance(cause, psycopg.DataError) else Kind.OTHER


def is_disk_full(exc: BaseException) -> bool:
    """Whether a file of the server could not grow."""
    return _code_of(exc) == _DISK_FULL


def has_changed_type(exc: BaseException) -> bool:
    """Whether the session is of no further use, because the schema was upgraded meanwhile."""
    return _code_of(exc) == CHANGED_TYPE


def _code_of(exc: BaseException) -> str | None:
    cause = cause_of(exc)
    return None if cause is None else cause.sqlstate


def cause_of(exc: BaseException) -> psycopg.Error | None:
    """The error of psycopg in it."""
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return cause if isinstance(cause, psycopg.Error) else None


def in_our_words(exc: Exception) -> Exception:
    """A failure as an error of the catalogue; an exception of the function unchanged."""
    kind = kind_of(exc)
    if kind in (Kind.OTHER, Kind.VIOLATION):
        return exc
    said = words_of(exc)
    if kind is Kind.DAMAGED:
        return DatabaseUnreadable(f"The database is damaged: {said}; stop the server and restore a backup of it.")
    if kind is Kind.VALUE:
        return InvalidInput(f"The request has a value that cannot be stored: {said}.")
    if kind is Kind.CONFLICT:
        said = "too many transactions change the same rows"
    return DatabaseUnavailable(f"The database cannot be used now: {said}. Nothing was accepted; try again later.")


def words_of(exc: BaseException) -> str:
    """The first line of the server's or the client's message, without values of the statement."""
    if (said := _SAID.get(_code_of(exc) or "")) is not None:
        return said
    cause = cause_of(exc)
    text = str(exc) if cause is None else (cause.diag.message_primary or str(cause))
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    line = lines[0] if lines else "no reason given"
    return line.removeprefix("connection failed: ").removeprefix("consuming input failed: ").rstrip(".")
