# SPDX-License-Identifier: Apache-2.0
"""A process on a machine that seems to have booted: its boot id is that of a file."""

import uuid
from pathlib import Path

from kilonova.compute import host_identity


def new_boot(path: Path) -> None:
    """The machine of the processes that use the file has booted."""
    path.write_text(f"{uuid.uuid4()}\n")


def follow_boot(path: Path) -> None:
    """The boot id of this process is that of the file."""
    host_identity.read_identity.__defaults__ = (path,)
