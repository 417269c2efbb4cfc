# SPDX-License-Identifier: Apache-2.0
"""Checks of this host: whether versions are new enough, and whether KVM works here."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import libvirt
import structlog

from kilonova.base.files import replace_file
from kilonova.virt.libvirt.xml import domain as domain_xml

log = structlog.get_logger(__name__)

OLDEST_LIBVIRT = 9_000_000
OLDEST_QEMU = 7_002_000
"""Debian 12's."""

KVM = Path("/dev/kvm")
VERDICT_FILE = "kvm-verdict.json"
UNTRIED = "it has not been tried here (kilonova prove-kvm --state-path {state} --kernel K --initrd I)"


def version_text(number: int) -> str:
    """libvirt's version number as people write it: 9000000 is 9.0.0."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def too_old(conn: libvirt.virConnect) -> str | None:
    """A sentence when libvirt or QEMU is older than this service supports; None when both are new enough."""
    daemon = conn.getLibVersion()
    if daemon < OLDEST_LIBVIRT:
        return f"libvirt {version_text(daemon)} is older than {version_text(OLDEST_LIBVIRT)}"
    if conn.getType() == "QEMU" and (qemu := conn.getVersion()) < OLDEST_QEMU:
        return f"QEMU {version_text(qemu)} is older than {version_text(OLDEST_QEMU)}"
    return None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The facts that libvirt reports of its host."""

    hostname: str
    kind: str
    version: int
    cpus: int
    memory_mib: int
    cpu: Mapping[str, str]


def read_host(conn: libvirt.virConnect) -> HostFacts:
    """The host's facts, in one libvirt call."""
    _model, memory_mib, cpus, *_rest = conn.getInfo()
    return HostFacts(
        hostname=conn.getHostname(),
        kind=conn.getType(),
        version=conn.getVersion(),
        cpus=int(cpus),
        memory_mib=int(memory_mib),
        cpu=domain_xml.parse_cpu(conn.getCapabilities()),
    )


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine for which a verdict on KVM is valid: this boot, this QEMU, this device with these rights. Any change
    requires a new verdict."""

    boot_id: str
    qemu: str
    kvm: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a real kernel booted under KVM here, and what was seen instead if not."""

    works: bool
    why: str
    machine: Machine


def qemu_program() -> str | None:
    """Path of the QEMU that guests of this host run in."""
    return shutil.which("qemu-system-x86_64")


def this_machine() -> Machine:
    """The machine as it is now.  Blocks for a few system calls; raises nothing."""
    return Machine(boot_id=_boot_id(), qemu=_build(qemu_program()), kvm=_rights(KVM))


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _build(program: str | None) -> str:
    if program is None:
        return ""
    try:
        found = os.stat(program)
    except OSError:
        return ""
    return f"{os.path.realpath(program)} {found.st_size} {found.st_mtime_ns}"


def _rights(device: Path) -> str:
    try:
        found = os.stat(device)
    except OSError:
        return ""
    return f"{found.st_rdev} {found.st_mode:o} {found.st_uid}:{found.st_gid}"


def read_verdict(state_path: Path) -> Verdict | None:
    """The verdict that is valid for this machine as it is now; None without one."""
    try:
        raw = json.loads((state_path / VERDICT_FILE).read_text(encoding="utf-8"))
        verdict = Verdict(bool(raw["works"]), str(raw["why"]), Machine(**raw["machine"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return verdict if verdict.machine == this_machine() else None


def write_verdict(state_path: Path, verdict: Verdict) -> None:
    """Store the verdict, completely or not at all."""
    replace_file(state_path / VERDICT_FILE, json.dumps(asdict(verdict), indent=1).encode(), mode=0o644)


class VirtType:
    """libvirt's domain type for guests, by the verdict that is kept in `state_path`."""

    def __init__(self, state_path: Path) -> None:
        self._state_path = state_path
        self._said = ""

    def choose(self, configured: str) -> str:
        """`auto` is kvm only where a kernel is known to boot under it.  The reason against KVM is logged once, and
        again when it changes.  Blocks for a small file."""
        if configured != "auto":
            return configured
        verdict = read_verdict(self._state_path)
        if verdict is not None and verdict.works:
            return "kvm"
        why = verdict.why if verdict is not None else UNTRIED.format(state=self._state_path)
        if why != self._said:
            self._said = why
            log.info("guests run without KVM", why=why)
        return "qemu"
