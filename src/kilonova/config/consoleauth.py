# SPDX-License-Identifier: Apache-2.0
"""[consoleauth]: tokens that open a console."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "consoleauth"
OPTIONS = [
    cfg.FloatOpt("token_ttl", default=600.0, min=1, help="Seconds within which a console's URL must be opened."),
]


@dataclass(frozen=True, slots=True)
class ConsoleAuthSettings:
    """Durations in seconds."""

    token_ttl: float


def settings(group: cfg.ConfigOpts.GroupAttr) -> ConsoleAuthSettings:
    """The frozen settings of the group."""
    return ConsoleAuthSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
