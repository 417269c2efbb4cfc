# SPDX-License-Identifier: Apache-2.0
"""A bootable guest of about 16 MB: FAT, syslinux, the distribution's cloud kernel, an initrd of busybox and dropbear.

Needs neither root nor a loop device. The kernel is downloaded and unpacked, never installed.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab.common import GUEST, LabError, run
from lab.initrd import make as make_initrd

SCRIPTS = Path(__file__).resolve().parent / "guest"
IMAGE = GUEST / "kilonova-guest.qcow2"
KERNEL = GUEST / "vmlinuz"
INITRD = GUEST / "initrd.gz"

# Packages whose first dependency is a kernel for virtual machines, the smallest first: Debian's, Ubuntu's.
KERNEL_PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64", "linux-image-generic")


def build(target: Path = GUEST) -> None:
    """Make `target` with kilonova-guest.qcow2, vmlinuz and initrd.gz; an older one is replaced at the end.

    Raises LabError; nothing half-made is left in `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="guest-", dir=target.parent) as scratch_name:
        scratch = Path(scratch_name)
        ready = scratch / "ready"
        ready.mkdir()
        unpacked = _unpack_kernel(scratch)
        kernels = sorted(unpacked.glob("boot/vmlinuz-*"))
        if not kernels:
            raise LabError("The distribution's kernel package has no kernel in it.")
        shutil.copyfile(kernels[-1], ready / "vmlinuz")
        (ready / "initrd.gz").write_bytes(make_initrd(unpacked, _busybox(), _dropbear(), SCRIPTS))
        disk = _make_disk(scratch, ready)
        run(
            ["qemu-img", "convert", "-f", "raw", "-c", "-O", "qcow2", disk, ready / "kilonova-guest.qcow2"],
            timeout=120,
        )
        shutil.rmtree(target, ignore_errors=True)
        ready.rename(target)
        target.chmod(0o755)


def _busybox() -> Path:
    for candidate in ("/bin/busybox", "/usr/bin/busybox"):
        path = Path(candidate)
        # A dynamic one names its loader right behind the headers, and would not start in the guest.
        if path.exists() and b"/ld-linux" not in path.read_bytes()[:4096]:
            return path
    raise LabError("A static busybox is not installed.", "apt-get install busybox-static")


def _dropbear() -> Path:
    path = Path("/usr/sbin/dropbear")
    if not path.exists():
        raise LabError("The ssh server for the guest is not installed.", "apt-get install dropbear-bin")
    return path


def _unpack_kernel(scratch: Path) -> Path:
    downloads = scratch / "downloads"
    downloads.mkdir()
    try:
        _download(downloads)
    except LabError:
        # The usual reason is a package index from before the last security update.
        _update_index()
        _download(downloads)
    unpacked = scratch / "kernel"
    for package in sorted(downloads.glob("*.deb")):
        _ = run(["dpkg", "-x", package, unpacked], timeout=120)
        package.unlink()
    return unpacked


def _download(directory: Path) -> None:
    packages = _kernel_packages()
    # As root apt wants to download as another user, who cannot write here, and says so each time.
    options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    try:
        _ = run(["apt-get", *options, "download", *packages], timeout=900, cwd=directory)
    except LabError as error:
        sentence = f"The guest's kernel ({packages[0]}) could not be downloaded: {error.sentence}"
        raise LabError(sentence, "apt-get update") from None


def _update_index() -> None:
    words = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "update"]
    # Where it is not allowed, the second attempt says what is wrong.
    with contextlib.suppress(LabError):
        _ = run(words if os.geteuid() == 0 else ["sudo", "-n", *words], timeout=300)


def _kernel_packages() -> list[str]:
    """The kernel's package and, where the distribution keeps them apart, that of its modules."""
    for name in KERNEL_PACKAGES:
        try:
            said = run(["apt-cache", "depends", "--no-recommends", "--no-suggests", name], timeout=60).decode()
        except LabError:
            # One distribution does not know the other's names.
            continue
        for line in said.splitlines():
            word, _, package = line.strip().partition(": ")
            if word == "Depends" and package.startswith("linux-image-") and package[12:13].isdigit():
                modules = package.replace("linux-image-", "linux-modules-", 1)
                known = run(["apt-cache", "pkgnames", modules], timeout=60).decode().split()
                return [package, modules] if modules in known else [package]
    raise LabError("The package index knows no kernel for virtual machines.", "apt-get update")


def _make_disk(scratch: Path, ready: Path) -> Path:
    """A FAT file system, without a partition table, that a PC's firmware boots."""
    disk = scratch / "disk.raw"
    content = sum((ready / name).stat().st_size for name in ("vmlinuz", "initrd.gz"))
    megabytes = content // 2**20 + 3
    disk.write_bytes(b"")
    os.truncate(disk, megabytes * 2**20)
    heads, sectors = 16, 32
    cylinders = megabytes * 2**20 // (512 * heads * sectors)
    env = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": "0"}
    geometry = ["-t", str(cylinders), "-h", str(heads), "-n", str(sectors), "-N", "4b4e4f56", "-c", "8"]
    run(["mformat", "-i", disk, *geometry, "::"], timeout=30, env=env)
    files = [ready / "vmlinuz", ready / "initrd.gz", SCRIPTS / "syslinux.cfg"]
    run(["mcopy", "-i", disk, *files, "::"], timeout=60, env=env)
    run(["syslinux", "--install", disk], timeout=60, env=env)
    return disk


def main() -> int:
    """Build the image where the demo and the tests look for it."""
    try:
        build()
    except LabError as error:
        print(error.sentence + (f" Cure: {error.cure}" if error.cure else ""), file=sys.stderr)
        return 1
    print(IMAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
