# SPDX-License-Identifier: Apache-2.0
"""[vnc]: the screens of guests."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "vnc"
OPTIONS = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        help="Give guests a screen and a tablet for VNC consoles; no port and no socket listens for them. A guest gets "
        "them with its next start.",
    ),
]


@dataclass(frozen=True, slots=True)
class VncSettings:
    """`enabled`: guests that are defined from now on have a screen."""

    enabled: bool = True


def settings(group: cfg.ConfigOpts.GroupAttr) -> VncSettings:
    """The frozen settings of the group."""
    return VncSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
