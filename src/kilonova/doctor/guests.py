# SPDX-License-Identifier: Apache-2.0
"""Checks of guests: their processes, their disks, and leftovers that belong to no instance.

By the records and the files' names and heads: nothing is guessed, and no file that a guest's header names is opened.
What is bad must be so in two looks, each with a fresh read of the records, since the service works meanwhile.
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
"""What is wrong, by what it is wrong with."""


def twice(look: Callable[[], Problems]) -> Problems:
    """What is bad in two looks, one after the other."""
    first = look()
    second = look() if first else {}
    return {name: said for name, said in second.items() if first.get(name) == said}


def listed(names: Iterable[str]) -> str:
    """The first few, and how many more."""
    every = sorted(names)
    more = len(every) - NAMED_MOST
    return ", ".join(every[:NAMED_MOST]) + (f" and {more} more" if more > 0 else "")


def records(subject: Subject) -> tuple[InstanceRow, ...] | None:
    """Instances by the database of this host; None where it has none.  Raises DatabaseUnreadable."""
    path = subject.database
    return instances(path) if path.exists() else None


def _directories(subject: Subject) -> Mapping[str, Path]:
    root = subject.settings.default.instances_path
    try:
        return {name: root / name for name in os.listdir(root) if _UUID.fullmatch(name)}
    except FileNotFoundError:
        return {}


def processes(subject: Subject) -> Finding:
    """No guest's QEMU is stopped: libvirt calls such a guest running, and each question to it waits for its limit."""
    name, proc = "guest-processes", subject.places.proc
    running = qemu_processes(proc, _directories(subject).keys())
    stopped = {guest: pid for guest, pid in running.items() if is_stopped(proc, pid)}
    if not stopped:
        return ok(name, f"No guest's QEMU is stopped ({len(running)} run).", running=len(running))
    said = f"The QEMU of guest {listed(stopped)} is stopped (SIGSTOP, or a debugger): the guest stands still."
    cure = f"kill -CONT {' '.join(str(pid) for pid in stopped.values())}"
    return error(name, said, cure, stopped=stopped)


def disks_by_record(subject: Subject) -> Finding:
    """See `disks`; without libvirt's word."""
    return _judge_disks(subject, None)


def disks(subject: Subject, survey: Survey) -> Finding:
    """Each guest's disk and all that it lies on are there, by the records, the disk's head and libvirt's word."""
    return _judge_disks(subject, survey)


def _judge_disks(subject: Subject, survey: Survey | None) -> Finding:
    name = "guest-disks"
    bad = twice(lambda: {**_by_libvirt(subject, survey), **_by_record(subject)})
    if not bad:
        return ok(name, "The disks of all guests are there, and what they lie on.")
    said = "; ".join(bad[path] for path in sorted(bad)[:NAMED_MOST])
    more = f"; and {len(bad) - NAMED_MOST} more" if len(bad) > NAMED_MOST else ""
    cure = (
        "Do not stop a guest that still runs: its QEMU holds the file open (ls -l /proc/PID/fd), and that is the last "
        "copy. Put the file back under its name, byte for byte, from there or from a backup."
    )
    return error(name, f"{said}{more}.", cure, files=sorted(bad))


def _by_libvirt(subject: Subject, survey: Survey | None) -> Problems:
    root = subject.settings.default.instances_path
    if survey is None:
        return {}
    rows = records(subject)  # a domain that is no instance has a check of its own
    judged = {domain.instance_id for domain in survey.marked} if rows is None else {r.id for r in rows if not r.busy}
    return {
        file: f"guest {domain.instance_id}: {file} is gone"
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
                bad[str(disk)] = f"guest {row.id}: the record of what its disk lies on is damaged"
                continue
            for path, said in _problems(disk, bases, default.instances_path / "_base").items():
                bad[path] = f"guest {row.id}: {said}"
    return bad


def _problems(disk: Path, bases: list[str], cache: Path) -> Problems:
    """Of one disk.  `bases`: what it may lie on, by the record."""
    path = str(disk)
    try:
        header = _header(disk)
    except FileNotFoundError:
        return {path: f"{path} is gone"}
    except (OSError, ValueError) as exc:
        return {path: f"{path} cannot be used: {exc}"}
    if header is not None and header.backing is None and not header.has_data_file:
        return {}  # other tools have merged its base into it
    if header is not None:
        named = header.backing or ""
        if not bases and os.path.dirname(named) == str(cache):  # made before there were records
            bases = [named]
        if header.has_data_file or os.path.realpath(named) not in map(os.path.realpath, bases):
            return {path: f"the header of {path} names what it was not made on"}
        bases = [base for base in bases if os.path.realpath(base) == os.path.realpath(named)]
    if bases and not any(map(os.path.lexists, bases)):
        return {bases[0]: f"{bases[0]}, on which its disk lies, is gone"}
    return {}


def _header(disk: Path) -> Header | None:
    """None where it is QEMU's user's alone."""
    try:
        with open_plain(disk) as file:
            return read_header(file)
    except PermissionError:
        return None


def orphan_domains(subject: Subject, survey: Survey) -> Finding:
    """Every domain that bears our metadata is an instance; those of another Kilonova on this libvirt are told apart by
    where their disks lie."""
    name, root = "orphan-domains", subject.settings.default.instances_path
    ours = [one for one in survey.marked if any(root in Path(file).parents for file in one.files)]
    others = len(survey.marked) - len(ours)
    rows = records(subject)  # after the survey: a guest that is seen has had its record before
    if rows is None:
        return note(name, "Not looked at: the records of instances are on the conductor's host.")
    known = {row.id for row in rows}
    orphans = {one.instance_id: one.name for one in ours if one.instance_id not in known}
    if orphans:
        said = f"Domains with Kilonova's metadata that are not instances: {listed(orphans.values())}."
        cure = (
            "Look whether a database was restored that does not know them; if nobody needs them: "
            f"virsh -c '{subject.uri}' undefine --managed-save {min(orphans.values())} (destroy it first if it runs)."
        )
        return warning(name, said, cure, domains=orphans)
    if others:
        return note(name, f"{others} domains belong to another Kilonova: their disks are elsewhere.")
    return ok(name, f"Every domain with Kilonova's metadata is an instance ({len(ours)}).")


def orphan_directories(subject: Subject) -> Finding:
    """Every guest directory belongs to an instance."""
    name = "orphan-directories"
    if records(subject) is None:
        return note(name, "Not looked at: the records of instances are on the conductor's host.")

    def look() -> Problems:
        seen = _directories(subject)  # before the records
        known = {row.id for row in records(subject) or ()}
        return {str(path): "" for guest, path in seen.items() if guest not in known}

    orphans = twice(look)
    if not orphans:
        return ok(name, "Every guest directory belongs to an instance.")
    cure = (
        "Look whether a database was restored that does not know it, and whether a domain uses it (virsh domblklist); "
        f"if nobody needs it: rm -r {min(orphans)}"
    )
    return warning(
        name, f"Guest directories that belong to no instance: {listed(orphans)}.", cure, paths=sorted(orphans)
    )
