# SPDX-License-Identifier: Apache-2.0
"""Who this host is: an id in its state directory, and the machine's boot id."""

import uuid
from pathlib import Path

from kilonova.base.clock import Clock
from kilonova.base.errors import StateError
from kilonova.compute.session import Identity
from kilonova.objects.ids import HostName

FILE = "compute_id"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_identity(state_path: Path, host: str, clock: Clock) -> Identity:
    """Read the host's id, or give it one at its first start.  Raises StateError in one sentence."""
    path = state_path / FILE
    try:
        if not path.exists():
            path.write_text(clock.new_id() + "\n")
        node_id = str(uuid.UUID(path.read_text().strip()))
    except OSError as exc:
        raise StateError(f"The identity file {path} cannot be used: {exc.strerror}.") from exc
    except ValueError as exc:
        raise StateError(f"The identity file {path} holds no UUID; it must hold this host's own.") from exc
    boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"
    return Identity(HostName(host), node_id, boot_id, clock.new_id())
