# SPDX-License-Identifier: Apache-2.0
"""[api]: the address and the limits of the HTTP API."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from oslo_config import cfg

GROUP = "api"
OPTIONS = [
    cfg.HostAddressOpt("listen", default="127.0.0.1", help="Address to listen on."),
    cfg.PortOpt("port", default=8774, help="Port to listen on; 0: any free port."),
    cfg.StrOpt("ssl_cert_file", default="", help="Certificate (PEM, with its chain) to serve HTTPS with; empty: HTTP."),
    cfg.StrOpt("ssl_key_file", default="", help="Its private key; empty: it is in ssl_cert_file, too."),
    cfg.BoolOpt(
        "allow_plain_http",
        default=False,
        help="Serve HTTP without TLS on an address that other machines reach: passwords and tokens can be read there.",
    ),
    cfg.StrOpt(
        "public_name",
        default="",
        help="Name that clients reach the service by, written into clouds.yaml; empty: the address it listens on.",
    ),
    cfg.StrOpt(
        "public_endpoint",
        default="",
        help="URL that clients reach the service by, such as https://cloud.example.org, for a balancer in front of it: "
        "it is in the catalog and in all links. Empty: the address that the client used.",
    ),
    cfg.ListOpt(
        "allowed_hosts",
        default=[],
        help="Accepted names in the Host header, in addition to addresses and localhost; none: any name, or, on "
        "loopback, no other name.",
    ),
    cfg.ListOpt(
        "trusted_proxies",
        default=[],
        help="Addresses or networks (CIDR) of proxies whose X-Forwarded-* headers are trusted; none: no headers.",
    ),
    cfg.IntOpt("max_connections", default=1000, min=32, help="Most open connections, as far as descriptors allow."),
    cfg.IntOpt(
        "max_connections_per_peer",
        default=200,
        min=1,
        help="Open connections of one address (of IPv6 a /64); trusted proxies have no such limit.",
    ),
    cfg.IntOpt("max_head_bytes", default=32768, min=4096, help="Largest head of a request: its line and headers."),
    cfg.FloatOpt("head_timeout", default=10.0, min=1, help="Seconds that a client has to send the head of a request."),
    cfg.FloatOpt(
        "body_timeout",
        default=30.0,
        min=1,
        help="Seconds that a body may pause in total, beyond what it takes at 500 bytes a second.",
    ),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Longest page of a list."),
    cfg.IntOpt("max_body_bytes", default=114688, min=1024, help="Largest request body, image uploads apart."),
    cfg.IntOpt("max_image_bytes", default=1 << 36, min=1, help="Largest image upload."),
    cfg.FloatOpt("token_lifetime", default=3600.0, min=1, help="Seconds for which a token is valid."),
    cfg.ListOpt(
        "trusted",
        default=[],
        help="Addresses and networks (CIDR) of health checks: their logins do not wait, and a wrong password of theirs "
        "is refused at once.",
    ),
]


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Sizes in bytes, durations in seconds."""

    listen: str
    port: int
    ssl_cert_file: str
    ssl_key_file: str
    allow_plain_http: bool
    public_name: str
    public_endpoint: str
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    max_connections: int
    max_connections_per_peer: int
    max_head_bytes: int
    head_timeout: float
    body_timeout: float
    max_limit: int
    max_body_bytes: int
    max_image_bytes: int
    token_lifetime: float
    trusted: tuple[Network, ...] = ()


def settings(group: cfg.ConfigOpts.GroupAttr) -> ApiSettings:
    """The frozen settings of the group.  Raises ValueError in one sentence."""
    values = {opt.name: group[opt.name] for opt in OPTIONS}
    for name in ("allowed_hosts", "trusted_proxies"):
        values[name] = tuple(values[name])
    for proxy in values["trusted_proxies"]:
        ipaddress.ip_network(proxy, strict=False)
    values["public_endpoint"] = _endpoint(group.public_endpoint)
    values["trusted"] = tuple(_network(text) for text in group.trusted)
    return ApiSettings(**values)


def _endpoint(text: str) -> str:
    """Without a slash at the end.  Raises ValueError."""
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError(f"[api] public_endpoint must be a URL such as https://cloud.example.org, not {text}.")
    if parts.username is not None:
        raise ValueError("[api] public_endpoint must not contain a user name or a password.")
    return text.rstrip("/")


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as exc:
        raise ValueError(f"[api] trusted: {exc}.") from exc
