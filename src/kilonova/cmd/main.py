# SPDX-License-Identifier: Apache-2.0
"""The command `kilonova` and its subcommands.  Each imports what it needs when it runs, so that all start quickly."""

from typing import Annotated

import typer

from kilonova import __version__
from kilonova.base.program import program
from kilonova.cmd import (
    backup,
    bootstrap,
    bus,
    cancel,
    console,
    db,
    doctor,
    fleet,
    host,
    install,
    notifications,
    policy,
    project,
    prove_kvm,
    replay,
    reset_password,
    role,
    token,
    up,
    user,
    verify,
    why,
)
from kilonova.cmd.common import ending_in_one_sentence

app = typer.Typer(
    name="kilonova",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("up", short_help="Run API, conductor and compute in one process.")(up.up)
app.command("install", short_help="Install Kilonova as a service of this machine.")(install.install)
app.command("bootstrap", short_help="Create the first administrator of a fleet.")(bootstrap.bootstrap)
app.command("backup", short_help="Write a backup file.")(backup.backup)
app.command("restore", short_help="Restore a backup file.")(backup.restore)
app.command("console", short_help="Connect to the serial console of a server.")(console.console)
app.command("notifications", short_help="Print notifications for operators.")(notifications.notifications)
app.command("prove-kvm", short_help="Test whether KVM boots a kernel on this machine.")(prove_kvm.prove_kvm)
app.command("why", short_help="Explain why a server is on its host, or on none.")(why.why)
app.command("cancel", short_help="Cancel an action that waits or runs.")(cancel.cancel)
app.command("verify", short_help="Compare the database with what exists, and repair it.")(verify.verify)
app.command("replay", short_help="Run a recorded conductor again.")(replay.replay)
app.command("doctor", short_help="Check this host and report how to correct problems.")(doctor.doctor)
app.command("reset-password", short_help="Set a new password for a user who lost it.")(reset_password.reset_password)
app.add_typer(user.app, name="user")
app.add_typer(project.app, name="project")
app.add_typer(role.app, name="role")
app.add_typer(policy.app, name="policy")
app.add_typer(bus.app, name="bus")
app.add_typer(fleet.app, name="fleet")
app.add_typer(host.app, name="host")
app.add_typer(token.app, name="token")
app.add_typer(db.app, name="db")


@app.command("version")
def version() -> None:
    """Print the version."""
    print(__version__)


def _print_version(requested: bool) -> None:
    if requested:
        version()
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Virtual machines through libvirt, behind the OpenStack Compute API."""


@program
def main() -> None:
    """The console script: a KilonovaError ends in one sentence and exit status 1."""
    with ending_in_one_sentence():
        app()
