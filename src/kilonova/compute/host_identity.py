# SPDX-License-Identifier: Apache-2.0
"""The identity of this host: the identity file in its state directory, and the machine's boot id.

The file holds the node id together with the host's name, so that a renamed host or a copied state directory is found
before anything is done under another host's name. The boot id and the lock file of the state directory (see
kilonova.cmd.common) distinguish a copy with the same name on another machine or in another directory.
"""

import json
import uuid
from pathlib import Path
from typing import Any, cast

from kilonova.base.clock import Clock
from kilonova.base.errors import StateError
from kilonova.base.files import replace_file
from kilonova.compute.session import HostIdentity
from kilonova.objects.ids import HostName

FILE = "compute_id"
LOCK = "lock"
"""Each process that uses the state directory keeps this file open, and only one of them is a compute process."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = "unknown"


def read_identity(state_path: Path, host: str, clock: Clock, boot_id_file: Path = BOOT_ID) -> HostIdentity:
    """Read the host's identity, or create one at its first start.

    A file of an older version (the id alone) is completed with the name.  Raises StateError in one sentence when the
    file cannot be used or is another host's.
    """
    path = state_path / FILE
    try:
        text = path.read_text() if path.exists() else clock.new_id()
        node_id, owner = parse(path, text)
        if owner is None:
            _write(path, node_id, host)
    except OSError as exc:
        raise StateError(f"The identity file {path} cannot be used: {exc.strerror}.") from exc
    if owner is not None and owner != host:
        raise StateError(
            f"The state directory {state_path} belongs to host '{owner}' and this is host '{host}': set host = {owner} "
            f"if the machine was renamed, or remove {path} and the instances here if the directory was copied."
        )
    boot_id = boot_id_file.read_text().strip() if boot_id_file.exists() else UNKNOWN_BOOT
    return HostIdentity(HostName(host), node_id, boot_id, clock.new_id(), state_id(state_path), clock.monotonic())


def state_id(state_path: Path) -> str:
    """The state directory as this boot of the machine knows it, by its lock file, whose inode no other file has while a
    process holds it; empty when there is none."""
    try:
        found = (state_path / LOCK).stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def parse(path: Path, text: str) -> tuple[str, str | None]:
    """Node id and host name; None where the file has no name yet.  Raises StateError."""
    try:
        if not text.lstrip().startswith("{"):
            return str(uuid.UUID(text.strip())), None
        found = cast("dict[str, Any]", json.loads(text))
        return str(uuid.UUID(found["node_id"])), str(found["host"])
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise StateError(
            f"The identity file {path} holds no node id and host name; restore it from a backup of this host."
        ) from exc


def _write(path: Path, node_id: str, host: str) -> None:
    text = json.dumps({"node_id": node_id, "host": host}) + "\n"
    replace_file(path, text.encode(), mode=0o644)
