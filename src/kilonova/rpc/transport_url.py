# SPDX-License-Identifier: Apache-2.0
"""Parsing a transport_url: the addresses of the bus, and the credentials for it."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from kilonova.base.errors import ConfigError

DEFAULT_PORT = 4222


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


def guarded_url(url: str) -> Servers:
    """The servers of a transport_url, for processes with privileged messages on the bus (the conductor and hosts).

    Raises ConfigError for an invalid URL, and for a URL that leads beyond this machine without credentials: any client
    of that server could act as the conductor and as every host.
    """
    servers = parse_url(url)
    beyond = [address for address in servers.addresses if not _is_loopback(urlsplit(address).hostname or "")]
    if beyond and not servers.has_credentials:
        raise ConfigError(
            f"transport_url leads beyond this machine ({beyond[0]}) without credentials: any client of that server "
            "could act as the conductor and as every host. Give the NATS server users (authorization in its "
            "configuration) and name one: nats://user:password@host:port."
        )
    return servers


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_url(url: str) -> Servers:
    """The servers of a transport_url: `nats://[user:password@|token@]host[:port]`, several separated by commas.

    Credentials are percent-encoded; the credentials of the first server that has any are used for all.  Raises
    ConfigError, which never contains them.
    """
    parts = [part.strip() for part in url.split(",") if part.strip()]
    if not parts:
        raise ConfigError("Option transport_url is not set; it names the NATS server: nats://host:4222.")
    split = [_split(part, number) for number, part in enumerate(parts, 1)]
    addresses = tuple(f"nats://{_host(one)}:{one.port or DEFAULT_PORT}" for one in split)
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
    if split.scheme != "nats" and "://" in part:
        raise ConfigError(f"{where}: Kilonova uses NATS (nats://host:port), not {split.scheme or 'this'}.")
    if split.scheme != "nats" or not split.hostname or split.path.strip("/") or split.query or split.fragment:
        raise ConfigError(f"{where}: this is not a URL of the form nats://host:port.")
    return split


def _host(split: SplitResult) -> str:
    host = split.hostname or ""
    return f"[{host}]" if ":" in host else host
