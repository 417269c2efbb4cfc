# SPDX-License-Identifier: Apache-2.0
"""Headers about a request's origin: accepted from trusted proxies only; and the check of the Host header."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import Scope

from kilonova.api.http.connections import is_among, networks
from kilonova.api.http.tls import is_loopback
from kilonova.api.http.wire import AUTHORITY, base_of, headers_of
from kilonova.base.errors import InvalidInput
from kilonova.config.api import ApiSettings

FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto", "forwarded")
REMEMBERED = 256


class Edge:
    """One per process.

    If only this machine can reach the service, it accepts only names of this machine.  Otherwise a foreign web page,
    whose domain name resolves to 127.0.0.1, would have the service's own origin in a browser (DNS rebinding).
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._proxies = networks(settings.trusted_proxies)
        self._hosts = frozenset(host.lower().strip("[]") for host in settings.allowed_hosts)
        if settings.public_name:
            self._hosts |= {settings.public_name.lower()}
        self._endpoint = settings.public_endpoint
        if self._endpoint:
            self._hosts |= {(urlsplit(self._endpoint).hostname or "").lower()}
        self._any = not settings.allowed_hosts and not is_loopback(settings.listen)
        self._good: set[str] = set()

    def headers(self, scope: Scope) -> dict[str, str]:
        """The request's headers; those of proxies only if the request comes from a trusted proxy."""
        headers = headers_of(scope)
        if not self._is_proxy(scope):
            for name in FORWARDED:
                headers.pop(name, None)
        return headers

    def base(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The beginning of all links: [api] public_endpoint, or the address that the client used."""
        return self._endpoint or base_of(scope, headers)

    def check_host(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Raises InvalidInput for an invalid or unknown Host.  A trusted proxy has checked it already."""
        host = headers.get("host")
        if host in self._good or (host is None and scope.get("http_version") == "1.0"):
            return
        if host is None or AUTHORITY.fullmatch(host) is None:
            raise InvalidInput("A request needs one Host header, with a name or an address.")
        if not self._is_proxy(scope):
            if not self._is_ours(host):
                raise InvalidInput(f"The name {host[:255]} is not served here ([api] allowed_hosts).")
            if len(self._good) < REMEMBERED:
                self._good.add(host)

    def _is_proxy(self, scope: Scope) -> bool:
        client = scope.get("client")
        return bool(self._proxies) and client is not None and is_among(client[0], self._proxies)

    def _is_ours(self, host: str) -> bool:
        if self._any:
            return True
        name = (host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]).lower().rstrip(".")
        if name in self._hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        try:  # an address cannot resolve to another address, as a name can
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
