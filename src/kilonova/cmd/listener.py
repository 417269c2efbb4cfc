# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of a process: its socket, its URL, and the new certificate after SIGHUP."""

import socket
from typing import TYPE_CHECKING, Protocol

from kilonova.api.http.tls import make_context
from kilonova.base.errors import ConfigError
from kilonova.config.api import ApiSettings
from kilonova.config.load import Settings

if TYPE_CHECKING:
    from kilonova.api.http.server import Server


class Reloadable(Protocol):
    """A process that applies new settings.  Raises ConfigError, and has then changed nothing."""

    def reload(self, fresh: Settings) -> None: ...


def bind(address: str, port: int) -> socket.socket:
    """The listening socket.  Raises ConfigError when the address is in use, or is not an address of the machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.strip("[]"), port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise ConfigError(f"Cannot listen on {address}:{port}: {exc.strerror}; choose another with --listen.") from exc
    return listener


def url_of(address: str, port: int, api: ApiSettings) -> str:
    """The URL for clients of a process that listens there: [api] public_endpoint, or one with the public name if there
    is one, since the wildcard address is not an address to connect to."""
    if api.public_endpoint:
        return api.public_endpoint
    address = api.public_name or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    scheme = "https" if api.ssl_cert_file else "http"
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}"


def reload(process: Reloadable, server: "Server", fresh: Settings) -> None:
    """Apply the settings, and load the certificate again.  Raises ConfigError and has then changed nothing."""
    tls = make_context(fresh.api)
    if (tls is None) != (server.tls is None):
        raise ConfigError("TLS can be turned on or off at the start only: restart the service.")
    process.reload(fresh)
    server.tls = tls
