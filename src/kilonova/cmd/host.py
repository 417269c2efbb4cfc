# SPDX-License-Identifier: Apache-2.0
"""`kilonova host`: operator commands for the hosts of a fleet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from kilonova.cmd.common import ConfigFiles
from kilonova.cmd.credentials import DEFAULT_AUTHORITY, AuthorityPath, Days, Output, issue, revoke
from kilonova.cmd.directory import group
from kilonova.cmd.operator_call import ask_conductor, fleet_access

if TYPE_CHECKING:
    from kilonova.rpcapi.method import Method

Q = TypeVar("Q")
R = TypeVar("R")

app = group("Hosts of a fleet: their credentials, and their names.")

Name = Annotated[str, typer.Argument(help="Name of the host.")]


@app.command("enroll", short_help="Issue the credentials of a new host.")
def enroll(
    name: Name, authority: AuthorityPath = Path(DEFAULT_AUTHORITY), output: Output = None, days: Days = None
) -> None:
    """Write the one file that a new host needs: addresses, CA and credentials of the bus, valid for its name only.

    Carry it to the host, and set [DEFAULT] transport_credentials to its path.
    """
    from kilonova.rpcapi.permissions import Role

    issue(authority, Role.HOST, name, output, days, again=False)


@app.command("rotate", short_help="Issue new credentials of a host.")
def rotate(
    name: Name, authority: AuthorityPath = Path(DEFAULT_AUTHORITY), output: Output = None, days: Days = None
) -> None:
    """Write a new file for a host.  The former one stays valid.

    Replace the file on the host: its process uses the new one without a restart and without a lost request.  Then
    revoke the former one: `kilonova host revoke NAME --former`.
    """
    from kilonova.rpcapi.permissions import Role

    issue(authority, Role.HOST, name, output, days, again=True)


@app.command("revoke", short_help="Revoke credentials of a host.")
def revoke_host(
    name: Name,
    authority: AuthorityPath = Path(DEFAULT_AUTHORITY),
    former: Annotated[bool, typer.Option("--former", help="All but the newest, after a rotation.")] = False,
) -> None:
    """Revoke a host's credentials: its connections are closed at once, and not opened again.  Its guests keep
    running."""
    from kilonova.rpc.credentials import identity
    from kilonova.rpcapi.permissions import Role

    revoke(authority, identity(Role.HOST, name), former=former)


@app.command("adopt", short_help="Give a host to another process.")
def adopt(
    name: Name,
    config_file: ConfigFiles = None,
) -> None:
    """Release a host name from its current process, for another process whose registration was refused.

    The current process ends and its guests keep running: shut down the wrong machine, or both machines run the same
    servers.  Then start the process that should own the host.  The next process that registers owns it.

    The command reads transport_url and transport_credentials from a configuration: the conductor's, or one with the
    credentials of an operator.
    """
    from kilonova.objects.ids import HostName
    from kilonova.rpcapi.api_to_conductor_admin import ADOPT_HOST, AdoptHost

    adopted = _call(config_file, ADOPT_HOST, AdoptHost(HostName(name)))
    print(f"released by {adopted.former}")
    print(f"refused     {adopted.claimant}")
    print("Start the process that should own the host now; the former one ends and its guests keep running.")


@app.command("forget", short_help="Give up a host that will not return.")
def forget(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
    config_file: ConfigFiles = None,
) -> None:
    """Give up a host that will never return: its disks count as lost.

    Its servers go to ERROR; they can be deleted, or evacuated to other hosts, where they are built again from their
    images.  Deletes that waited for the host end.  The command is refused while the host is alive.  If the host returns
    anyway, it stops its copies of the servers and removes those that live elsewhere or are deleted; it gets no new
    servers before `openstack compute service set --enable`.

    The command reads the same configuration as `kilonova host adopt`.
    """
    from kilonova.objects.ids import HostName
    from kilonova.rpcapi.api_to_conductor_admin import FORGET_HOST, ForgetHost

    if not yes:
        typer.confirm(f"Give up host {name}? The disks of its servers count as lost.", abort=True)
    done = _call(config_file, FORGET_HOST, ForgetHost(HostName(name)))
    print(f"Host {name} was given up at {done.at:%Y-%m-%d %H:%M:%S} UTC.")
    print(f"{done.servers} servers lost their disks: evacuate or delete them. {done.deletes} deletes have ended.")
    print(f"If its machine still exists, revoke its credentials (kilonova host revoke {name}) or let it clean up.")


def _call(config_file: ConfigFiles, method: "Method[Q, R]", request: Q) -> R:
    access = fleet_access(
        config_file, "There is no transport_url: the one box runs its conductor and its host in one process."
    )
    return ask_conductor(access, lambda caller: caller.call(method, request))
