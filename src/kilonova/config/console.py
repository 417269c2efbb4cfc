# SPDX-License-Identifier: Apache-2.0
"""[console]: the web pages that may open a console."""

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
]

_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Host names in lower case, without scheme and port; an IPv6 address without brackets."""

    allowed_origins: frozenset[str] = frozenset()


def settings(group: cfg.ConfigOpts.GroupAttr) -> ConsoleSettings:
    """The frozen settings of the group.  Raises ValueError for an invalid host name."""
    for name in group.allowed_origins:
        if _HOST_NAME.fullmatch(name) is None:
            raise ValueError(
                f"[console] allowed_origins has host names only, without scheme and port, and not {name!r}"
            )
    return ConsoleSettings(frozenset(name.lower() for name in group.allowed_origins))
