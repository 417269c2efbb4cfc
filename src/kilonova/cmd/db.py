# SPDX-License-Identifier: Apache-2.0
"""`kilonova db`: the PostgreSQL database of a fleet, and what any database keeps."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import ConfigError, StateError
from kilonova.cmd.common import ConfigFiles, StatePath, prepare_state, read_settings
from kilonova.cmd.directory import group, show_list

if TYPE_CHECKING:
    from kilonova.config.load import Settings

app = group("The PostgreSQL of a fleet, and the purge of any database.")


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


@app.command("purge", short_help="Delete the records that are not kept any longer.")
def purge(
    before: Annotated[
        int | None,
        typer.Option(min=0, max=36_500, help="Purge servers deleted so many days ago, instead of keep_deleted_days."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is due; change nothing.")] = False,
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
) -> None:
    """Delete records that [database] keep_deleted_days, max_deleted_servers and max_actions_per_server do not keep.

    Prints the number of records of each kind. The conductors do the same every minute. The command may run beside
    them: it works in small transactions. A server stays while one of its actions is open, and while a host that was
    given up may have a copy of it.
    """
    import asyncio

    settings = read_settings(config_file, state_path)
    if before is not None:
        settings = replace(settings, database=replace(settings.database, keep_deleted_days=float(before)))
    counts = asyncio.run(_purge(settings, dry_run=dry_run))
    show_list([{"records": kind, "rows": count} for kind, count in counts.items()], ("records", "rows"), as_json=False)


async def _purge(settings: "Settings", *, dry_run: bool) -> dict[str, int]:
    import math

    from kilonova.base.clock import SystemClock
    from kilonova.conductor.watch.housekeeping import Purge
    from kilonova.db.existing import open_existing, schema_trouble
    from kilonova.db.location import existing_database, is_on_server
    from kilonova.db.readers.purge import Kind, count

    clock, retention, state = SystemClock(), settings.database.retention, settings.default.state_path
    if not is_on_server(settings.database.connection, state):
        existing_database(state)
    db = open_existing(state, settings.database, clock)
    try:
        if trouble := await db.read(schema_trouble):
            raise StateError(trouble)
        copies = _purge_copies(settings, dry_run=dry_run)
        if dry_run:
            found = await db.read(count, retention, clock.now())
        else:
            work = Purge(db, clock, retention, math.inf)
            await work.run()
            found = work.counts
        return {kind: found[kind] for kind in Kind} | {"copies of the database": copies}
    finally:
        await db.close()


def _purge_copies(settings: "Settings", *, dry_run: bool) -> int:
    """The number of old copies from before upgrades, which are removed unless this is a dry run."""
    from kilonova.base.clock import SystemClock
    from kilonova.db.copies import copies_older_than, remove_old
    from kilonova.db.location import database_path

    age, now = settings.database.retention.age, SystemClock().now()
    if age is None:
        return 0
    path = database_path(settings.default.state_path)
    old = copies_older_than(path, age, now)
    if not dry_run:
        remove_old(path, age, now)
    return len(old)


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
