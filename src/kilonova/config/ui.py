# SPDX-License-Identifier: Apache-2.0
"""[ui]: the web page."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "ui"
OPTIONS = [
    cfg.BoolOpt("enabled", default=True, help="Serve the web page at /ui/."),
    cfg.IntOpt("max_streams", default=1000, min=1, help="Event streams of open pages, in one API process."),
    cfg.IntOpt("max_streams_per_user", default=64, min=1, help="Of these, the streams of one user."),
]


@dataclass(frozen=True, slots=True)
class UiSettings:
    """Numbers of streams."""

    enabled: bool = True
    max_streams: int = 1000
    max_streams_per_user: int = 64


def settings(group: cfg.ConfigOpts.GroupAttr) -> UiSettings:
    """The frozen settings of the group."""
    return UiSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
