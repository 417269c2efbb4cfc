# SPDX-License-Identifier: Apache-2.0
"""`kilonova bus`: the authority that issues credentials for the bus of a fleet."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.base.errors import ConfigError, InvalidInput
from kilonova.cmd.credentials import (
    DEFAULT_AUTHORITY,
    AuthorityPath,
    Days,
    Output,
    issue,
    listed,
    open_authority,
    push,
    revoke,
)
from kilonova.cmd.directory import group

if TYPE_CHECKING:
    from kilonova.rpc.certificates import Pem

app = group("Credentials and TLS of the bus of a fleet.")

Directory = Annotated[Path, typer.Argument(help="Directory of the authority, on an administrator's machine.")]
Sans = Annotated[list[str] | None, typer.Option("--san", help="Name or address of a server; may be repeated.")]
Lifetime = Annotated[int, typer.Option(min=1, max=3650, help="Days until the servers' certificate expires.")]
RoleName = Annotated[str, typer.Option(help="api, conductor, host, observer or operator.")]
Name = Annotated[str, typer.Argument(help="Name of the process: [DEFAULT] host of its machine.")]
Former = Annotated[bool, typer.Option("--former", help="All but the newest, after a rotation.")]


@app.command("init", short_help="Make the keys, the CA and the configuration of the NATS servers.")
def init(
    directory: Directory,
    server: Annotated[list[str], typer.Option(help="URL of a server for its clients: tls://host:port; repeatable.")],
    san: Sans = None,
    certificate: Annotated[tuple[Path, Path, Path] | None, typer.Option(help="Your CA, certificate, key.")] = None,
    installed_at: Annotated[Path | None, typer.Option(help="Where the servers will have DIRECTORY/server.")] = None,
    days: Lifetime = 825,
) -> None:
    """Make an authority, once for a fleet.

    DIRECTORY gets the keys that sign credentials (keep it private, and keep a backup) and a directory `server`: copy it
    to each NATS server, and run `nats-server -c nats-server.conf` there.  With tls:// a CA and a certificate for the
    hosts of --server and --san are made; --certificate uses your own files instead.
    """
    from kilonova.base.clock import SystemClock
    from kilonova.rpc.authority import SERVER, Founding, found
    from kilonova.rpc.transport_url import parse_url

    servers = parse_url(",".join(server))
    if servers.has_credentials:
        raise ConfigError("--server takes no user: the authority issues the credentials.")
    if not servers.use_tls and (san or certificate):
        raise InvalidInput("--san and --certificate need servers with tls://.")
    sans = (*dict.fromkeys((*_hosts(servers.addresses), *(san or ()))),) if servers.use_tls else ()
    where = (installed_at or directory / SERVER).absolute()
    own = None if certificate is None else _read(certificate)
    found(directory, Founding(servers.addresses, where, sans, timedelta(days=days), own), SystemClock())
    print(f"{directory}: keys of the authority. Keep it private, and keep a backup.")
    print(
        f"{directory / SERVER}: copy it to {where} on each NATS server; then: nats-server -c {where}/nats-server.conf"
    )


def _hosts(addresses: tuple[str, ...]) -> list[str]:
    from urllib.parse import urlsplit

    return [urlsplit(address).hostname or "" for address in addresses]


def _read(files: tuple[Path, Path, Path]) -> "tuple[str, Pem]":
    from kilonova.rpc.certificates import Pem

    try:
        ca, certificate, key = (path.read_text() for path in files)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--certificate: a file cannot be read: {exc}.") from exc
    return ca, Pem(certificate, key)


@app.command("certificate", short_help="Renew the certificate of the NATS servers.")
def certificate(authority: AuthorityPath = Path(DEFAULT_AUTHORITY), san: Sans = None, days: Lifetime = 825) -> None:
    """Make a new certificate for the servers with the same CA, before the former one expires.

    Copy `server/server.crt` and `server/server.key` to each server, and send its nats-server SIGHUP.
    """
    with open_authority(authority) as found:
        sans = dict.fromkeys((*_hosts(found.servers), *(san or ())))
        found.renew_certificate(tuple(sans), timedelta(days=days))
    print(f"{authority / 'server'}: copy server.crt and server.key to each NATS server, then send SIGHUP to it.")


@app.command("credentials", short_help="Issue credentials for an API, a conductor or an operator.")
def credentials(
    name: Name,
    role: RoleName,
    authority: AuthorityPath = Path(DEFAULT_AUTHORITY),
    output: Output = None,
    days: Days = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Replace earlier ones, which stay valid.")] = False,
) -> None:
    """Write the file that lets one process use the bus.

    Set [DEFAULT] transport_credentials to its path.  A running process uses a replaced file without a restart.
    """
    from kilonova.rpcapi.permissions import Role

    if role not in tuple(Role):
        raise InvalidInput(f"There is no role {role}: use one of {', '.join(Role)}.")
    issue(authority, Role(role), name, output, days, again=rotate)


@app.command("revoke", short_help="Revoke credentials of a process.")
def revoke_credentials(
    name: Name, role: RoleName, authority: AuthorityPath = Path(DEFAULT_AUTHORITY), former: Former = False
) -> None:
    """Revoke credentials: their connections are closed at once, and not opened again."""
    from kilonova.rpc.credentials import identity

    revoke(authority, identity(role, name), former=former)


@app.command("push", short_help="Send revocations to the NATS servers again.")
def push_account(authority: AuthorityPath = Path(DEFAULT_AUTHORITY)) -> None:
    """Send all revocations to the NATS servers, after a command that did not reach them."""
    with open_authority(authority) as found:
        push(found)


@app.command("list", short_help="List issued credentials.")
def list_issued(authority: AuthorityPath = Path(DEFAULT_AUTHORITY)) -> None:
    """List all credentials that were issued, with their state."""
    from kilonova.base.clock import SystemClock

    now = int(SystemClock().now().timestamp())
    with open_authority(authority) as found:
        for one in found.issued:
            print(listed(one, now))
