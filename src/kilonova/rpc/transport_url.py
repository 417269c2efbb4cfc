# SPDX-License-Identifier: Apache-2.0
"""Reading a transport_url: where the bus is, and as whom to speak to it."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from kilonova.base.errors import ConfigError

DEFAULT_PORT = 4222


@dataclass(frozen=True, slots=True)
class Servers:
    """Where and as whom to connect.  `addresses` are URLs without credentials, fit for log lines."""

    addresses: tuple[str, ...]
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def parse_url(url: str) -> Servers:
    """The servers of a transport_url: `nats://[user:password@|token@]host[:port]`, several separated by commas.

    Credentials are percent-encoded; those of the first server that has any count for all.  Raises ConfigError, which
    never shows them.
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
        raise ConfigError(f"{where}: this is no URL of the form nats://host:port.") from None
    if split.scheme != "nats" and "://" in part:
        raise ConfigError(f"{where}: Kilonova speaks NATS (nats://host:port), not {split.scheme or 'this'}.")
    if split.scheme != "nats" or not split.hostname or split.path.strip("/") or split.query or split.fragment:
        raise ConfigError(f"{where}: this is no URL of the form nats://host:port.")
    return split


def _host(split: SplitResult) -> str:
    host = split.hostname or ""
    return f"[{host}]" if ":" in host else host
