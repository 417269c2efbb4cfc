# SPDX-License-Identifier: Apache-2.0
"""`kilonova console`: a guest's serial console in this terminal."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import InvalidInput, KilonovaError, NotFound

if TYPE_CHECKING:
    import ssl

    from websockets.asyncio.client import ClientConnection

    from kilonova.cmd.cloud_api import Cloud

END = b"\x1d"
"""Ctrl-]."""
READ_BYTES = 4096
LIMIT_S = 15.0


def console(
    name: Annotated[str, typer.Argument(help="Name or id of the server.")],
    os_cloud: Annotated[str, typer.Option(help="Cloud in the clouds.yaml.", envvar="OS_CLOUD")] = "kilonova",
    clouds_file: Annotated[
        Path | None, typer.Option(help="The clouds.yaml (default: the paths of OpenStack clients).")
    ] = None,
) -> None:
    """Connect this terminal to the serial console of a server.  Ctrl-] disconnects; the guest keeps running.

    The command is a client of the API and needs a clouds.yaml.  It ends an older session on the same console.
    """
    from kilonova.cmd.cloud_api import log_in

    cloud = log_in(clouds_file, os_cloud)
    request = {"remote_console": {"protocol": "serial", "type": "serial"}}
    url = cloud.call("POST", f"/servers/{server_id(cloud, name)}/remote-consoles", request)["remote_console"]["url"]
    with raw_terminal(sys.stdin.fileno()):
        # Keys that somebody types after this line must reach the guest.
        print(f"Connected to {name}; Ctrl-] disconnects.", end="\r\n", file=sys.stderr, flush=True)
        why = asyncio.run(session(url, sys.stdin.fileno(), sys.stdout.fileno(), cloud.tls))
    print(f"\n{why or 'The console was closed.'}", file=sys.stderr)


def server_id(cloud: "Cloud", name: str, *, all_projects: bool = False) -> str:
    """The id of the server with that id or name.  Raises InvalidInput, NotFound and KilonovaError."""
    from urllib.parse import quote

    if not name:
        raise InvalidInput("The name of the server is empty.")

    everywhere = "&all_tenants=1" if all_projects else ""
    found = cloud.call("GET", f"/servers?name={quote(f'^{re.escape(name)}$')}{everywhere}")["servers"]
    ids = [server["id"] for server in found if server["name"] == name]
    if len(ids) > 1:
        raise KilonovaError(f"{len(ids)} servers are called {name}: give the id of one.")
    if ids:
        return ids[0]
    if re.fullmatch(r"[0-9a-fA-F-]{36}", name):
        return name
    raise NotFound(f"There is no server called {name}.")


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Generator[None]:
    """Send every key to the guest while the block runs, also keys that were typed before.  Does nothing for a file that
    is not a terminal."""
    import termios
    import tty

    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # the default would drop what was typed before
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def session(url: str, keys: int, screen: int, tls: "ssl.SSLContext | None" = None) -> str:
    """Copy bytes in both directions until Ctrl-], the end of `keys`, or a close by the service.  Returns the reason.

    Raises KilonovaError when the console cannot be opened.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.typing import Subprotocol

    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol("binary")],
            compression=None,
            open_timeout=LIMIT_S,
            ssl=tls if url.startswith("wss:") else None,
        )
    except (InvalidHandshake, OSError, TimeoutError) as exc:
        raise KilonovaError(f"The console was not opened: {exc}.") from exc
    async with socket, asyncio.TaskGroup() as group:
        typing = group.create_task(_type(socket, keys))
        try:
            async for data in socket:
                await _write_all(screen, data if isinstance(data, bytes) else data.encode())
        except ConnectionClosed:
            return "The connection was lost."
        finally:
            typing.cancel()
    return socket.close_reason or ""


async def _type(socket: "ClientConnection", keys: int) -> None:
    from websockets.exceptions import ConnectionClosed

    loop = asyncio.get_running_loop()
    pressed: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)

    def read() -> None:
        # One piece at a time: unsent input stays in the terminal.
        loop.remove_reader(keys)
        pressed.put_nowait(os.read(keys, READ_BYTES))

    try:
        while True:
            try:
                loop.add_reader(keys, read)
            except PermissionError:  # a file or /dev/null: always readable
                read()
            before, end, _ = (data := await pressed.get()).partition(END)
            if before:
                with contextlib.suppress(ConnectionClosed):  # the reader reports it
                    await socket.send(before)
            if end or not data:
                await socket.close()
                return
    finally:
        loop.remove_reader(keys)


async def _write_all(screen: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(screen, data) :]
        except BlockingIOError:
            await asyncio.sleep(0.01)
