# SPDX-License-Identifier: Apache-2.0
"""`kilonova`: its commands.  Each imports what it needs when it runs, so that all start quickly."""

from typing import Annotated

import typer

from kilonova import __version__
from kilonova.cmd import (
    backup,
    console,
    doctor,
    host,
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
app.command("up", short_help="Run all of it: API, conductor and compute.")(up.up)
app.command("install", short_help="Make it a service of this machine.")(install.install)
app.command("backup", short_help="Write a backup, one file.")(backup.backup)
app.command("restore", short_help="Bring a backup back.")(backup.restore)
app.command("console", short_help="Type into a server's serial console.")(console.console)
app.command("notifications", short_help="Print what an operator should hear of.")(notifications.notifications)
app.command("prove-kvm", short_help="See whether KVM boots a kernel here.")(prove_kvm.prove_kvm)
app.command("doctor", short_help="Look at this host, and say what to do.")(doctor.doctor)
app.command("reset-password", short_help="Let somebody in who lost the password.")(reset_password.reset_password)
app.add_typer(user.app, name="user")
app.add_typer(project.app, name="project")
app.add_typer(role.app, name="role")
app.add_typer(policy.app, name="policy")
app.add_typer(host.app, name="host")


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
