# SPDX-License-Identifier: Apache-2.0
"""The page's files in memory, each with its entity tag.

They are read at the first request, and each is compressed at its own first request: a service whose page nobody opens
should not pay for it, nor a first load for all files (measured: 11 ms to read, 260 ms to compress).  A digest of all
files is their version.  `index.html` names files as `/ui/static/...`; here each of these names receives the
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
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file.  `is_packed`: it is compressed already."""

    content_type: str
    body: bytes
    etag: str
    is_packed: bool


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
        self._gzipped: dict[str, bytes] = {}
        self._reading = asyncio.Lock()

    async def page(self) -> Page:
        """The files.  Raises OSError if they cannot be read; the next call tries again."""
        async with self._reading:
            if self._page is None:
                self._page = await self._workers.run(partial(read, self._root))
            return self._page

    async def gzipped(self, asset: Asset) -> bytes | None:
        """The file compressed; None where that saves nothing."""
        if asset.is_packed:
            return None
        found = self._gzipped.get(asset.etag)
        if found is None:
            found = self._gzipped[asset.etag] = await self._workers.run(_gzip, asset.body)
        return found if len(found) < len(asset.body) else None


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
    return Asset(_TYPES.get(suffix, _TEXT), body, hashlib.sha256(body).hexdigest()[:32], suffix in _PACKED)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def _script_hashes(index: bytes) -> tuple[str, ...]:
    digests = (hashlib.sha256(script).digest() for script in _IMPORT_MAP.findall(index))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
