# SPDX-License-Identifier: Apache-2.0
"""`kilonova`: its commands.  Each imports what it needs when it runs, so that all start quickly."""

from typing import Annotated

import typer

from kilonova import __version__
from kilonova.cmd import (
    backup,
    console,
    doctor,
    install,
    notifications,
    policy,
    project,
    prove_kvm,
    reset_password,
    role,
    up,
    user,
)
from kilonova.cmd.common import ending_in_one_sentence

app = typer.Typer(
    name="kilonova",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("install")(install.install)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("console")(console.console)
app.command("notifications")(notifications.notifications)
app.command("prove-kvm")(prove_kvm.prove_kvm)
app.command("doctor")(doctor.doctor)
app.command("reset-password")(reset_password.reset_password)
app.add_typer(user.app, name="user")
app.add_typer(project.app, name="project")
app.add_typer(role.app, name="role")
app.add_typer(policy.app, name="policy")


@app.command("version")
def version() -> None:
    """Print the version."""
    print(__version__)


def _say_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Virtual machines through libvirt, behind the OpenStack Compute API."""


def main() -> None:
    """The console script: errors that we know end in one sentence and exit status 1."""
    with ending_in_one_sentence():
        app()
