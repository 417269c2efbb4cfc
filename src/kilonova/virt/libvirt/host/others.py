# SPDX-License-Identifier: Apache-2.0
"""Guests on this libvirt of other owners: other tools, or another Kilonova.  They use memory of the host."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import libvirt
import structlog

from kilonova.virt.libvirt.domain import active, guest

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """The memory that running guests of other owners may use, in MiB, and their number."""

    memory_mib: int = 0
    guests: int = 0


def read(conn: libvirt.virConnect, root: Path) -> Taken:
    """Counts running domains without this service's metadata, and those without a disk under `root` (another
    Kilonova's).  One native call, which needs no answer of a guest's QEMU."""
    found: list[int] = []
    for domain in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            if not _is_own(domain, root):
                found.append(int(domain.info()[1]) // 1024)
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return Taken(sum(found), len(found))


def _is_own(domain: libvirt.virDomain, root: Path) -> bool:
    definition = active.of(domain) if guest.ownership(domain).ours else None
    disks = definition.disks if definition is not None else ()
    below = Path(os.path.realpath(root))
    paths = [Path(os.path.realpath(layer.path)) for disk in disks for layer in disk.layers]
    return any(below in path.parents for path in paths)


Run = Callable[[Callable[[libvirt.virConnect], Taken]], Awaitable[Taken]]


class Others:
    """`root` is where this service's guests have their disks."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._last = Taken()

    async def memory_mib(self, run: Run, *, stale: bool) -> int:
        """Of others' running guests; with `stale` the last result, because a guest that is being destroyed delays
        libvirt."""
        if not stale:
            before, self._last = self._last, await run(partial(read, root=self._root))
            if self._last != before:
                log.warning(
                    "guests of others on this libvirt: their memory is reserved",
                    guests=self._last.guests,
                    memory_mib=self._last.memory_mib,
                )
        return self._last.memory_mib
