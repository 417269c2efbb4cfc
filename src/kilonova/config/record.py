# SPDX-License-Identifier: Apache-2.0
"""[record]: the record of a conductor of a fleet (docs/replay.md)."""

from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

GROUP = "record"
OPTIONS = [
    cfg.StrOpt(
        "file",
        default="",
        help="File into which kilonova-conductor records all that it receives, for kilonova replay; empty: none. The "
        "file of the process before becomes FILE.1. It has data of users, password hashes and keys, and only the "
        "service's user can read it.",
    ),
    cfg.IntOpt("max_mib", default=256, min=1, help="Size at which the record ends; the process continues."),
]


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """`file` is None when nothing is recorded."""

    file: Path | None
    max_mib: int


def settings(group: cfg.ConfigOpts.GroupAttr) -> RecordSettings:
    """The frozen settings of the group."""
    return RecordSettings(Path(group.file).expanduser() if group.file else None, group.max_mib)
