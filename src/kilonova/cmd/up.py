# SPDX-License-Identifier: Apache-2.0
"""`kilonova up`: runs the one box, which is API, conductor and compute in one process with SQLite and the in-memory
bus."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kilonova.base.errors import ConfigError


def up(
    config_file: Annotated[list[str] | None, typer.Option(help="Configuration file; may be repeated.")] = None,
    config_dir: Annotated[list[str] | None, typer.Option(help="Directory of *.conf files.")] = None,
    state_path: Annotated[str | None, typer.Option(help="State directory (the default depends on the user).")] = None,
    listen: Annotated[str | None, typer.Option(help="ADDRESS:PORT to listen on (default 127.0.0.1:8774).")] = None,
    connection_uri: Annotated[str | None, typer.Option(help="libvirt URI (the default depends on the user).")] = None,
    compute_driver: Annotated[str | None, typer.Option(help="libvirt.LibvirtDriver or fake.FakeDriver.")] = None,
    clouds_file: Annotated[Path | None, typer.Option(help="Write a clouds.yaml here (mode 0600).")] = None,
    debug: Annotated[bool, typer.Option(help="Log debug lines.")] = False,
) -> None:
    """Run the one box: API, conductor and compute in this process.

    Prints its address and, at the first start, the password of the administrator.  SIGTERM or Ctrl-C stops it; guests
    keep running, and the next `kilonova up` manages them again.
    """
    from kilonova.cmd.one_box import run
    from kilonova.config.load import load

    overrides: dict[tuple[str, str], object] = {}
    for key, value in (
        (("DEFAULT", "state_path"), state_path),
        (("DEFAULT", "compute_driver"), compute_driver),
        (("libvirt", "connection_uri"), connection_uri),
    ):
        if value is not None:
            overrides[key] = value
    if debug:
        overrides["DEFAULT", "debug"] = True
    if listen is not None:
        address, _, port = listen.rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise ConfigError(f"--listen requires ADDRESS:PORT, not {listen}.")
        overrides["api", "listen"] = address.strip("[]") or "127.0.0.1"
        overrides["api", "port"] = int(port)
    again = partial(load, config_file or (), config_dir or (), overrides)
    run(again(), clouds_file.expanduser() if clouds_file is not None else None, again)
