# SPDX-License-Identifier: Apache-2.0
"""Helpers of the commands `user`, `project` and `role`, which are clients of Identity and use a clouds.yaml."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from kilonova.base.errors import InvalidInput, KilonovaError, NotFound

if TYPE_CHECKING:
    from kilonova.cmd.cloud_api import Cloud

OsCloud = Annotated[str, typer.Option(help="Cloud in the clouds.yaml.", envvar="OS_CLOUD")]
CloudsFile = Annotated[Path | None, typer.Option(help="The clouds.yaml (default: the paths of OpenStack clients).")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

WIDEST = 10_000
_ID = re.compile(r"[0-9a-f]{32}")


def group(text: str) -> typer.Typer:
    """A group of commands.  Without a command it prints its help."""
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def open_cloud(clouds_file: Path | None, name: str) -> "Cloud":
    """Log in.  Raises KilonovaError."""
    from kilonova.cmd.cloud_api import log_in

    return log_in(clouds_file, name)


def find(cloud: "Cloud", kind: str, name: str) -> dict[str, Any]:
    """The entry of a `kind` ("user", "project", "role") with that name or id.  Raises InvalidInput and NotFound."""
    if not name:
        raise InvalidInput(f"The name of the {kind} is empty.")
    for one in cloud.identify("GET", f"/{kind}s?name={quote(name, safe='')}")[f"{kind}s"]:
        return one
    if _ID.fullmatch(name):
        return cloud.identify("GET", f"/{kind}s/{name}")[kind]
    raise NotFound(f"There is no {kind} called {name}.")


def new_password(name: str) -> str:
    """A new password: entered twice on a terminal, otherwise the first line of standard input.  Raises InvalidInput."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise InvalidInput("Standard input contains no password.")
        return password
    import getpass

    password = getpass.getpass(f"Password for {name}: ")
    if not password:
        raise InvalidInput("The password is empty.")
    if getpass.getpass("Repeat the password: ") != password:
        raise InvalidInput("The two passwords differ.")
    return password


def show_list(found: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a table with these members of each entry, or all members as JSON.  No value is truncated; lines wrap on a
    terminal only."""
    if as_json:
        _print_json(found)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(*(_said(one.get(column)) for column in columns))
    console = Console()
    if not console.is_terminal:
        unbroken = console.measure(table, options=console.options.update(width=WIDEST)).maximum
        console = Console(width=max(unbroken, console.width))
    console.print(table, markup=False)


def show_one(one: dict[str, Any], *, as_json: bool) -> None:
    """Print one line per member, or JSON."""
    kept = {name: value for name, value in one.items() if name not in ("links", "options", "tags")}
    if as_json:
        _print_json(kept)
        return
    show_list([{"field": name, "value": value} for name, value in kept.items()], ("field", "value"), as_json=False)


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2))


def _said(value: Any) -> str:
    return "" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def switch(*, enable: bool, disable: bool) -> bool | None:
    """The value that --enable and --disable give together.  Raises InvalidInput."""
    if enable and disable:
        raise InvalidInput("--enable and --disable exclude each other.")
    return True if enable else False if disable else None


def require_changes(changes: dict[str, Any]) -> None:
    """Check that the request changes something.  Raises KilonovaError."""
    if not changes:
        raise KilonovaError("No change was given; --help shows the options.")
