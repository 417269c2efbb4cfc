# SPDX-License-Identifier: Apache-2.0
"""Checks of the files of the host: the state directory, disks, the identity, the token key."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from kilonova.base.errors import StateError
from kilonova.compute import host_identity
from kilonova.config.default import watermark_bytes
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.hypervisor import socket_path
from kilonova.doctor.subject import Subject, User, named_socket, ourselves, owner_of, qemu_user
from kilonova.identity.key_ring import MIN_SECRET_BYTES
from kilonova.virt.libvirt.disks.disks import LONGEST_SOCKET

GIB = 1 << 30
LOW_BYTES = 5 * GIB
FEW_INODES = 1000
SOCKET_BELOW = len("/12345678-1234-1234-1234-123456789012/agent.sock")
MONITOR_BELOW = len("/libvirt/qemu/lib/domain-1000-kilonova-0123456789a/monitor.sock")
"""The socket path of a session daemon, below the user's configuration directory."""
PASS = 1

FORGETFUL = ("tmpfs", "ramfs")
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "vboxsf", "fuse.sshfs")
LAYERED = ("overlay", "aufs")


def nearest(path: Path) -> Path:
    """The path itself, or the closest parent directory that exists."""
    return next(p for p in (path, *path.parents) if p.exists())


def state_directory(subject: Subject) -> Finding:
    """Check that this user owns the state directory, and that the QEMU user can pass through it to the disks."""
    return judge_state_directory(subject.state, subject.settings.default.instances_path, qemu_user(subject))


def judge_state_directory(state: Path, instances: Path, qemu: User | None) -> Finding:
    """See `state_directory`."""
    name, facts = "state-directory", {"path": str(state)}
    there = nearest(state)
    if not there.is_dir():
        return error(name, f"{there} is not a directory.", f"rm {there}, or choose another --state-path.", **facts)
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        # Never a chown: the service continues to use it, and the guest disks in it belong to the QEMU user.
        cure = f"Run this, and the service, as its owner {owner_of(there)}, or choose another --state-path."
        if there != state:
            cure = f"install -d -m 711 -o {ourselves().name} {state} (as root), or choose another --state-path."
        return error(name, f"This user cannot write to {there}.", cure, **facts)
    below = nearest(instances)
    for place in (*reversed(below.parents), below):
        found = os.stat(place)
        if qemu is not None and not qemu.may(found.st_mode, found.st_uid, found.st_gid, PASS):
            message = (
                f"The QEMU user {qemu.name} cannot pass {place} ({stat.filemode(found.st_mode)}) to the guest disks."
            )
            ours = place == state or state in place.parents
            cure = (
                f"chmod 711 {place}" if ours else "Choose a --state-path in another place, such as /var/lib/kilonova."
            )
            return error(name, message, cure, blocked_at=str(place), qemu_user=qemu.name, **facts)
    if there != state:
        return note(name, f"{state} does not exist yet; the first start creates it.", **facts)
    found = os.stat(state)
    mode = stat.S_IMODE(found.st_mode)
    facts["mode"] = f"{mode:04o}"
    if mode & 0o022:
        message = f"Other users can write to {state} ({mode:04o})."
        return error(name, message, f"chmod 711 {state}", **facts)
    if mode & 0o044:
        message = f"Other users can list {state} ({mode:04o}); QEMU only needs to pass through."
        return warning(name, message, f"chmod 711 {state}", **facts)
    return ok(name, f"This user owns {state} ({mode:04o}), and the QEMU user can pass to the disks.", **facts)


def socket_length(subject: Subject) -> Finding:
    """Check that socket paths are within the limit of the kernel."""
    longest = len(str(subject.settings.default.instances_path)) + SOCKET_BELOW
    if not subject.system_daemon and named_socket(subject.uri) is None:
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        longest = max(longest, len(str(home)) + MONITOR_BELOW)
    path = socket_path(subject)
    return judge_socket_length(longest, len(str(path)) if path is not None else 0)


def judge_socket_length(guests: int, daemon: int) -> Finding:
    """See `socket_length`.  Both values are in characters."""
    name, facts = "socket-length", {"guests": guests, "daemon": daemon, "most": LONGEST_SOCKET}
    if max(guests, daemon) <= LONGEST_SOCKET:
        return ok(name, f"Socket paths have at most {max(guests, daemon)} of {LONGEST_SOCKET} characters.", **facts)
    whose, cure = (
        "guests'",
        "Choose a shorter state_path or instances_path; for a session daemon a shorter XDG_CONFIG_HOME.",
    )
    if daemon > LONGEST_SOCKET:
        whose, cure = "the daemon's", "Give the daemon a shorter unix_sock_dir."
    message = (
        f"Paths of {whose} sockets have {max(guests, daemon)} characters; the limit of the kernel is {LONGEST_SOCKET}."
    )
    return (error if daemon > LONGEST_SOCKET else warning)(name, message, cure, **facts)


def disk_space(subject: Subject) -> Finding:
    """Check that there is free space for guest disks."""
    place = nearest(subject.settings.default.instances_path)
    found = os.statvfs(place)
    return judge_disk_space(
        place,
        found.f_blocks * found.f_frsize,
        found.f_bavail * found.f_frsize,
        found.f_favail if found.f_files else None,
        watermark_bytes(subject.settings.default, found.f_blocks * found.f_frsize),
    )


