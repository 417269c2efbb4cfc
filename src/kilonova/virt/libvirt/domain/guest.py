# SPDX-License-Identifier: Apache-2.0
"""Guests as libvirt domains: what is done to one, each function one hop in a native thread.

Every function takes a live connection, looks the domain up anew, and returns plain values; none touches a domain that
does not bear our metadata.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import cast

import libvirt

from kilonova.base.errors import GuestStuck, HypervisorError
from kilonova.objects.guest import GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.domain import active, states
from kilonova.virt.libvirt.domain.active import Definition
from kilonova.virt.libvirt.xml import domain as domain_xml


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is known of a domain besides its state: whether it is ours, and its mark.  `stale`: it may have changed
    since, and is to be looked up again."""

    ours: bool
    mark: str | None = None
    stale: bool = False


def _is_saved(domain: libvirt.virDomain, state: int) -> bool:
    """Whether it is off, and libvirt keeps its memory.  What lies there while it runs is left of a save that broke
    off."""
    return state == libvirt.VIR_DOMAIN_SHUTOFF and bool(domain.hasManagedSaveImage(0))


def _lookup(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    try:
        return conn.lookupByUUIDString(instance_id)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _metadata(domain: libvirt.virDomain, uri: str) -> str | None:
    try:
        return domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, uri, libvirt.VIR_DOMAIN_AFFECT_CURRENT)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def ownership(domain: libvirt.virDomain) -> Ownership:
    """Whether the domain bears our metadata, with the mark of the definition it runs by (or would)."""
    text = _metadata(domain, domain_xml.METADATA_URI)
    if text is None or domain_xml.metadata_instance_id(text) != domain.UUIDString():
        return Ownership(ours=False)
    start = _metadata(domain, domain_xml.START_URI)
    return Ownership(ours=True, mark=domain_xml.metadata_mark(start) if start is not None else None)


