# SPDX-License-Identifier: Apache-2.0
"""A record of orphans that earlier looks have found: what is deleted must have been an orphan in two looks."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from kilonova.base.clock import Clock
from kilonova.base.files import replace_file
from kilonova.base.threads import Workers

log = structlog.get_logger(__name__)

FILE = "orphans.json"
"""The name of the record in a directory."""


class Sightings:
    """When each orphan was found first, in a file: the record survives the process.

    An orphan that a look does not find is forgotten.  Without a readable file nothing was found before: a lost record
    delays a deletion and never causes one.
    """

    def __init__(self, path: Path, workers: Workers, clock: Clock) -> None:
        self._path, self._workers, self._clock = path, workers, clock

    async def note(self, found: Collection[str]) -> Mapping[str, float]:
        """Record a look that has found these orphans.  Returns for each of them the seconds since it was found first.
        Raises OSError."""
        now = self._clock.now().timestamp()
        return await self._workers.run(_note, self._path, sorted(found), now)


def _note(path: Path, found: Collection[str], now: float) -> dict[str, float]:
    before = _read(path)
    first = {name: min(now, before.get(name, now)) for name in found}
    if first != before:
        replace_file(path, json.dumps(first, indent=1).encode(), directory_mode=0o711)
    return {name: now - at for name, at in first.items()}


def _read(path: Path) -> dict[str, float]:
    try:
        return {str(name): float(at) for name, at in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as exc:
        log.warning("the record of earlier looks cannot be read", path=str(path), why=repr(exc))
        return {}
