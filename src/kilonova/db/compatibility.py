# SPDX-License-Identifier: Apache-2.0
"""Which code may use a database: the schema carries the lowest code version that may use it.

A migration that only adds (it *expands*) leaves that version as it is, so that processes of the previous release go on
beside it.  A migration that removes or changes what the previous release uses (it *contracts*) declares
`lowest_code_version`, the first code version that does without it.
"""

import sqlite3

from kilonova import CODE_VERSION

LOWEST = "SELECT lowest_code_version FROM schema_version"


def refusal(revision: str, head: str, lowest: int | None) -> str:
    """Why this code cannot use a database of a newer revision than its own, as the end of a sentence; empty if it can.
    `lowest` is what LOWEST reads; None: the database does not have it."""
    if lowest is not None and lowest <= CODE_VERSION:
        return ""
    needs = "" if lowest is None else f", and it needs code version {lowest}, this one is {CODE_VERSION}"
    return f"was written by a newer Kilonova (revision {revision}, this one supports {head}{needs})"


def lowest_in_file(connection: sqlite3.Connection) -> int | None:
    """The lowest code version that may use the database; None if it is not recorded."""
    try:
        row = connection.execute(LOWEST).fetchone()
    except sqlite3.OperationalError:  # there is no such table
        return None
    return None if row is None else int(row[0])
