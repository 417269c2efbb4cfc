# SPDX-License-Identifier: Apache-2.0
"""Guests on this libvirt that are not this service's: other tools', or another Kilonova's.  Their memory is taken."""

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
    """What the running guests of others may use, in MiB, and how many they are."""

    memory_mib: int = 0
    guests: int = 0


def read(conn: libvirt.virConnect, root: Path) -> Taken:
    """Counts running domains that do not bear our metadata, or have no disk under `root`, as another Kilonova's.  One
    hop; asks no guest's QEMU."""
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

    async def memory_mib(self, run: Run, *, held_up: bool) -> int:
        """Of others' running guests; what was read last while libvirt is `held_up` by a guest that is destroyed."""
        if not held_up:
            before, self._last = self._last, await run(partial(read, root=self._root))
            if self._last != before:
                log.warning(
                    "guests of others on this libvirt: their memory is reserved",
                    guests=self._last.guests,
                    memory_mib=self._last.memory_mib,
                )
        return self._last.memory_mib
