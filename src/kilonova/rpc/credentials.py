# SPDX-License-Identifier: Apache-2.0
"""The file that lets one process use the bus: the addresses of the servers, the CA, a JWT and its secret key.

A host needs nothing else.  The identity is `<role>-<name>`; the JWT restricts it to its own subjects and its own
inboxes.
"""

import json
import stat
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kilonova.base.errors import ConfigError
from kilonova.base.files import PASSABLE, open_plain, replace_file
from kilonova.rpc import nats_jwt

FORMAT = 1
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """`servers` are URLs, `ca` is a certificate in PEM (empty: the CAs of the system)."""

    identity: str
    servers: tuple[str, ...]
    jwt: str = field(repr=False)
    seed: str = field(repr=False)
    ca: str = field(default="", repr=False)
    kilonova_credentials: int = FORMAT

    @property
    def expires_at(self) -> datetime | None:
        """None: never."""
        return nats_jwt.expiry_of(self.jwt)


_FORM = TypeAdapter(Credentials)


def identity(role: str, name: str) -> str:
    """The name of a process on the bus.  No role is the prefix of another one, so that two never share inboxes."""
    return f"{role}-{name}"


def read(path: Path) -> Credentials:
    """Raises ConfigError in one sentence, without a secret, for a file that is missing, readable by everyone, or not a
    file of credentials."""
    try:
        with open_plain(path) as file:
            raw = file.read(MOST_BYTES)
        mode = path.stat().st_mode
    except OSError as exc:
        raise ConfigError(f"The credentials file {path} cannot be read: {exc.strerror}.") from exc
    if mode & stat.S_IRWXO:
        raise ConfigError(f"The credentials file {path} is accessible to every user of this machine: chmod 600 {path}.")
    try:
        found = _FORM.validate_json(raw)
        nats_jwt.public_key(found.seed)
        nats_jwt.expiry_of(found.jwt)
    except (ValidationError, ValueError):
        raise ConfigError(
            f"{path} is not a credentials file of Kilonova, or it is damaged: make one with `kilonova host enroll` or "
            "`kilonova bus credentials`."
        ) from None
    if found.kilonova_credentials != FORMAT:
        raise ConfigError(f"{path} has format {found.kilonova_credentials}; this version reads format {FORMAT}.")
    return found


def write(path: Path, credentials: Credentials) -> None:
    """Replace the file atomically.  Only its owner can read it.  Raises OSError."""
    fields: dict[str, Any] = asdict(credentials)
    replace_file(path, json.dumps(fields, indent=1).encode() + b"\n", directory_mode=PASSABLE)
