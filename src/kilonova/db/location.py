# SPDX-License-Identifier: Apache-2.0
"""The location of the database in a state directory.  Only this package knows its file name and its kind."""

from pathlib import Path

from kilonova.base.errors import ConfigError, DatabaseUnreadable, StateError

FILE = "kilonova.db"
"""The name within a state directory."""


def database_path(state: Path) -> Path:
    """The file of the database, whether it exists or not."""
    return state / FILE


def database_files(state: Path) -> tuple[Path, ...]:
    """The files that each write of the database changes, whether they exist or not."""
    return (state / FILE, state / f"{FILE}-wal")


def existing_database(state: Path) -> Path:
    """The file of the database.  Raises DatabaseUnreadable when there is none."""
    path = database_path(state)
    if not path.exists():
        raise DatabaseUnreadable(f"There is no database {path}.")
    return path


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path}"


POSTGRESQL = "postgresql+psycopg://"


def is_on_server(url: str, state: Path) -> bool:
    """Whether the configured URL is one of PostgreSQL; otherwise it is empty, or the database of this state directory.

    Raises ConfigError for any other, without the URL in it: it may contain a password.
    """
    if url.startswith(POSTGRESQL):
        return True
    path = database_path(state)
    if url and url != sqlite_url(path):
        raise ConfigError(
            f"[database] connection names a database of the kind {url.partition(':')[0]}: only {POSTGRESQL}... and "
            f"SQLite at {path} are supported. Leave the option empty for SQLite."
        )
    return False


def file_of(url: str) -> Path:
    """The file of a URL of SQLite.  Raises ConfigError."""
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise ConfigError(f"{url.partition(':')[0]}: is not the URL of a one box's database; write sqlite:///PATH.")
    return Path(url.removeprefix("sqlite:///")).absolute()


def refuse_on_server(url: str, state: Path, what: str) -> None:
    """Raises StateError when the database is not in the state directory; `what` says what is not possible then."""
    if is_on_server(url, state):
        raise StateError(
            f"{what} is for a database in the state directory; [database] connection names a PostgreSQL server: use "
            "pg_dump and pg_restore there."
        )


def recovery_command(path: Path) -> str:
    """A shell command that copies what is still readable in a damaged database into a new one."""
    return f"sqlite3 {path} .recover | sqlite3 new.db"