def _ours(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    """The domain, None when there is none; HypervisorError when it is somebody else's."""
    domain = _lookup(conn, instance_id)
    if domain is not None and not ownership(domain).ours:
        raise HypervisorError(f"Domain {instance_id} was not made by this service: it is left alone.")
    return domain


def running(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    """The domain while it runs; None when it is off or there is none; HypervisorError when it is somebody else's."""
    domain = _ours(conn, instance_id)
    return domain if domain is not None and domain.isActive() else None


def _state(domain: libvirt.virDomain) -> tuple[int, int]:
    state, reason = cast("list[int]", domain.state())  # its annotation is wrong
    return state, reason


@dataclass(frozen=True, slots=True)
class Seen:
    """A domain of ours, libvirt's pair of its state, and whether it is off with its memory kept."""

    domain: libvirt.virDomain
    state: tuple[int, int]
    saved: bool


def look(conn: libvirt.virConnect, instance_id: InstanceId) -> Seen | None:
    """For more that is done to a domain, within one hop; None when there is none, HypervisorError when it is somebody
    else's."""
    domain = _ours(conn, instance_id)
    if domain is None:
        return None
    state = _state(domain)
    return Seen(domain, state, _is_saved(domain, state[0]))


def exists(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """Whether libvirt knows a domain of this id, whoever made it."""
    return _lookup(conn, instance_id) is not None


def read(conn: libvirt.virConnect, instance_id: InstanceId) -> GuestState | None:
    """One fresh read of one guest; None when there is none, or it is not ours."""
    domain = _lookup(conn, instance_id)
    if domain is None:
        return None
    known = ownership(domain)
    if not known.ours:
        return None
    try:
        state, reason = _state(domain)
        saved = _is_saved(domain, state)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None  # it went away between the calls
        raise
    return states.said(state, reason, saved=saved, mark=known.mark)


@dataclass(frozen=True, slots=True)
class BulkRead:
    """All guests that are ours, and what was learned of domains seen for the first time."""

    states: Mapping[InstanceId, GuestState]
    learned: Mapping[InstanceId, Ownership]
    seen: frozenset[InstanceId]


def read_all(
    conn: libvirt.virConnect, known: Mapping[InstanceId, Ownership], without: Collection[InstanceId] = ()
) -> BulkRead:
    """Every guest's state by one bulk call, and one look each at domains that are not in `known` or stale there.

    `without` names guests that are being destroyed: while that takes long, libvirt holds up every host-wide call, so
    the others are then asked for by name.  Those of `without` come back as unknown, never as absent.
    """
    rows = _bulk(conn, [one for one in known if one not in without]) if without else _bulk(conn, None)
    saved = _saved(conn, rows, by_name=bool(without))
    found: dict[InstanceId, GuestState] = {}
    learned: dict[InstanceId, Ownership] = {}
    seen: set[InstanceId] = set(without)
    for domain, stats in rows:
        instance_id = InstanceId(domain.UUIDString())
        seen.add(instance_id)
        if (owner := known.get(instance_id)) is None or owner.stale:
            owner = learned[instance_id] = ownership(domain)
        if owner.ours:
            state, reason = stats.get("state.state", -1), stats.get("state.reason", -1)
            off = state == libvirt.VIR_DOMAIN_SHUTOFF
            found[instance_id] = states.said(state, reason, saved=off and instance_id in saved, mark=owner.mark)
    for instance_id in without:
        owner = known.get(instance_id)
        if owner is not None and owner.ours:
            found[instance_id] = GuestState(PowerState.NOSTATE, "being-destroyed", owner.mark)
    return BulkRead(found, learned, frozenset(seen))


_Rows = list[tuple[libvirt.virDomain, dict[str, int]]]


def _saved(conn: libvirt.virConnect, rows: _Rows, *, by_name: bool) -> frozenset[str]:
    """Which domains' memory libvirt keeps: statistics do not tell.  One more call, where any domain is off."""
    off = [domain for domain, stats in rows if stats.get("state.state") == libvirt.VIR_DOMAIN_SHUTOFF]
    if not off:
        return frozenset()
    if by_name:
        return frozenset(domain.UUIDString() for domain in off if domain.hasManagedSaveImage(0))
    found = conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    return frozenset(domain.UUIDString() for domain in found)


def _bulk(conn: libvirt.virConnect, only: list[InstanceId] | None) -> _Rows:
    if only is None:
        return conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
    domains = [domain for domain in (_lookup(conn, one) for one in only) if domain is not None]
    return conn.domainListGetStats(domains, libvirt.VIR_DOMAIN_STATS_STATE, 0) if domains else []


def definition(conn: libvirt.virConnect, instance_id: InstanceId) -> Definition | None:
    """What libvirt has as the guest's name and disks; None when there is no domain.  HypervisorError when it is
    somebody else's."""
    return active.of(_ours(conn, instance_id))


def define(
    conn: libvirt.virConnect,
    instance_id: InstanceId,
    render: Callable[[str | None], str],
    seen: Definition | None,
) -> Ownership | None:
    """Define the domain persistently, with the schema checked.  `render` makes the document, given the mark to keep,
    of what was `seen` of the domain; None, and nothing is done, when it has changed since."""
    domain = _ours(conn, instance_id)
    if active.of(domain) != seen:
        return None
    mark = ownership(domain).mark if domain is not None else None
    conn.defineXMLFlags(render(mark), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    return Ownership(ours=True, mark=mark)


UNDEFINE_FLAGS = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_TPM
)
PLAIN_UNDEFINE_FLAGS = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
"""For drivers that refuse the newer ones (libvirt's test driver)."""


def undefine(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Undefine the domain with everything that libvirt keeps for it.  One that is active is refused: it would live on
    without a definition."""
    domain = _ours(conn, instance_id)
    if domain is None:
        return
    if domain.isActive():
        raise HypervisorError(f"Guest {instance_id} is not off: it stays defined.")
    for flags in (UNDEFINE_FLAGS, PLAIN_UNDEFINE_FLAGS):
        try:
            domain.undefineFlags(flags)
            return
        except libvirt.libvirtError as exc:
            if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return
            if exc.get_error_code() != libvirt.VIR_ERR_INVALID_ARG or flags == PLAIN_UNDEFINE_FLAGS:
                raise


class Start(Enum):
    """What came of one attempt."""

    RUNS = "runs"
    LATER = "later"
    """It is on its way up or down: ask again."""
    SAVED = "saved"
    """Its memory is kept: it is not started, but restored, which lasts longer."""


def start(conn: libvirt.virConnect, instance_id: InstanceId, mark: str) -> Start:
    """Start the guest, unless it runs."""
    domain = _ours(conn, instance_id)
    if domain is None:
        raise HypervisorError(f"Guest {instance_id} is not known to the hypervisor.")
    state, reason = _state(domain)
    if state in states.GOES:
        return Start.RUNS
    if state == libvirt.VIR_DOMAIN_SHUTDOWN or states.power_of(state, reason) is PowerState.NOSTATE:
        return Start.LATER
    if state == libvirt.VIR_DOMAIN_PAUSED:
        _mark_and_run(domain, mark)
        return Start.RUNS
    if state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup(0)
        return Start.RUNS
    if _is_saved(domain, state):
        return Start.SAVED
    if state == libvirt.VIR_DOMAIN_CRASHED:
        domain.destroy()
    if _create_standing(domain):
        _mark_and_run(domain, mark)
    else:
        _set_mark(domain, mark)
        domain.createWithFlags(0)
    return Start.RUNS


def _create_standing(domain: libvirt.virDomain) -> bool:
    """The guest is there and has not run yet; False, and nothing has happened, where a driver cannot do that.

    The mark comes between this and the guest's first instruction: wherever we, the connection or libvirtd end in the
    middle, a guest that ran bears its mark, and one that bears it is or was there.
    """
    try:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_INVALID_ARG:
            return False  # libvirt's test driver, whose guests do not run anyway
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not domain.isActive():
            raise
    return True


def _mark_and_run(domain: libvirt.virDomain, mark: str) -> None:
    _set_mark(domain, mark)
    try:
        domain.resume()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or _state(domain)[0] not in states.GOES:
            raise  # (it runs already: somebody else was quicker)


def _set_mark(domain: libvirt.virDomain, mark: str) -> None:
    """In the running guest's definition, if there is one, and in that of its next start."""
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        domain_xml.start_element(mark),
        domain_xml.START_PREFIX,
        domain_xml.START_URI,
        libvirt.VIR_DOMAIN_AFFECT_CONFIG | live,
    )


JOB_WAIT_S = 30.0
"""How long libvirt's QEMU driver waits for a domain's job before it refuses (QEMU_JOB_WAIT_TIME)."""

CURE_OF_STUCK = (
    "Stop libvirtd, remove {name}.xml from its run directory (/run/libvirt/qemu; of a session daemon "
    "$XDG_RUNTIME_DIR/libvirt/qemu/run), and start it again: it then knows that guest as off, and all others run on."
)
"""A libvirtd (seen: 9.0.0) that is ended after it has noted the start of a guest and before there is a process reads
that note at its next start: the guest is active, has no process, and is held by a job that nobody does.  Each call that
wants a job fails after JOB_WAIT_S; no other start of the daemon changes that as long as the note is there."""


def is_starting_up(domain: libvirt.virDomain) -> bool:
    """Between libvirt's decision to start it and QEMU's first word: a second or two, or for ever (CURE_OF_STUCK)."""
    return _state(domain) == states.STARTING_UP


def destroy(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Pull the guest's plug; memory that was kept of it is dropped.  Nothing to do when it is off or does not exist.
    Raises GuestStuck, after JOB_WAIT_S, for one whose start nobody will ever end: a start that goes on lets itself be
    broken off."""
    domain = _ours(conn, instance_id)
    if domain is None:
        return
    try:
        if domain.isActive():
            _destroy(domain, instance_id)
        if domain.hasManagedSaveImage(0):
            domain.managedSaveRemove(0)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _destroy(domain: libvirt.virDomain, instance_id: InstanceId) -> None:
    stuck = is_starting_up(domain)
    try:
        domain.destroy()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT and stuck and is_starting_up(domain):
            said = f"libvirt holds guest {instance_id} in a start that nobody does any more. "
            raise GuestStuck(said + CURE_OF_STUCK.format(name=domain.name())) from exc
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or domain.isActive():
            raise


def shutdown(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Ask the guest by ACPI to shut itself down.  Nothing to do when it is off or does not exist."""
    domain = _ours(conn, instance_id)
    if domain is None or not domain.isActive():
        return
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_SUPPORT):
            domain.shutdown()  # a driver that knows one way only (libvirt's test driver)
        elif exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or domain.isActive():
            raise


def goes(domain: libvirt.virDomain) -> bool:
    """Whether its processors run."""
    return _state(domain)[0] in states.GOES


def pause(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """The guest's processors stand still.  Raises HypervisorError when it does not run."""
    domain, state = _live(conn, instance_id)
    if state in states.GOES:
        domain.suspend()


def unpause(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """A paused guest goes on.  Raises HypervisorError when it is off."""
    domain, state = _live(conn, instance_id)
    if state == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def _live(conn: libvirt.virConnect, instance_id: InstanceId) -> tuple[libvirt.virDomain, int]:
    domain = _ours(conn, instance_id)
    state = None if domain is None else _state(domain)[0]
    if domain is None or state not in (*states.GOES, libvirt.VIR_DOMAIN_PAUSED):
        raise HypervisorError(f"Guest {instance_id} does not run.")
    return domain, state
