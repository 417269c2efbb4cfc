# SPDX-License-Identifier: Apache-2.0
"""Checks of guests: their processes, their disks, and files and domains that belong to no instance.

The checks use the records and the names and headers of files.  They do not open a file that a guest's disk header
names.  Each problem must exist in two reads, each with a fresh read of the records, because the service may be working.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kilonova.base.files import open_plain
from kilonova.db.inspect import InstanceRow, instances
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.process import is_stopped, qemu_processes
from kilonova.doctor.subject import Subject
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import VmState
from kilonova.virt.libvirt.disks.chains import Records
from kilonova.virt.libvirt.disks.qcow2 import Header, read_header
from kilonova.virt.libvirt.host.survey import Survey

WITH_DISK = frozenset(VmState) - {VmState.BUILDING, VmState.ERROR, VmState.SHELVED_OFFLOADED, VmState.DELETED}
NAMED_MOST = 3
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Problems = Mapping[str, str]
"""The problems, by the item that has the problem."""


def twice(look: Callable[[], Problems]) -> Problems:
    """The problems that exist in both of two reads, one after the other."""
    first = look()
    second = look() if first else {}
    return {name: message for name, message in second.items() if first.get(name) == message}


def listed(names: Iterable[str]) -> str:
    """The first few items, and the number of others."""
    every = sorted(names)
    more = len(every) - NAMED_MOST
    return ", ".join(every[:NAMED_MOST]) + (f" and {more} more" if more > 0 else "")


def records(subject: Subject) -> tuple[InstanceRow, ...] | None:
    """The instances in the database of this host; None when it has no database.  Raises DatabaseUnreadable."""
    path = subject.database
    return instances(path) if path.exists() else None


def _directories(subject: Subject) -> Mapping[str, Path]:
    root = subject.settings.default.instances_path
    try:
        return {name: root / name for name in os.listdir(root) if _UUID.fullmatch(name)}
    except FileNotFoundError:
        return {}


def processes(subject: Subject) -> Finding:
    """Check for stopped QEMU processes: libvirt reports such a guest as running, and each call to it times out."""
    name, proc = "guest-processes", subject.places.proc
    running = qemu_processes(proc, _directories(subject).keys())
    stopped = {guest: pid for guest, pid in running.items() if is_stopped(proc, pid)}
    if not stopped:
        return ok(name, f"No QEMU process of a guest is stopped ({len(running)} run).", running=len(running))
    message = (
        f"The QEMU process of guest {listed(stopped)} is stopped (SIGSTOP, or a debugger): the guest does not run."
    )
    cure = f"kill -CONT {' '.join(str(pid) for pid in stopped.values())}"
    return error(name, message, cure, stopped=stopped)


def disks_by_record(subject: Subject) -> Finding:
    """See `disks`; without data from libvirt."""
    return _judge_disks(subject, None)


def disks(subject: Subject, survey: Survey) -> Finding:
    """Check that the disk and the backing files of each guest exist, from the records, the disk header and libvirt."""
    return _judge_disks(subject, survey)


def _judge_disks(subject: Subject, survey: Survey | None) -> Finding:
    name = "guest-disks"
    bad = twice(lambda: {**_by_libvirt(subject, survey), **_by_record(subject)})
    if not bad:
        return ok(name, "The disks and backing files of all guests exist.")
    message = "; ".join(bad[path] for path in sorted(bad)[:NAMED_MOST])
    more = f"; and {len(bad) - NAMED_MOST} more" if len(bad) > NAMED_MOST else ""
    cure = (
        "Do not stop a guest that still runs: its QEMU process has the file open (ls -l /proc/PID/fd), and this is the "
        "last copy. Restore the file under its name, byte for byte, from there or from a backup."
    )
    return error(name, f"{message}{more}.", cure, files=sorted(bad))


def _by_libvirt(subject: Subject, survey: Survey | None) -> Problems:
    root = subject.settings.default.instances_path
    if survey is None:
        return {}
    rows = records(subject)  # another check reports domains without an instance
    judged = {domain.instance_id for domain in survey.marked} if rows is None else {r.id for r in rows if not r.busy}
    return {
        file: f"guest {domain.instance_id}: {file} is missing"
        for domain in survey.marked
        if domain.instance_id in judged
        for file in domain.files
        if root in Path(file).parents and not os.path.lexists(file)
    }


def _by_record(subject: Subject) -> Problems:
    default, bad = subject.settings.default, dict[str, str]()
    kept = Records(default.state_path / "chains")
    for row in records(subject) or ():
        if row.host == default.host and row.vm_state in WITH_DISK and not row.busy:
            disk = default.instances_path / row.id / "disk"
            try:
                bases = [base.path for base in kept.bases(InstanceId(row.id), "disk")]
            except ValueError:
                bad[str(disk)] = f"guest {row.id}: the record of the backing files of its disk is damaged"
                continue
            for path, message in _problems(disk, bases, default.instances_path / "_base").items():
                bad[path] = f"guest {row.id}: {message}"
    return bad


def _problems(disk: Path, bases: list[str], cache: Path) -> Problems:
    """The problems of one disk.  `bases` are the backing files that the record allows."""
    path = str(disk)
    try:
        header = _header(disk)
    except FileNotFoundError:
        return {path: f"{path} is missing"}
    except (OSError, ValueError) as exc:
        return {path: f"{path} cannot be used: {exc}"}
    if header is not None and header.backing is None and not header.has_data_file:
        return {}  # other tools have merged its base into it
    if header is not None:
        named = header.backing or ""
        if not bases and os.path.dirname(named) == str(cache):  # created by a version without records
            bases = [named]
        if header.has_data_file or os.path.realpath(named) not in map(os.path.realpath, bases):
            return {path: f"the header of {path} names a backing file that is not in the record"}
        bases = [base for base in bases if os.path.realpath(base) == os.path.realpath(named)]
    if bases and not any(map(os.path.lexists, bases)):
        return {bases[0]: f"{bases[0]}, the backing file of its disk, is missing"}
    return {}


def _header(disk: Path) -> Header | None:
    """The header of the disk; None when only the QEMU user can read it."""
    try:
        with open_plain(disk) as file:
            return read_header(file)
    except PermissionError:
        return None


def orphan_domains(subject: Subject, survey: Survey) -> Finding:
    """Check that every domain with our metadata is an instance.  The path of the disks identifies domains of another
    Kilonova on this libvirt."""
    name, root = "orphan-domains", subject.settings.default.instances_path
    ours = [one for one in survey.marked if any(root in Path(file).parents for file in one.files)]
    others = len(survey.marked) - len(ours)
    rows = records(subject)  # after the survey: the record of a guest is written before its domain
    if rows is None:
        return note(name, "Not checked: the records of instances are on the host of the conductor.")
    known = {row.id for row in rows}
    orphans = {one.instance_id: one.name for one in ours if one.instance_id not in known}
    if orphans:
        message = f"Domains with Kilonova's metadata that are not instances: {listed(orphans.values())}."
        cure = (
            "Check whether a restored database does not contain them; if they are not needed: "
            f"virsh -c '{subject.uri}' undefine --managed-save {min(orphans.values())} (destroy it first if it runs)."
        )
        return warning(name, message, cure, domains=orphans)
    if others:
        return note(name, f"{others} domains belong to another Kilonova: their disks are in another directory.")
    return ok(name, f"Every domain with Kilonova's metadata is an instance ({len(ours)}).")


def orphan_directories(subject: Subject) -> Finding:
    """Check that every guest directory belongs to an instance."""
    name = "orphan-directories"
    if records(subject) is None:
        return note(name, "Not checked: the records of instances are on the host of the conductor.")

    def look() -> Problems:
        seen = _directories(subject)  # before the records
        known = {row.id for row in records(subject) or ()}
        return {str(path): "" for guest, path in seen.items() if guest not in known}

    orphans = twice(look)
    if not orphans:
        return ok(name, "Every guest directory belongs to an instance.")
    cure = (
        "Check whether a restored database does not contain it, and whether a domain uses it (virsh domblklist); "
        f"if it is not needed: rm -r {min(orphans)}"
    )
    return warning(
        name, f"Guest directories that belong to no instance: {listed(orphans)}.", cure, paths=sorted(orphans)
    )