def judge_disk_space(place: Path, total: int, free: int, inodes: int | None, watermark: int) -> Finding:
    """See `disk_space`.  Values in bytes."""
    name = "disk-space"
    facts = {
        "path": str(place),
        "total_bytes": total,
        "free_bytes": free,
        "watermark_bytes": watermark,
        "inodes": inodes,
    }
    message = f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free at {place}"
    cure = f"Free some space (du -xh --max-depth=2 {place} | sort -h), or move instances_path to a larger disk."
    if free < watermark:
        return error(
            name,
            f"{message}, below the watermark of {watermark / GIB:.1f} GiB: no new guests are placed here.",
            cure,
            **facts,
        )
    if inodes is not None and inodes < FEW_INODES:
        return error(name, f"{message}, but only {inodes} inodes.", cure, **facts)
    if free < max(LOW_BYTES, 2 * watermark):
        return warning(name, f"{message}, enough for a few guests only.", cure, **facts)
    return ok(name, f"{message}.", **facts)


def file_system(subject: Subject) -> Finding:
    """Check that written data survives a reboot and a power failure."""
    table = (subject.places.proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
    instances = subject.settings.default.instances_path
    found = [judge_file_system(nearest(path).resolve(), table) for path in (subject.state, instances)]
    return max(found, key=lambda finding: finding.level.weight)


def mount_of(path: Path, table: str) -> tuple[str, str, Sequence[str]]:
    """Mount point, type and options of the file system of `path`, from /proc/self/mountinfo."""
    best = ("/", "unknown", ["rw"])
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            kind, _source, options = (*right.split(maxsplit=2), "", "")[:3]
            best = (point, kind, [*left.split()[5].split(","), *options.split(",")])
    return best


def judge_file_system(path: Path, table: str) -> Finding:
    """See `file_system`.  `table` is in the form of /proc/self/mountinfo."""
    name = "file-system"
    point, kind, options = mount_of(path, table)
    facts = {"path": str(path), "mount": point, "kind": kind}
    elsewhere = "Put state_path and instances_path on a local disk (ext4, xfs)."
    if "ro" in options:
        return error(
            name,
            f"{path} is on a file system that is mounted read-only ({point}).",
            f"mount -o remount,rw {point}; and see dmesg for the cause",
            **facts,
        )
    if kind in FORGETFUL:
        return warning(name, f"{path} is on {kind}: the next boot loses all data.", elsewhere, **facts)
    if kind in REMOTE:
        return warning(
            name, f"{path} is on {kind}: its locks and syncs are not reliable enough for SQLite.", elsewhere, **facts
        )
    if kind in LAYERED:
        return warning(
            name,
            f"{path} is in the writable layer of a container ({kind}), and is removed with the container.",
            "Mount a volume there.",
            **facts,
        )
    if {"nobarrier", "barrier=0"} & set(options):
        return warning(
            name,
            f"{point} is mounted without barriers: a power failure can lose synced data.",
            f"mount -o remount,barrier=1 {point}",
            **facts,
        )
    return ok(name, f"{path} is on {kind} ({point}).", **facts)


def identity_file(subject: Subject) -> Finding:
    """Check the identity file of the host."""
    name, path = "identity", subject.state / host_identity.FILE
    cure = f"Restore it from a backup. If the host has no guests: rm {path}."
    try:
        node_id, owner = host_identity.parse(path, path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if subject.database.exists() or (subject.state / "instances").exists():
            return warning(
                name, f"{path} is missing although this host has state: the host would get a new identity.", cure
            )
        return note(name, "The host gets its identity at the first start.", path=str(path))
    except (StateError, UnicodeDecodeError):
        return error(name, f"{path} does not contain a node id and host name.", cure, path=str(path))
    host = subject.settings.default.host
    if owner not in (None, host):
        renamed = f"Set host = {owner} if the machine was renamed; rm {path} and the instances if it was copied."
        return error(
            name, f"{path} belongs to host {owner}, and this host is {host}.", renamed, node_id=node_id, owner=owner
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        return warning(name, f"Other users can change {path} ({mode:04o}).", f"chmod 644 {path}", node_id=node_id)
    return ok(name, f"This host is {node_id}.", node_id=node_id)


def token_key(subject: Subject) -> Finding:
    """Check that only its owner can read the key that signs tokens."""
    name, path = "token-key", subject.state / "token.key"
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return note(name, "The first start of an API creates the key that signs tokens.", path=str(path))
    mode = stat.S_IMODE(found.st_mode)
    facts = {"path": str(path), "mode": f"{mode:04o}", "bytes": found.st_size}
    if mode & 0o077:
        cure = f"chmod 600 {path}. If another user may have read it: rm it and restart; all users must log in again."
        return error(name, f"Other users can read the key that signs tokens ({mode:04o}).", cure, **facts)
    if found.st_size < MIN_SECRET_BYTES:
        message = f"The key that signs tokens has {found.st_size} bytes, and needs {MIN_SECRET_BYTES}."
        return error(name, message, f"rm {path}, and restart: the start creates a new one.", **facts)
    return ok(name, f"Only its owner can read the key that signs tokens ({mode:04o}).", **facts)
