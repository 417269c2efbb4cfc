# SPDX-License-Identifier: Apache-2.0
"""The guest's initial RAM disk: busybox, dropbear, our /init, and the kernel modules it loads, as a cpio archive.

Written here instead of by cpio, depmod and fakeroot: the archive needs root's ownership without root, the
same bytes every time, and modules in the order in which they can be loaded.
"""

import gzip
import lzma
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.common import LabError, run

# Loaded by /init in this order. What a kernel has built in or does not have is left out.
GROUPS: Mapping[str, Sequence[str]] = {
    "disk": ("virtio_pci", "virtio_blk", "isofs"),
    "cdrom": ("ata_piix", "ahci", "virtio_scsi", "sr_mod", "sd_mod"),
    "vfat": ("nls_ascii", "nls_utf8", "nls_cp437", "nls_iso8859_1", "vfat"),
    "power": ("button", "evdev"),
    "network": ("virtio_net",),
    "extra": ("virtio_rng", "virtio_balloon", "virtio_console"),
}


class Archive:
    """A cpio archive in the "newc" format that the kernel unpacks: everything is root's and of time 0."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode: int = 0

    def directory(self, name: str) -> None:
        """Add a directory; parents first."""
        self._add(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(name, stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._add(name, stat.S_IFCHR | 0o600, b"", major, minor)

    def compressed(self) -> bytes:
        """The whole archive, gzipped, with no time stamp in it."""
        self._add("TRAILER!!!", 0, b"")
        return gzip.compress(b"".join(self._parts), compresslevel=9, mtime=0)

    def _add(self, name: str, mode: int, content: bytes, major: int = 0, minor: int = 0) -> None:
        self._inode += 1
        path = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        self._parts += [head, _padding(head), content, _padding(content)]


def _padding(content: bytes) -> bytes:
    return b"\0" * (-len(content) % 4)


# What the ssh server wants to know of users. Nobody has a password, and it takes none.
ETC: Mapping[str, str] = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "group": "root:x:0:\n",
    "shells": "/bin/sh\n",
}


def make(kernel_root: Path, busybox: Path, dropbear: Path, scripts: Path) -> bytes:
    """The finished initrd. `kernel_root` is where the kernel's packages were unpacked."""
    archive = Archive()
    for name in ("bin", "config", "dev", "etc", "etc/dropbear", "lib", "lib/modules", "proc", "root", "sys", "tmp"):
        archive.directory(name)
    for name, text in ETC.items():
        archive.file(f"etc/{name}", text.encode())
    # The kernel opens it for /init before devtmpfs is mounted.
    archive.device("dev/console", 5, 1)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in run([busybox, "--list"], timeout=10).decode().split():
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    archive.file("init", (scripts / "init").read_bytes(), 0o755)
    archive.file("bin/on-dhcp", (scripts / "on-dhcp").read_bytes(), 0o755)
    _add_program(archive, "bin/dropbear", dropbear)
    _add_modules(archive, kernel_root)
    return archive.compressed()


def _add_program(archive: Archive, name: str, program: Path) -> None:
    """A dynamic program with its loader and libraries, each where the program looks for it."""
    archive.file(name, program.read_bytes(), 0o755)
    made = {"lib"}
    for path in sorted(re.findall(r"(/[^ ]+) \(0x", run(["ldd", program], timeout=10).decode())):
        for parent in reversed(Path(path[1:]).parents[:-1]):
            if str(parent) not in made:
                archive.directory(str(parent))
                made.add(str(parent))
        archive.file(path[1:], Path(path).read_bytes(), 0o755)


def _add_modules(archive: Archive, kernel_root: Path) -> None:
    files = {path.name.split(".ko")[0].replace("-", "_"): path for path in sorted(kernel_root.glob("**/*.ko*"))}
    contents: dict[str, bytes] = {}
    for group, wanted in GROUPS.items():
        order: list[str] = []
        for module in wanted:
            _resolve(module, files, contents, order)
        archive.file(f"lib/modules/{group}.list", "".join(f"{m}.ko\n" for m in order).encode())
    for name, content in sorted(contents.items()):
        archive.file(f"lib/modules/{name}.ko", content)


def _resolve(module: str, files: Mapping[str, Path], contents: dict[str, bytes], order: list[str]) -> None:
    """Put what a module depends on, then the module itself, at the end of `order`."""
    path = files.get(module)
    if path is None or module in order:
        return
    if module not in contents:
        contents[module] = _plain(path)
    found = re.search(rb"\0depends=([^\0]*)\0", contents[module])
    for other in (found[1].decode() if found else "").split(","):
        _resolve(other.replace("-", "_"), files, contents, order)
    order.append(module)


def _plain(path: Path) -> bytes:
    """A module as busybox can load it: distributions compress them in different ways."""
    if path.suffix == ".ko":
        return path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return run(["zstd", "-dc", path], timeout=30)
    raise LabError(f"The kernel module {path.name} is compressed in a way that is not known here.")
