# SPDX-License-Identifier: Apache-2.0
"""Guests as libvirt domains: finding, reading, defining and undefining them.  Each function is one native call.

Every function takes a live connection, looks the domain up again, and returns plain values; none touches a domain
without this service's metadata.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

import libvirt

from kilonova.base.errors import HypervisorError
from kilonova.objects.guest import GuestState
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.domain import active, states
from kilonova.virt.libvirt.domain.active import Definition
from kilonova.virt.libvirt.xml import domain as domain_xml


@dataclass(frozen=True, slots=True)
class Ownership:
    """The known facts of a domain besides its state: whether it is this service's, and its start token.  `stale`: it
    may have changed since, and must be read again."""

    ours: bool
    start_token: str | None = None
    stale: bool = False


def is_saved(domain: libvirt.virDomain, state: int) -> bool:
    """Whether it is off, and libvirt keeps its memory.  A file that exists while it runs is left over from an
    interrupted save."""
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
    """Whether the domain has this service's metadata, with the start token of the definition that it runs with (or
    would start with)."""
    text = _metadata(domain, domain_xml.METADATA_URI)
    if text is None or domain_xml.metadata_instance_id(text) != domain.UUIDString():
        return Ownership(ours=False)
    start = _metadata(domain, domain_xml.START_URI)
    return Ownership(ours=True, start_token=None if start is None else domain_xml.start_token(start))


def owned(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    """The domain; None when there is none; HypervisorError when it has another owner."""
    domain = _lookup(conn, instance_id)
    if domain is not None and not ownership(domain).ours:
        raise HypervisorError(f"Domain {instance_id} was not made by this service: it is left alone.")
    return domain


def running(conn: libvirt.virConnect, instance_id: InstanceId) -> libvirt.virDomain | None:
    """The domain while it runs; None when it is off or does not exist; HypervisorError when it has another owner."""
    domain = owned(conn, instance_id)
    return domain if domain is not None and domain.isActive() else None


def state_of(domain: libvirt.virDomain) -> tuple[int, int]:
    state, reason = cast("list[int]", domain.state())  # its annotation is wrong
    return state, reason


@dataclass(frozen=True, slots=True)
class Seen:
    """A domain of this service, libvirt's pair of its state, and whether it is off with its memory saved."""

    domain: libvirt.virDomain
    state: tuple[int, int]
    saved: bool


def look(conn: libvirt.virConnect, instance_id: InstanceId) -> Seen | None:
    """For further work on a domain within one native call; None when there is none, HypervisorError when it has another
    owner."""
    domain = owned(conn, instance_id)
    if domain is None:
        return None
    state = state_of(domain)
    return Seen(domain, state, is_saved(domain, state[0]))


def exists(conn: libvirt.virConnect, instance_id: InstanceId) -> bool:
    """Whether libvirt knows a domain with this id, of any owner."""
    return _lookup(conn, instance_id) is not None


def read(conn: libvirt.virConnect, instance_id: InstanceId) -> GuestState | None:
    """One fresh read of one guest; None when there is none, or it has another owner."""
    domain = _lookup(conn, instance_id)
    if domain is None:
        return None
    known = ownership(domain)
    if not known.ours:
        return None
    try:
        state, reason = state_of(domain)
        saved = is_saved(domain, state)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None  # it was removed between the calls
        raise
    return states.guest_state(state, reason, saved=saved, start_token=known.start_token)


@dataclass(frozen=True, slots=True)
class BulkRead:
    """All guests of this service, and the ownership of domains seen for the first time."""

    states: Mapping[InstanceId, GuestState]
    learned: Mapping[InstanceId, Ownership]
    seen: frozenset[InstanceId]


def read_all(
    conn: libvirt.virConnect, known: Mapping[InstanceId, Ownership], without: Collection[InstanceId] = ()
) -> BulkRead:
    """Every guest's state by one bulk call, and one more read for each domain that is not in `known` or stale there.

    `without` names guests that are being destroyed: while that takes long, libvirt delays every host-wide call, so the
    other guests are then read by name.  Guests in `without` are reported as unknown, never as absent.
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
            saved_now = off and instance_id in saved
            found[instance_id] = states.guest_state(state, reason, saved=saved_now, start_token=owner.start_token)
    for instance_id in without:
        owner = known.get(instance_id)
        if owner is not None and owner.ours:
            found[instance_id] = GuestState(PowerState.NOSTATE, "being-destroyed", owner.start_token)
    return BulkRead(found, learned, frozenset(seen))


_Rows = list[tuple[libvirt.virDomain, dict[str, int]]]


def _saved(conn: libvirt.virConnect, rows: _Rows, *, by_name: bool) -> frozenset[str]:
    """Which domains' memory libvirt keeps: the statistics do not report it.  One more call, if any domain is off."""
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
    """The guest's name and disks as libvirt has them; None when there is no domain.  HypervisorError when it has
    another owner."""
    return active.of(owned(conn, instance_id))


def define(
    conn: libvirt.virConnect,
    instance_id: InstanceId,
    render: Callable[[str | None], str],
    seen: Definition | None,
) -> Ownership | None:
    """Define the domain persistently, with the schema checked.  `render` makes the document, given the start token to
    keep, for the domain as it was `seen`; None, and nothing is done, when it has changed since."""
    domain = owned(conn, instance_id)
    if active.of(domain) != seen:
        return None
    token = ownership(domain).start_token if domain is not None else None
    conn.defineXMLFlags(render(token), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    return Ownership(ours=True, start_token=token)


UNDEFINE_FLAGS = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_TPM
)
PLAIN_UNDEFINE_FLAGS = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
"""For drivers that refuse the newer flags (libvirt's test driver)."""


def undefine(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Undefine the domain with everything that libvirt keeps for it.  An active domain is refused: it would run on
    without a definition."""
    domain = owned(conn, instance_id)
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
