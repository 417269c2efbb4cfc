# SPDX-License-Identifier: Apache-2.0
"""`kilonova replay`: run a recorded conductor again, without a database and a bus."""

from pathlib import Path
from typing import Annotated

import typer

from kilonova.base.errors import KilonovaError

LEFT, UNUSABLE = 1, 2


def replay(
    file: Annotated[Path, typer.Argument(help="The record ([record] file) of a conductor.")],
    until: Annotated[int | None, typer.Option(min=1, help="Number of the last entry.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print each entry, with the values of calls.")] = False,
) -> None:
    """Run a recorded conductor again on its recorded inputs, compare each of its calls with the recorded one, and print
    the states that it reached.

    Exit status 0 when every call was the same, 1 when the replay left the record, 2 when the file cannot be used.
    """
    from kilonova.base import logging
    from kilonova.wiring.record import read_record
    from kilonova.wiring.record import replay as run
    from kilonova.wiring.replayed import Replayed, summary_of

    logging.set_up(debug=False)
    try:
        head, entries = read_record(file)
        seen = Replayed(print if trace else None)
        print(f"Record of a {head['role']} of version {head['version']}, Python {head['python']}.", flush=True)
        outcome = run(head, entries, seen.watch, until)
    except KilonovaError as exc:
        print(f"kilonova: {exc.message}", flush=True)
        raise typer.Exit(UNUSABLE) from exc
    print("\n".join((*seen.lines(), *summary_of(outcome))))
    if outcome.difference is not None:
        raise typer.Exit(LEFT)
