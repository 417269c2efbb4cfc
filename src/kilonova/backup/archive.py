# SPDX-License-Identifier: Apache-2.0
"""The form of a backup: a tar of regular files, a header first, a manifest with all checksums last.

kilonova-backup.json    form, versions, when and where it was made, whether images are in it
kilonova.db             the database, one moment of it
compute_id, token.key   who this host is, and what signs tokens
images/<id>             images' bytes
manifest.json           size and SHA-256 of each file before it: without it the backup is not whole
"""

import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from kilonova.compute import host_identity
from kilonova.db import location

FORM = 1
HEADER, MANIFEST = "kilonova-backup.json", "manifest.json"
DATABASE, TOKEN_KEY, IMAGES = location.FILE, "token.key", "images"
KEYS = (host_identity.FILE, TOKEN_KEY)
CHUNK_BYTES = 1 << 20
MOST_JSON_BYTES = 64 << 20

Progress = Callable[[int], None]
"""Receives the number of bytes of each piece that was processed."""


@dataclass(frozen=True, slots=True)
class Header:
    """`revision` is the revision of the database; `created_at` is in ISO 8601, UTC."""

    form: int
    version: str
    revision: str
    created_at: str
    host: str
    images: bool


class Hashed:
    """A reader that counts and hashes (SHA-256) the bytes that pass through it."""

    def __init__(self, source: IO[bytes], progress: Progress) -> None:
        self._source, self._progress = source, progress
        self._digest, self.size = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        self.size += len(data)
        self._progress(len(data))
        return data

    def facts(self) -> dict[str, Any]:
        """The facts in the form of the manifest."""
        return {"size": self.size, "sha256": self._digest.hexdigest()}


class Writer:
    """Adds files to a tar, and the manifest at its end."""

    def __init__(self, tar: tarfile.TarFile, header: Header, mtime_s: float, progress: Progress) -> None:
        self._tar, self._mtime_s, self._progress = tar, mtime_s, progress
        self._facts: dict[str, dict[str, Any]] = {}
        self._add(HEADER, _json(asdict(header)))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file.  Raises OSError: FileNotFoundError when it does not exist, and when it grows or shrinks during
        the copy."""
        with path.open("rb") as file:
            size = path.stat().st_size
            source = Hashed(file, self._progress)
            self._tar.addfile(self._info(name, size), source)  # type: ignore[arg-type]
        self._facts[name] = source.facts()

    def finish(self) -> None:
        """Add the manifest.  A file without a manifest is not a backup."""
        self._add(MANIFEST, _json({"files": self._facts}))

    def _add(self, name: str, data: bytes) -> None:
        self._tar.addfile(self._info(name, len(data)), BytesIO(data))

    def _info(self, name: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(self._mtime_s)
        return info


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
