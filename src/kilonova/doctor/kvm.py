# SPDX-License-Identifier: Apache-2.0
"""Checks of KVM: the device, its permissions, and the verdict of the boot test."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from kilonova.base.errors import InvalidInput
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.hypervisor import connect, socket_path
from kilonova.doctor.subject import Subject, User, group_name, ourselves, qemu_user
from kilonova.virt.libvirt.host import checks
from kilonova.virt.libvirt.host.checks import Machine, Verdict

READ_WRITE = 6
CURE_NOW = "chgrp kvm {device} && chmod 660 {device}"
CURE_FOR_GOOD = """echo 'KERNEL=="kvm", GROUP="kvm", MODE="0660"' > /etc/udev/rules.d/65-kvm.rules"""


@dataclass(frozen=True, slots=True)
class Device:
    """Permissions of /dev/kvm.  `listed`: an access list adds permissions to the mode."""

    path: str
    mode: int
    uid: int
    gid: int
    listed: bool = False

    def text(self) -> str:
        return f"{stat.filemode(self.mode)} {self.uid}:{group_name(self.gid)}"


def read_device(path: Path) -> Device | None:
    """The state of the device; None when it does not exist."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if found.st_rdev == os.stat(os.devnull).st_rdev:  # sandboxes hide the device with /dev/null
        return None
    try:
        listed = "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        listed = False
    return Device(str(path), found.st_mode, found.st_uid, found.st_gid, listed)


def device(subject: Subject) -> Finding:
    """Check that /dev/kvm exists and that this user may use it."""
    cpu = subject.places.proc / "cpuinfo"
    flags = set(cpu.read_text(encoding="ascii", errors="replace").split()) if cpu.exists() else set[str]()
    usable = os.access(subject.places.kvm, os.R_OK | os.W_OK, effective_ids=True)
    configured = subject.settings.libvirt.virt_type
    return judge_device(read_device(subject.places.kvm), usable, bool({"vmx", "svm"} & flags), configured)


def judge_device(found: Device | None, usable: bool, cpu_has_it: bool, virt_type: str) -> Finding:
    """See `device`.  Only `virt_type = kvm` requires the device."""
    name = "kvm-device"
    bad = error if virt_type == "kvm" else note if virt_type in ("qemu", "test") else warning
    if found is None and cpu_has_it:
        cure = "modprobe kvm_intel || modprobe kvm_amd; if that fails, enable virtualisation in the firmware."
        return bad(name, "There is no /dev/kvm, although the processor can do it.", cure, cpu=True)
    if found is None:
        cure = "Enable virtualisation in the firmware, or nested virtualisation in the hypervisor of this machine."
        return bad(name, "There is no /dev/kvm: guests run many times slower, with QEMU emulation.", cure, cpu=False)
    if not stat.S_ISCHR(found.mode):
        return bad(name, f"{found.path} is not a device.", f"rm {found.path} && modprobe kvm", mode=found.text())
    if not usable:
        cure = _let_in(found, ourselves().name)
        return bad(name, f"{found.path} exists ({found.text()}) and this user cannot use it.", cure, mode=found.text())
    return ok(name, f"{found.path} exists ({found.text()}) and this user can use it.", mode=found.text())


def _let_in(found: Device, user: str) -> str:
    if _is_of_a_group(found):
        return f"usermod -aG {group_name(found.gid)} {user}, and log in again."
    now = CURE_NOW.format(device=found.path)
    return f"{now} && usermod -aG kvm {user}, and log in again; with udev, permanently: {CURE_FOR_GOOD}"


def _is_of_a_group(found: Device) -> bool:
    """Whether members of the device's group may use it, and the group is not root."""
    return found.gid != 0 and found.mode >> 3 & READ_WRITE == READ_WRITE


def capability_cache(subject: Subject) -> Finding:
    """Check that the daemon and the QEMU user have the same access to KVM."""
    daemon_uid = 0 if subject.system_daemon else None
    return judge_capability_cache(read_device(_as_daemon_sees(subject)), qemu_user(subject), daemon_uid)


def _as_daemon_sees(subject: Subject) -> Path:
    """The device in the daemon's view of the file system (a container may have another one), if we may read that."""
    ours, path = subject.places.kvm, socket_path(subject)
    if path is None or not subject.system_daemon:
        return ours
    try:
        root = subject.places.proc / str(connect(path, subject.places.proc).pid) / "root"
        os.stat(root / "dev")
    except OSError:
        return ours
    return root / ours.relative_to("/")


