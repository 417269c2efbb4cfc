# SPDX-License-Identifier: Apache-2.0
"""An image that is the base of guests' disks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A checked image file on this host.  `disk_format` was declared and inspected; never guess it from the file.
    `virtual_size` is in bytes."""

    path: Path
    disk_format: str
    virtual_size: int
