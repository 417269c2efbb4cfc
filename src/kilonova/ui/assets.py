# SPDX-License-Identifier: Apache-2.0
"""The page's files in memory, each with its entity tag and its compressed form.

They are read once, at the first request, because a service whose page nobody opens should not pay for it.  A digest of
all files is their version.  `index.html` names files as `/ui/static/...`; here each of these names receives the
version, so that a browser may keep a file for as long as it likes.  Modules import each other by relative names, and so
they stay below the version.
"""

import asyncio
import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kilonova.base.threads import Workers

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
URL = "/ui/static/"
VERSION_DIGITS = 16

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_TEXT = "text/plain; charset=utf-8"
"""The type of every other file: licences."""
_PACKED = frozenset({".ico", ".png", ".woff2"})
"""Compressed already."""
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file.  `gzipped` is None where compression saves nothing."""

    content_type: str
    body: bytes
    etag: str
    gzipped: bytes | None


@dataclass(frozen=True, slots=True)
class Page:
    """All files of one version, by their path below `static`.  `script_hashes` has a CSP source for each inline
    element of the index: its import map."""

    version: str
    index: Asset
    script_hashes: tuple[str, ...]
    files: Mapping[str, Asset]


class Assets:
    """Reads the directory in a worker; one per process."""

    def __init__(self, workers: Workers, root: Path = STATIC) -> None:
        self._workers, self._root = workers, root
        self._page: Page | None = None
        self._reading = asyncio.Lock()

    async def page(self) -> Page:
        """The files.  Raises OSError if they cannot be read; the next call tries again."""
        async with self._reading:
            if self._page is None:
                self._page = await self._workers.run(partial(read, self._root))
            return self._page


def read(root: Path) -> Page:
    """All files below a directory.  Blocks.  Raises OSError."""
    bodies = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    digest = hashlib.sha256()
    for name, body in bodies.items():
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    version = digest.hexdigest()[:VERSION_DIGITS]
    index = bodies.pop(INDEX).replace(URL.encode(), f"{URL}{version}/".encode())
    files = {name: _asset(name, body) for name, body in bodies.items()}
    return Page(version, _asset(INDEX, index), _script_hashes(index), files)


def _asset(name: str, body: bytes) -> Asset:
    suffix = Path(name).suffix
    packed = body if suffix in _PACKED else gzip.compress(body, mtime=0)
    etag = hashlib.sha256(body).hexdigest()[:32]
    return Asset(_TYPES.get(suffix, _TEXT), body, etag, packed if len(packed) < len(body) else None)


def _script_hashes(index: bytes) -> tuple[str, ...]:
    digests = (hashlib.sha256(script).digest() for script in _IMPORT_MAP.findall(index))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
