# SPDX-License-Identifier: Apache-2.0
"""Where the bus is and how a process gets in: transport_url, a credentials file, files for TLS."""

import ipaddress
import socket
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from kilonova.base.errors import ConfigError
from kilonova.config.default import DefaultSettings
from kilonova.rpc import credentials
from kilonova.rpc.credentials import Credentials

DEFAULT_PORT = 4222
SCHEMES = ("nats", "tls")


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses and credentials of the bus.  `addresses` are URLs without credentials, so that logs may show them."""

    addresses: tuple[str, ...]
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def has_credentials(self) -> bool:
        return self.user is not None or self.token is not None

    @property
    def use_tls(self) -> bool:
        """Whether every connection must use TLS."""
        return any(address.startswith("tls:") for address in self.addresses)


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything for one connection.  `tls` verifies the certificate and the name of a server."""

    servers: Servers
    credentials: Credentials | None
    tls: ssl.SSLContext

    @property
    def has_credentials(self) -> bool:
        return self.servers.has_credentials or self.credentials is not None


@dataclass(frozen=True, slots=True)
class Access:
    """The options of a process for the bus.  `only` is one of the addresses: no other is used.

    Files are read again for each connection, so that they can be replaced while the process runs.
    """

    url: str = field(default="", repr=False)
    credentials_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    only: str = ""

    @property
    def has_files(self) -> bool:
        return bool(self.credentials_file or self.ca_file or self.cert_file)

    def read(self) -> Entry:
        """Read the files.  Blocks.  Raises ConfigError in one sentence, without a secret."""
        found = credentials.read(Path(self.credentials_file)) if self.credentials_file else None
        servers = parse_url(self.url if self.url or found is None else ",".join(found.servers))
        if found is not None and servers.has_credentials:
            raise ConfigError(
                "transport_url names a user, and transport_credentials is set as well: remove the user from the URL."
            )
        if self.only:
            servers = replace(servers, addresses=(self.only,))
        return Entry(servers, found, _tls(self, found))

    def changed_at(self) -> int | None:
        """When the credentials file was replaced, in nanoseconds; None without a file."""
        try:
            return Path(self.credentials_file).stat().st_mtime_ns if self.credentials_file else None
        except OSError:
            return None


def entry_of(found: Credentials) -> Entry:
    """The entry of credentials that are not in a file.  Raises ConfigError."""
    return Entry(parse_url(",".join(found.servers)), found, _tls(Access(), found))


def _tls(access: Access, found: Credentials | None) -> ssl.SSLContext:
    try:
        if access.ca_file:
            context = ssl.create_default_context(cafile=access.ca_file)
        else:
            context = ssl.create_default_context(cadata=found.ca if found is not None and found.ca else None)
    except (OSError, ValueError) as exc:
        where = f"transport_ca_file {access.ca_file}" if access.ca_file else "the CA in the credentials file"
        raise ConfigError(f"{where} is not a certificate in PEM that can be read: {exc}.") from exc
    if access.cert_file:
        try:
            context.load_cert_chain(access.cert_file, access.key_file or None)
        except OSError as exc:
            raise ConfigError(
                f"transport_cert_file {access.cert_file} and its key cannot be used: {exc.strerror or exc}."
            ) from exc
    return context


def access_of(settings: DefaultSettings) -> Access:
    """The options of a process for the bus."""
    return Access(
        settings.transport_url,
        settings.transport_credentials,
        settings.transport_ca_file,
        settings.transport_cert_file,
        settings.transport_key_file,
    )


def guarded(access: Access) -> Entry:
    """The entry of processes with privileged messages on the bus (conductors, APIs and hosts).

    Raises ConfigError for invalid options, and for a URL that leads beyond this machine without credentials: any client
    of that server could act as the conductor and as every host.
    """
    entry = access.read()
    beyond = leads_beyond(entry.servers)
    if beyond and not entry.has_credentials:
        raise ConfigError(
            f"transport_url leads beyond this machine ({beyond[0]}) without credentials: any client of that server "
            "could act as the conductor and as every host. Set transport_credentials to a file from `kilonova host "
            "enroll` or `kilonova bus credentials`, or name a user of the server: nats://user:password@host:port."
        )
    return entry


def own_address(access: Access) -> str:
    """The address of this machine from which it reaches the first server of the bus, as the routes are now; loopback
    when that is not known.  Sends nothing.  Blocks.  Raises ConfigError."""
    first = urlsplit(access.read().servers.addresses[0])
    try:
        for family, kind, _, _, address in socket.getaddrinfo(first.hostname, first.port, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                probe.connect(address)
                return str(probe.getsockname()[0])
    except OSError:
        pass
    return "127.0.0.1"


def leads_beyond(servers: Servers) -> list[str]:
    """The addresses that are on other machines."""
    return [one for one in servers.addresses if not _is_loopback(urlsplit(one).hostname or "")]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_url(url: str) -> Servers:
    """The servers of a transport_url: `nats://[user:password@|token@]host[:port]`, several separated by commas; with
    `tls://` every connection uses TLS.

    Credentials are percent-encoded; the credentials of the first server that has any are used for all.  Raises
    ConfigError, which never contains them.
    """
    parts = [part.strip() for part in url.split(",") if part.strip()]
    if not parts:
        raise ConfigError(
            "Option transport_url is not set; it names the NATS server: nats://host:4222. (A file from `kilonova host "
            "enroll`, named in transport_credentials, also names the servers.)"
        )
    split = [_split(part, number) for number, part in enumerate(parts, 1)]
    if len({one.scheme for one in split}) > 1:
        raise ConfigError("Option transport_url mixes nats:// and tls://: use tls:// for every server, or for none.")
    addresses = tuple(f"{one.scheme}://{_host(one)}:{one.port or DEFAULT_PORT}" for one in split)
    for one in split:
        if one.username:
            name = unquote(one.username)
            if one.password is None:
                return Servers(addresses, token=name)
            return Servers(addresses, user=name, password=unquote(one.password))
    return Servers(addresses)


def _split(part: str, number: int) -> SplitResult:
    where = f"Option transport_url, server {number}"
    try:
        split = urlsplit(part)
        _ = split.port
    except ValueError:
        raise ConfigError(f"{where}: this is not a URL of the form nats://host:port.") from None
    if split.scheme not in SCHEMES and "://" in part:
        raise ConfigError(f"{where}: Kilonova uses NATS (nats://host:port, tls://host:port), not {split.scheme}.")
    if split.scheme not in SCHEMES or not split.hostname or split.path.strip("/") or split.query or split.fragment:
        raise ConfigError(f"{where}: this is not a URL of the form nats://host:port.")
    return split


def _host(split: SplitResult) -> str:
    host = split.hostname or ""
    return f"[{host}]" if ":" in host else host
