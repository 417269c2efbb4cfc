# SPDX-License-Identifier: Apache-2.0
"""[api]: where the HTTP API listens and what it allows."""

import ipaddress
from dataclasses import dataclass

from oslo_config import cfg

GROUP = "api"
OPTIONS = [
    cfg.HostAddressOpt("listen", default="127.0.0.1", help="Address to listen on."),
    cfg.PortOpt("port", default=8774, help="Port to listen on; 0 takes a free one."),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Longest page of a list."),
    cfg.IntOpt("max_body_bytes", default=114688, min=1024, help="Largest request body, image uploads apart."),
    cfg.IntOpt("max_image_bytes", default=1 << 36, min=1, help="Largest image upload."),
    cfg.FloatOpt("token_lifetime", default=3600.0, min=1, help="Seconds that a token is good for."),
    cfg.ListOpt(
        "trusted",
        default=[],
        help="Addresses and networks (CIDR) of health checks and the like: their log-ins wait for nobody else's, and "
        "a wrong password of theirs is answered at once.",
    ),
]


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Sizes in bytes, durations in seconds."""

    listen: str
    port: int
    max_limit: int
    max_body_bytes: int
    max_image_bytes: int
    token_lifetime: float
    trusted: tuple[Network, ...] = ()


def settings(group: cfg.ConfigOpts.GroupAttr) -> ApiSettings:
    """The frozen settings of the group.  Raises ValueError in one sentence."""
    values = {opt.name: group[opt.name] for opt in OPTIONS}
    values["trusted"] = tuple(_network(text) for text in group.trusted)
    return ApiSettings(**values)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as exc:
        raise ValueError(f"[api] trusted: {exc}.") from exc
