# SPDX-License-Identifier: Apache-2.0
"""Processes of this host, from /proc: the holder of a state directory, its addresses, and the QEMU processes of guests.

The module only reads: it takes no lock and sends no signal.  Sources: proc(5), and tcp_states.h of Linux for the
number of LISTEN.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

STOPPED = ("T", "t")
_LISTEN = "0A"
_SOCKET = "socket:["


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP address of a process."""

    address: str
    port: int

    def text(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has locked a state directory.  `stopped`: by a signal or a debugger."""

    pid: int
    stopped: bool
    listens: tuple[Listener, ...]


def is_stopped(proc: Path, pid: int) -> bool:
    """Whether the process is stopped; False also when it has ended."""
    try:
        state = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in STOPPED


def holders(proc: Path, state: Path, name: str = "lock") -> tuple[Holder, ...] | None:
    """The processes that have a lock of the state directory open: `lock` is that of all, `compute.lock` that of the
    process of a host.  None when that is unknown, because processes of other users are not readable."""
    lock = state / name
    try:
        owner = lock.stat().st_uid
    except OSError:
        return ()
    if os.geteuid() not in (0, owner):
        return None
    wanted, found = os.path.realpath(lock), list[Holder]()
    for pid in _pids(proc):
        links = list(_links(proc, pid))
        if wanted in links:
            inodes = {link[len(_SOCKET) : -1] for link in links if link.startswith(_SOCKET)}
            found.append(Holder(pid, is_stopped(proc, pid), tuple(_listening(proc / str(pid), inodes))))
    return tuple(found)


def _pids(proc: Path) -> list[int]:
    return [int(name) for name in os.listdir(proc) if name.isdigit()]


def _links(proc: Path, pid: int) -> Iterator[str]:
    folder = proc / str(pid) / "fd"
    with suppress(OSError):  # it has ended, or is not readable
        for name in os.listdir(folder):
            with suppress(OSError):
                yield os.readlink(folder / name)


def _listening(process: Path, inodes: Collection[str]) -> Iterator[Listener]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (process / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and fields[9] in inodes:
                    yield _address(fields[1])


def _address(text: str) -> Listener:
    """Parse `0100007F:2246`: 32-bit words in the byte order of the host, and the port."""
    raw, _, port = text.partition(":")
    words = [int(raw[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(raw), 8)]
    return Listener(str(ip_address(b"".join(words))), int(port, 16))


def qemu_processes(proc: Path, wanted: Collection[str]) -> Mapping[str, int]:
    """The QEMU process of each guest in `wanted` that has one, by the UUID in its arguments.  All users can read them,
    and libvirt is not necessary."""
    found: dict[str, int] = {}
    for pid in _pids(proc):
        with suppress(OSError):
            argv = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "qemu" in os.path.basename(argv[0]) and "-uuid" in argv[:-1]:
                uuid = argv[argv.index("-uuid") + 1].lower()
                if uuid in wanted:
                    found[uuid] = pid
    return found
