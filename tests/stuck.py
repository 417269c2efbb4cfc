# SPDX-License-Identifier: Apache-2.0
"""What a libvirtd leaves behind that is ended between its note of a guest's start and QEMU's first process.

The note is made by hand: the status file of a guest that runs, with the state, the missing process and the open job
that it has at that moment.  Found by `make faults`.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.daemon import Daemon

_JOB = "<job type='none' async='start' phase='none' flags='0x0'/>\n</domstatus>"
_STATUS = "<domstatus state='paused' reason='starting up' pid='0'>"


@dataclass(frozen=True, slots=True)
class Note:
    """A guest's note in the run directory of a private session daemon."""

    path: Path
    text: str
    owner: tuple[int, int]

    @classmethod
    def of(cls, daemon: Daemon, instance_id: str) -> Self:
        """Of a guest that runs now."""
        path = daemon.directory / f"run/libvirt/qemu/run/kilonova-{instance_id}.xml"
        seen = path.stat()
        return cls(path, path.read_text(), (seen.st_uid, seen.st_gid))

    def leave(self) -> None:
        """As if the daemon, which must be down, had been ended in the middle of another start of that guest."""
        self.path.write_text(re.sub(r"<domstatus [^>]*>", _STATUS, self.text).replace("</domstatus>", _JOB))
        os.chown(self.path, *self.owner)
