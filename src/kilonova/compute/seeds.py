# SPDX-License-Identifier: Apache-2.0
"""Seeds for guests' random numbers.

Nova draws one for each config drive.  Here a step that is replayed must make the same drive again, for the guest may
run on it: so a seed is made of a secret of the host's own and of the action, and of nothing that anybody else knows.
"""

import hashlib
import os
from pathlib import Path

from kilonova.base.clock import Clock
from kilonova.base.errors import StateError
from kilonova.objects.ids import ActionId

FILE = "seed.key"
SECRET_BYTES = 48
SEED_BYTES = 512
"""As many as Nova gives."""


def read_seed_key(state_path: Path, clock: Clock) -> bytes:
    """The host's secret; made at its first start, readable by the service only.  Blocks; raises StateError."""
    path = state_path / FILE
    try:
        if not path.exists():
            state_path.mkdir(mode=0o711, parents=True, exist_ok=True)
            part = path.with_suffix(".new")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(clock.new_secret(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        return path.read_bytes()
    except OSError as exc:
        raise StateError(f"The seed key {path} cannot be used: {exc.strerror}.") from exc


def seed_of(key: bytes, action: ActionId) -> bytes:
    """The seed that belongs to an action: the same at each replay, another one for each action."""
    return hashlib.shake_256(key + b"\0" + action.encode()).digest(SEED_BYTES)