def judge_capability_cache(found: Device | None, qemu: User | None, daemon_uid: int | None) -> Finding:
    """See `capability_cache`.

    If the daemon may use KVM and the QEMU user may not, the daemon discards its cache of QEMU capabilities and probes
    QEMU at every start of a guest: 48 s each (measured, libvirt 9.0).  `daemon_uid` None: the daemon is the QEMU user.
    """
    name = "kvm-capability-cache"
    if found is None or not stat.S_ISCHR(found.mode):
        return ok(name, "There is no /dev/kvm: the daemon and the QEMU user have the same access.")
    if daemon_uid is None:
        return ok(name, "The daemon and its guests run as one user and have the same access to KVM.")
    if qemu is None:
        cure = "Install the daemon's package, or set user in /etc/libvirt/qemu.conf to a user that exists."
        return warning(name, "The configured QEMU user does not exist.", cure)
    facts = {"qemu_user": qemu.name, "mode": found.text()}
    if qemu.may(found.mode, found.uid, found.gid, READ_WRITE):
        return ok(name, f"The daemon and the QEMU user {qemu.name} can both use {found.path}.", **facts)
    if found.listed:
        message = (
            f"The mode of {found.path} excludes {qemu.name}; its access list, which may allow access, was not checked."
        )
        return note(name, message, f"getfacl {found.path}", **facts)
    message = (
        f"libvirtd can use {found.path} ({found.text()}) and the QEMU user {qemu.name} cannot: "
        "libvirtd probes QEMU at every start of a guest, about 48 s each."
    )
    if _is_of_a_group(found):
        return error(
            name, message, f"usermod -aG {group_name(found.gid)} {qemu.name} && systemctl restart libvirtd", **facts
        )
    now = CURE_NOW.format(device=found.path)
    return error(name, message, f"{now}; with udev, permanently: {CURE_FOR_GOOD}", **facts)


def verdict(subject: Subject) -> Finding:
    """Check for a verdict that KVM boots a kernel, with this boot, QEMU and device."""
    kept, why_stale = read_kept(subject.state)
    return judge_verdict(kept, why_stale, subject.settings.libvirt.virt_type)


def read_kept(state: Path) -> tuple[Verdict | None, str]:
    """The stored verdict, and what has changed since then (empty: the verdict is valid)."""
    try:
        raw = json.loads((state / checks.VERDICT_FILE).read_text(encoding="utf-8"))
        kept = Verdict(bool(raw["works"]), str(raw["why"]), Machine(**raw["machine"]))
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except (ValueError, KeyError, TypeError):
        return None, "its file is damaged"
    now = checks.this_machine()
    if kept.machine.boot_id != now.boot_id:
        return kept, "the machine was booted since"
    if kept.machine.qemu != now.qemu:
        return kept, "QEMU is another one since"
    return kept, "rights on /dev/kvm changed since" if kept.machine.kvm != now.kvm else ""


def judge_verdict(kept: Verdict | None, stale: str, virt_type: str) -> Finding:
    """See `verdict`.  Without a valid verdict, `virt_type = auto` means qemu."""
    name, cure = "kvm-verdict", "kilonova doctor --kernel K --initrd I (in a checkout: .build/guest/vmlinuz, initrd.gz)"
    facts = {"virt_type": virt_type, "works": kept.works if kept is not None and not stale else None}
    if virt_type in ("qemu", "test"):
        return ok(name, f"virt_type = {virt_type}: the verdict on KVM is not used.", **facts)
    if kept is None or stale:
        message = (
            f"The verdict on KVM is not valid: {stale}" if stale else "Booting a kernel under KVM was not tried here"
        )
        then = (
            "guests run without KVM until it was" if virt_type == "auto" else "virt_type = kvm uses it without a test"
        )
        bad = note if virt_type == "auto" else warning  # KVM may hang in every guest's kernel
        return bad(name, f"{message}; {then}.", cure, **facts)
    if kept.works:
        return ok(name, "A kernel has booted under KVM here.", **facts)
    if virt_type == "kvm":
        return error(name, f"KVM does not work here ({kept.why}).", "Set [libvirt] virt_type = auto.", **facts)
    return note(name, f"KVM does not work here ({kept.why}); guests run without it.", "", **facts)


async def prove(subject: Subject, kernel: Path, initrd: Path, limit_s: float = 20.0) -> Finding:
    """Boot the kernel under KVM now, and store the verdict."""
    from kilonova.virt.libvirt.host import kvm

    try:
        proof = await kvm.prove(kernel, initrd, subject.state, limit_s)
    except InvalidInput as exc:
        return error("kvm-verdict", exc.message, "Give a kernel and its initrd (see docs/doctor.md).")
    except OSError as exc:
        return error(
            "kvm-verdict", f"The verdict cannot be stored: {exc}.", "Run the command as the user of the service."
        )
    return judge_verdict(proof, "", subject.settings.libvirt.virt_type)
