# SPDX-License-Identifier: Apache-2.0
"""Guests as libvirt domains: what is done to one, each function one hop in a native thread.

Every function takes a live connection, looks the domain up anew, and returns plain values; none touches a domain that
does not bear our metadata.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

import libvirt

from kilonova.base.errors import GuestStuck, HypervisorError
from kilonova.objects.guest import GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt import domain_xml

_POWER: Mapping[int, PowerState] = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # it is going down, and is not off yet
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}

_EXACT: Mapping[tuple[int, int], PowerState] = {
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED): PowerState.CRASHED,
    # In the middle of a start or an end: paused is a moment of it, not a state that anybody should see.
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP): PowerState.NOSTATE,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_SHUTTING_DOWN): PowerState.NOSTATE,
}

_STATE_NAMES: Mapping[int, str] = {
    libvirt.VIR_DOMAIN_RUNNING: "RUNNING",
    libvirt.VIR_DOMAIN_BLOCKED: "BLOCKED",
    libvirt.VIR_DOMAIN_PAUSED: "PAUSED",
    libvirt.VIR_DOMAIN_SHUTDOWN: "SHUTDOWN",
    libvirt.VIR_DOMAIN_SHUTOFF: "SHUTOFF",
    libvirt.VIR_DOMAIN_CRASHED: "CRASHED",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "PMSUSPENDED",
}


def _reason_names() -> dict[tuple[int, int], str]:
    """libvirt's own words, from its constants: VIR_DOMAIN_PAUSED_IOERROR is "ioerror"."""
    words: dict[tuple[int, int], str] = {}
    for state, name in _STATE_NAMES.items():
        prefix = f"VIR_DOMAIN_{name}_"
        for constant, value in vars(libvirt).items():
            if constant.startswith(prefix) and not constant.endswith("_LAST"):
                words[state, value] = constant.removeprefix(prefix).lower().replace("_", "-")
    return words


_REASONS = _reason_names()


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is known of a domain besides its state: whether it is ours, and its mark.  `stale`: it may have changed
    since, and is to be looked up again."""

    ours: bool
    mark: str | None = None
    stale: bool = False


def power_of(state: int, reason: int) -> PowerState:
    """Our power state of libvirt's pair; unknown numbers are NOSTATE, never off."""
    return _EXACT.get((state, reason), _POWER.get(state, PowerState.NOSTATE))


def reason_name(state: int, reason: int) -> str:
    """libvirt's word for how a domain came into its state; empty when it does not know."""
    word = _REASONS.get((state, reason), "")
    return "" if word == "unknown" else word


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


_STANDS = libvirt.VIR_DOMAIN_PAUSED
_GOES = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED)


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
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None  # it went away between the two calls
        raise
    return GuestState(power_of(state, reason), reason_name(state, reason), known.mark)


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
    states: dict[InstanceId, GuestState] = {}
    learned: dict[InstanceId, Ownership] = {}
    seen: set[InstanceId] = set(without)
    for domain, stats in rows:
        instance_id = InstanceId(domain.UUIDString())
        seen.add(instance_id)
        if (owner := known.get(instance_id)) is None or owner.stale:
            owner = learned[instance_id] = ownership(domain)
        if owner.ours:
            state, reason = stats.get("state.state", -1), stats.get("state.reason", -1)
            states[instance_id] = GuestState(power_of(state, reason), reason_name(state, reason), owner.mark)
    for instance_id in without:
        owner = known.get(instance_id)
        if owner is not None and owner.ours:
            states[instance_id] = GuestState(PowerState.NOSTATE, "being-destroyed", owner.mark)
    return BulkRead(states, learned, frozenset(seen))


def _bulk(conn: libvirt.virConnect, only: list[InstanceId] | None) -> list[tuple[libvirt.virDomain, dict[str, int]]]:
    if only is None:
        return conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
    domains = [domain for domain in (_lookup(conn, one) for one in only) if domain is not None]
    return conn.domainListGetStats(domains, libvirt.VIR_DOMAIN_STATS_STATE, 0) if domains else []


def define(conn: libvirt.virConnect, instance_id: InstanceId, render: Callable[[str | None], str]) -> Ownership:
    """Define the domain persistently, with the schema checked.  `render` makes the document, given the mark to keep."""
    domain = _ours(conn, instance_id)
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


def start(conn: libvirt.virConnect, instance_id: InstanceId, mark: str) -> bool:
    """The guest runs; True when it does now.  False when it is on its way down: ask again when it is off."""
    domain = _ours(conn, instance_id)
    if domain is None:
        raise HypervisorError(f"Guest {instance_id} is not known to the hypervisor.")
    state, reason = _state(domain)
    if state in _GOES:
        return True
    if state == libvirt.VIR_DOMAIN_SHUTDOWN or power_of(state, reason) is PowerState.NOSTATE:
        return False
    if state == libvirt.VIR_DOMAIN_PAUSED:
        _mark_and_run(domain, mark)
        return True
    if state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup(0)
        return True
    if state == libvirt.VIR_DOMAIN_CRASHED:
        domain.destroy()
    if _create_standing(domain):
        _mark_and_run(domain, mark)
    else:
        _set_mark(domain, mark)
        domain.createWithFlags(0)
    return True


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
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or _state(domain)[0] not in _GOES:
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

_STARTING_UP = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)

CURE_OF_STUCK = (
    "Stop libvirtd, remove {name}.xml from its run directory (/run/libvirt/qemu; of a session daemon "
    "$XDG_RUNTIME_DIR/libvirt/qemu/run), and start it again: it then knows that guest as off, and all others run on."
)
"""A libvirtd (seen: 9.0.0) that is ended after it has noted the start of a guest and before there is a process reads
that note at its next start: the guest is active, has no process, and is held by a job that nobody does.  Each call that
wants a job fails after JOB_WAIT_S; no other start of the daemon changes that as long as the note is there."""


def is_starting_up(domain: libvirt.virDomain) -> bool:
    """Between libvirt's decision to start it and QEMU's first word: a second or two, or for ever (CURE_OF_STUCK)."""
    return _state(domain) == _STARTING_UP


def destroy(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Pull the guest's plug.  Nothing to do when it is off or does not exist.  Raises GuestStuck, after JOB_WAIT_S,
    for one whose start nobody will ever end: a start that goes on lets itself be broken off."""
    domain = _ours(conn, instance_id)
    if domain is None or not domain.isActive():
        return
    stuck = is_starting_up(domain)
    try:
        domain.destroy()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return
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
    return _state(domain)[0] in _GOES


def pause(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """The guest's processors stand still.  Raises HypervisorError when it does not run."""
    domain, state = _live(conn, instance_id)
    if state in _GOES:
        domain.suspend()


def unpause(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """A paused guest goes on.  Raises HypervisorError when it is off."""
    domain, state = _live(conn, instance_id)
    if state == _STANDS:
        domain.resume()


def _live(conn: libvirt.virConnect, instance_id: InstanceId) -> tuple[libvirt.virDomain, int]:
    domain = _ours(conn, instance_id)
    state = None if domain is None else _state(domain)[0]
    if domain is None or state not in (*_GOES, _STANDS):
        raise HypervisorError(f"Guest {instance_id} does not run.")
    return domain, state
