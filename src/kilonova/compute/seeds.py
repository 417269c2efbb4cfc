# SPDX-License-Identifier: Apache-2.0
"""Seeds for guests' random numbers. Nova draws a seed for each config drive. Here a replayed step must make the same
drive again, because the guest may already use it. So a seed is derived from a secret of the host and from the action,
and cannot be computed without the secret.
"""

import hashlib
from pathlib import Path

from kilonova.base.clock import Clock
from kilonova.base.errors import StateError
from kilonova.base.files import PASSABLE, replace_file
from kilonova.objects.ids import ActionId

FILE = "seed.key"
SECRET_BYTES = 48
SEED_BYTES = 512
"""The size of Nova's seeds."""


def read_seed_key(state_path: Path, clock: Clock) -> bytes:
    """The host's secret; made at its first start, readable only by the service. Blocks; raises StateError."""
    path = state_path / FILE
    try:
        if not path.exists():
            replace_file(path, clock.new_secret(SECRET_BYTES).encode(), directory_mode=PASSABLE)
        return path.read_bytes()
    except OSError as exc:
        raise StateError(f"The seed key {path} cannot be used: {exc.strerror}.") from exc


def seed_of(key: bytes, action: ActionId) -> bytes:
    """The seed of an action: the same at each replay, different for each action."""
    return hashlib.shake_256(key + b"\0" + action.encode()).digest(SEED_BYTES)
