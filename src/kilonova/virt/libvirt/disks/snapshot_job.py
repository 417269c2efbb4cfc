# SPDX-License-Identifier: Apache-2.0
"""Copying the root disk of a running guest by QEMU's own backup job, which writes the disk as it was at one moment into
a file while the guest continues. Each function is one libvirt call (see guest).

libvirt makes the job's file, and removes it when the job fails or is aborted.
"""

import contextlib
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import libvirt
from lxml import etree

from kilonova.base.errors import DiskMoved, HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.connection.opening import failure_of
from kilonova.virt.libvirt.domain import active, guest, lifecycle

AGENT_WAIT_S = 5
"""The time limit for the guest agent to freeze the file systems. After it the copy is made without the freeze, and has
the state of a power cut."""


class Job(Enum):
    """The present activity on a guest's disk."""

    OFF = "off"
    """The guest does not run: its disk does not change."""
    NONE = "none"
    OURS = "ours"
    """A job writes to the file in question."""
    ANOTHER = "another"


@dataclass(frozen=True, slots=True)
class Ended:
    """How the last job ended; `reason` is the hypervisor's message for a failure."""

    succeeded: bool
    reason: str = ""


def document(disk: str, path: str) -> str:
    """The job's document: the whole of `disk` into a new qcow2 at `path`, and no other disk."""
    root = etree.Element("domainbackup", {"mode": "push"})
    box = etree.SubElement(etree.SubElement(root, "disks"), "disk", {"name": disk, "type": "file"})
    etree.SubElement(box, "driver", {"type": "qcow2"})
    etree.SubElement(box, "target", {"file": path})
    return etree.tostring(root, encoding="unicode")


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def look(conn: libvirt.virConnect, instance_id: InstanceId, path: str) -> Job:
    """Whether a job writes to `path`.  Raises HypervisorError for a domain that is not ours."""
    domain = _running(conn, instance_id)
    if domain is None:
        return Job.OFF
    try:
        text = domain.backupGetXMLDesc()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_BACKUP:
            return Job.NONE
        raise
    targets = {one.get("file") for one in etree.fromstring(text, _PARSER).iterfind("disks/disk/target")}
    return Job.OURS if path in targets else Job.ANOTHER


@dataclass(frozen=True, slots=True)
class Begun:
    """`thawed`: the guest's file systems are thawed, as far as is known."""

    thawed: bool


def begin(conn: libvirt.virConnect, instance_id: InstanceId, root: str, path: str) -> Begun | None:
    """Start a job that writes the disk whose chain has the file `root` to `path`, where no file may exist; None when
    the guest is off.

    The guest's file systems are frozen meanwhile if its agent answers: the moment of the job is the moment in which it
    begins.
    """
    domain = _running(conn, instance_id)
    if domain is None:
        return None
    found = active.of(domain)
    disk = None if found is None else found.target_of(root)
    if disk is None:
        raise DiskMoved(f"Guest {instance_id} has no disk that lies on its own: it cannot be copied.", path=root)
    job = document(disk, path)
    frozen = _freeze(domain)
    try:
        domain.backupBegin(job, None, 0)  # pyright: ignore[reportArgumentType] - it takes None
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED and not domain.isActive():
            return None  # it ended between the two calls
        _thaw(domain)
        raise
    return Begun(_thaw(domain) or not frozen)


def thaw(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Thaw the guest's file systems, if it has an agent: the process that froze them may have died before it could."""
    domain = _running(conn, instance_id)
    if domain is not None:
        _thaw(domain)


def ended(conn: libvirt.virConnect, instance_id: InstanceId) -> Ended | None:
    """How the guest's last job ended; None while it runs."""
    domain = guest.running(conn, instance_id)
    if domain is None:
        return Ended(succeeded=False, reason="the guest went off")
    try:
        if _stats(domain, 0).get("type") != libvirt.VIR_DOMAIN_JOB_NONE:
            return None
        last = _stats(domain, _LAST)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID and not domain.isActive():
            return Ended(succeeded=False, reason="the guest went off")
        raise
    if last.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        return Ended(succeeded=False, reason="it is not known how the copying ended")
    return Ended(bool(last.get("success")), str(last.get("errmsg", "")))


_LAST = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED


def _stats(domain: libvirt.virDomain, flags: int) -> dict[str, Any]:
    return cast("dict[str, Any]", domain.jobStats(flags))  # its annotation is wrong


def abort(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Abort a job; it ends soon after."""
    domain = guest.running(conn, instance_id)
    if domain is not None:
        with contextlib.suppress(libvirt.libvirtError):  # it has just ended
            domain.abortJob()


def _running(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    """Whether the guest has a process: guests of the test driver have none, and nothing writes to their disks."""
    domain = guest.running(conn, instance_id)
    if domain is not None and lifecycle.is_starting_up(domain):
        raise HypervisorError(f"Guest {instance_id} is on its way up.")
    return None if conn.getType() == "TEST" else domain


def _freeze(domain: libvirt.virDomain) -> bool:
    """Whether the file systems may be frozen now: not when there is no agent."""
    if not lifecycle.is_running(domain):
        return False
    try:
        domain.agentSetResponseTimeout(AGENT_WAIT_S)
        domain.fsFreeze()
    except libvirt.libvirtError as exc:
        if failure_of(exc).lost:
            raise
        return _has_agent(domain)
    return True


def _thaw(domain: libvirt.virDomain) -> bool:
    """Whether the agent reports that they are thawed."""
    if not lifecycle.is_running(domain):
        return False
    try:
        domain.fsThaw()
    except libvirt.libvirtError as exc:
        if failure_of(exc).lost:
            raise
        return False
    return True


def _has_agent(domain: libvirt.virDomain) -> bool:
    state = etree.fromstring(domain.XMLDesc(0), _PARSER).find("devices/channel/target[@name='org.qemu.guest_agent.0']")
    return state is not None and state.get("state") == "connected"
