# SPDX-License-Identifier: Apache-2.0
"""`kilonova db`: the PostgreSQL database of a fleet."""

from typing import Annotated

import typer

from kilonova.base.errors import ConfigError, StateError
from kilonova.cmd.common import ConfigFiles, prepare_state, read_settings
from kilonova.cmd.directory import group

app = group("The PostgreSQL database of a fleet.")


@app.command("upgrade", short_help="Create the tables, or bring them to this version.")
def upgrade(config_file: ConfigFiles = None) -> None:
    """Create the tables in an empty database, or bring them to the revision of this version, in one transaction.

    Processes of the previous version go on meanwhile.  When they could not, nothing is changed, and the message names
    them.
    """
    from kilonova.db.migrate import HEAD
    from kilonova.db.postgres import schema

    with schema.connected(_parameters(config_file)) as connection:
        before = schema.upgrade(connection)
    print(f"The database has revision {HEAD}; before: {before or 'empty'}.")


@app.command("current", short_help="Print the revision of the database.")
def current(config_file: ConfigFiles = None) -> None:
    """Print the revision of the database, and the revision that this version needs."""
    from kilonova.db.migrate import HEAD
    from kilonova.db.postgres import schema

    with schema.connected(_parameters(config_file)) as connection:
        found = schema.current(connection)
    print(f"{found or 'empty'} (this version needs {HEAD})")


@app.command("check", short_help="Check the server and the database.")
def check(config_file: ConfigFiles = None) -> None:
    """Check that the server can be reached, its version and settings, and the schema.  Exit status 1 after an error."""
    from kilonova.db.postgres import checks

    found = checks.check(_parameters(config_file))
    for one in found:
        print(f"{one.level:7}  {one.message}{' ' if one.cure else ''}{one.cure}")
    if any(one.level is checks.Level.ERROR for one in found):
        raise typer.Exit(1)


@app.command("migrate-from", short_help="Copy the database of a stopped one box.")
def migrate_from(
    source: Annotated[str, typer.Argument(help="The database of the one box: sqlite:///PATH.")],
    config_file: ConfigFiles = None,
) -> None:
    """Copy every table of a stopped one box into the empty database of [database] connection, in one transaction.

    The one box's database is not changed.  Its host goes on under its running guests as a host of the fleet.
    """
    from rich.console import Console
    from rich.progress import Progress

    from kilonova.db.location import file_of
    from kilonova.db.postgres.transfer import migrate_from

    path = file_of(source)
    if not path.exists():
        raise StateError(f"There is no database {path}.")
    parameters = _parameters(config_file)
    console = Console(stderr=True)
    with prepare_state(path.parent), Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, int] = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = int(bar.add_task(table, total=total))
            bar.update(tasks[table], completed=done)  # type: ignore[arg-type]

        copied = migrate_from(path, parameters, show)
    for table, rows in copied.items():
        if rows:
            print(f"{rows:8}  {table}")
    print(f"{sum(copied.values())} rows are copied. Start the fleet; do not start the one box again.")


def _parameters(config_file: list[str] | None) -> dict[str, str]:
    from kilonova.db.location import is_on_server
    from kilonova.db.postgres.url import parameters

    settings = read_settings(config_file, None)
    url = settings.database.connection
    if not is_on_server(url, settings.default.state_path):
        raise ConfigError(
            "[database] connection names no PostgreSQL database. The database of the one box is migrated at its start."
        )
    return parameters(url)
