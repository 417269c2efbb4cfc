# SPDX-License-Identifier: Apache-2.0
"""[console]: the web pages that may open a console, and where a host of a fleet listens for them."""

import ipaddress
import re
from dataclasses import dataclass

from oslo_config import cfg

GROUP = "console"
OPTIONS = [
    cfg.ListOpt(
        "allowed_origins",
        default=[],
        help="Host names of other pages than this service's own that may open consoles, such as Horizon's. Their "
        "scheme is the service's own (https with https).",
    ),
    cfg.StrOpt(
        "listen",
        default="0.0.0.0:6084",
        help="In a fleet: address:port on which a host serves its guests' consoles to API processes, with TLS and a "
        "ticket for each session; port 0: any free one. The one box listens nowhere.",
    ),
    cfg.StrOpt(
        "address",
        default="",
        help="In a fleet: the address of this host for API processes; empty: the address in listen, or with "
        "0.0.0.0 and [::] the one from which this host reaches the bus.",
    ),
]

MOST_PORT = 65535
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Host names in lower case, without scheme and port; IPv6 addresses without brackets.  `address` empty: it depends
    on the bus."""

    allowed_origins: frozenset[str] = frozenset()
    listen: tuple[str, int] = ("0.0.0.0", 6084)
    address: str = ""


def settings(group: cfg.ConfigOpts.GroupAttr) -> ConsoleSettings:
    """The frozen settings of the group.  Raises ValueError for an invalid host name or address."""
    for name in group.allowed_origins:
        if _HOST_NAME.fullmatch(name) is None:
            raise ValueError(
                f"[console] allowed_origins has host names only, without scheme and port, and not {name!r}"
            )
    listen = _listen(group.listen)
    address = group.address.strip("[]") or ("" if ipaddress.ip_address(listen[0]).is_unspecified else listen[0])
    return ConsoleSettings(frozenset(name.lower() for name in group.allowed_origins), listen, address)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        if 0 <= int(port) <= MOST_PORT:
            return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError:
        pass
    raise ValueError(f"[console] listen is an IP address and a port (0.0.0.0:6084, [::]:6084), and not {text!r}")
