# SPDX-License-Identifier: Apache-2.0
"""TLS of the API, and where plain HTTP is allowed."""

import ipaddress
import socket
import ssl

from kilonova.base.errors import ConfigError
from kilonova.config.api import ApiSettings


def make_context(settings: ApiSettings) -> ssl.SSLContext | None:
    """The TLS context of new connections: TLS 1.2 or newer, with the certificate that is on disk now; None means plain
    HTTP.  Reads files; raises ConfigError."""
    cert, key = settings.ssl_cert_file, settings.ssl_key_file
    if not cert and not key:
        return None
    if not cert:
        raise ConfigError("[api] ssl_key_file needs an ssl_cert_file beside it.")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Otherwise OpenSSL would read a password from a terminal, which a service does not have.
        context.load_cert_chain(cert, key or None, password=lambda: "")
    except ssl.SSLError as exc:
        raise ConfigError(f"[api] ssl_cert_file {cert} and its key cannot be used: {_words(exc)}.") from exc
    except OSError as exc:
        raise ConfigError(f"[api] ssl_cert_file {cert} or its key cannot be read: {exc.strerror}.") from exc
    return context


def _words(exc: ssl.SSLError) -> str:
    reason = (exc.reason or "").replace("_", " ").lower()
    return reason or "no certificate with its key in PEM"


def refuse_plain_beyond_loopback(settings: ApiSettings) -> None:
    """Passwords and tokens are not sent in clear over a network unless the operator permits it.  Raises ConfigError."""
    if is_exposed(settings) and not settings.allow_plain_http:
        raise ConfigError(
            f"{settings.listen} is reached from other machines, and passwords and tokens would cross the network "
            "readable: set [api] ssl_cert_file and ssl_key_file, or allow_plain_http = true where the network, or a "
            "proxy before it, is trusted to hide them."
        )


def is_exposed(settings: ApiSettings) -> bool:
    """Whether plain HTTP is reachable from other machines."""
    return not settings.ssl_cert_file and not is_loopback(settings.listen)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address.  A name is resolved."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        pass
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(address, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)
