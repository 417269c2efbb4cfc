# SPDX-License-Identifier: Apache-2.0
"""Helpers of the commands `bus` and `host` that issue and revoke credentials."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import Conflict, InvalidInput, NotFound, StateError

if TYPE_CHECKING:
    from kilonova.rpc.authority import Authority, Issued
    from kilonova.rpcapi.permissions import Role

DEFAULT_AUTHORITY = "/etc/kilonova/authority"
PUSH_S = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

AuthorityPath = Annotated[Path, typer.Option(help="Directory of `kilonova bus init`.", envvar="KILONOVA_AUTHORITY")]
Output = Annotated[Path | None, typer.Option(help="The file to write (default: NAME.kilonova in this directory).")]
Days = Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until they expire (default: never).")]


@contextmanager
def open_authority(directory: Path) -> Generator["Authority"]:
    """The opened authority.  Raises StateError."""
    from kilonova.base.clock import SystemClock
    from kilonova.rpc.authority import opened

    with opened(directory, SystemClock()) as found:
        yield found


def issue(directory: Path, role: "Role", name: str, output: Path | None, days: int | None, *, again: bool) -> None:
    """Write new credentials to a file, and print where.  `again`: there must be valid ones, else there must be none.
    Raises InvalidInput, Conflict, NotFound, StateError."""
    from kilonova.rpc.credentials import identity, write
    from kilonova.rpcapi.permissions import rights

    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a name: use letters, digits, dots, hyphens and underscores.")
    path, own = output or Path(f"{name}.kilonova"), identity(role, name)
    with open_authority(directory) as found:
        valid = found.valid(own)
        if valid and not again:
            raise Conflict(f"{own} has credentials already: replace them by rotation, or revoke them first.")
        if again and not valid:
            raise NotFound(f"{own} has no valid credentials to replace: issue its first ones.")
        if path.exists():
            raise Conflict(f"{path} exists: remove it, or name another file with --output.")
        made = found.issue(own, rights(role, name), None if days is None else timedelta(days=days))
    try:
        write(path, made)
    except OSError as exc:
        raise StateError(f"{path} cannot be written: {exc.strerror}. Revoke the credentials of {own}.") from exc
    print(f"{path}: credentials of {own}. Carry it over a safe channel: who has it acts as {own}.")


def revoke(directory: Path, own: str, *, former: bool) -> None:
    """Revoke credentials, push that to the servers, and print it.  Raises NotFound, Conflict, StateError."""
    with open_authority(directory) as found:
        count = found.revoke(own, keep_newest=former)
        print(f"{own}: revoked {count} credentials.")
        push(found)


def push(found: "Authority") -> None:
    """Send the account with its revocations to the servers.  Raises StateError when none has taken it; they receive it
    with the next push, or with the configuration file in `server`."""
    import asyncio

    again = "run `kilonova bus push`"
    try:
        answer = asyncio.run(_push(found))
    except Exception as exc:  # the border of a library
        raise StateError(f"It is recorded, and no server has received it ({exc}): {again}.") from exc
    if answer is None or b'"error"' in answer or not answer:
        said = (answer or b"no answer").decode(errors="replace")
        raise StateError(f"It is recorded, and no server has taken it ({said}): {again}.")
    print("The NATS servers have received it; revoked connections are closed.")


async def _push(found: "Authority") -> bytes | None:
    import asyncio

    from kilonova.base.clock import SystemClock
    from kilonova.rpc.authority import SYSTEM_IDENTITY, UPDATE
    from kilonova.rpc.bus import inbox_prefix
    from kilonova.rpc.nats_connection import Connection
    from kilonova.rpc.transport_url import entry_of

    clock, entry = SystemClock(), entry_of(found.system_credentials())
    connection = Connection(entry, SYSTEM_IDENTITY, clock, lambda _subject: None)
    try:
        async with asyncio.timeout(PUSH_S):
            await connection.open()
        inbox = f"{inbox_prefix(SYSTEM_IDENTITY)}.{clock.new_id()}"
        return await connection.ask(UPDATE, found.account_jwt().encode(), inbox, PUSH_S)
    except Exception as exc:
        raise StateError(connection.explain(exc)) from exc
    finally:
        await connection.close()


def listed(issued: "Issued", now: int) -> str:
    """One line about issued credentials."""
    from kilonova.rpc.authority import moment

    state = "valid"
    if issued.revoked_at is not None:
        state = f"revoked {moment(issued.revoked_at):%Y-%m-%d}"
    elif issued.expires_at is not None:
        state = f"{'expired' if issued.expires_at <= now else 'expires'} {moment(issued.expires_at):%Y-%m-%d}"
    return f"{issued.identity:<32} {moment(issued.issued_at):%Y-%m-%d}  {state}"
