# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and pausing libvirt domains.  Each function is one native call, as in `guest`."""

from enum import Enum

import libvirt

from kilonova.base.errors import GuestStuck, HypervisorError
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.domain import guest, states
from kilonova.virt.libvirt.xml import domain as domain_xml


class Start(Enum):
    """The result of one attempt."""

    RUNS = "runs"
    LATER = "later"
    """The guest is starting or ending: try again."""
    SAVED = "saved"
    """The guest's memory is saved: the guest is restored and not started, which takes longer."""


def start(conn: libvirt.virConnect, instance_id: InstanceId, start_token: str) -> Start:
    """Start the guest, unless it runs."""
    domain = guest.owned(conn, instance_id)
    if domain is None:
        raise HypervisorError(f"Guest {instance_id} is not known to the hypervisor.")
    state, reason = guest.state_of(domain)
    if state in states.RUNNING:
        return Start.RUNS
    if state == libvirt.VIR_DOMAIN_SHUTDOWN or states.power_of(state, reason) is PowerState.NOSTATE:
        return Start.LATER
    if state == libvirt.VIR_DOMAIN_PAUSED:
        _store_token_and_run(domain, start_token)
        return Start.RUNS
    if state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup(0)
        return Start.RUNS
    if guest.is_saved(domain, state):
        return Start.SAVED
    if state == libvirt.VIR_DOMAIN_CRASHED:
        domain.destroy()
    if _create_paused(domain):
        _store_token_and_run(domain, start_token)
    else:
        _store_token(domain, start_token)
        domain.createWithFlags(0)
    return Start.RUNS


def _create_paused(domain: libvirt.virDomain) -> bool:
    """The guest exists and has not run yet; False, and nothing has happened, where a driver cannot do that.

    The start token is stored between this and the guest's first instruction: wherever this process, the connection or
    libvirtd ends in the middle, a guest that ran has its token, and a guest with the token exists or existed.
    """
    try:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_INVALID_ARG:
            return False  # libvirt's test driver, whose guests execute nothing
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not domain.isActive():
            raise
    return True


def _store_token_and_run(domain: libvirt.virDomain, start_token: str) -> None:
    _store_token(domain, start_token)
    try:
        domain.resume()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or guest.state_of(domain)[0] not in states.RUNNING:
            raise  # (otherwise it runs already: another caller was faster)


def _store_token(domain: libvirt.virDomain, start_token: str) -> None:
    """Store the token in the definition of the running guest, if it runs, and in that of its next start."""
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        domain_xml.start_element(start_token),
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
"""A libvirtd (seen: 9.0.0) that ends after it has written the status file of a guest's start and before the guest
has a process reads that file at its next start: the guest is active, has no process, and a job that nothing executes
blocks it.  Each call that needs a job fails after JOB_WAIT_S; a restart of the daemon changes nothing while the file
exists."""


def is_starting_up(domain: libvirt.virDomain) -> bool:
    """Whether the domain is between libvirt's decision to start it and QEMU's first answer: this takes a second or two,
    or never ends (CURE_OF_STUCK)."""
    return guest.state_of(domain) == states.STARTING_UP


def destroy(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Power the guest off at once and drop its saved memory.  Nothing to do when it is off or does not exist.  Raises
    GuestStuck, after JOB_WAIT_S, for a guest whose start never ends: a start in progress can be interrupted."""
    domain = guest.owned(conn, instance_id)
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
            problem = f"libvirt keeps guest {instance_id} in a start that no process continues. "
            raise GuestStuck(problem + CURE_OF_STUCK.format(name=domain.name())) from exc
        if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or domain.isActive():
            raise


def shutdown(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Send the guest an ACPI request to shut down.  Nothing to do when it is off or does not exist."""
    domain = guest.owned(conn, instance_id)
    if domain is None or not domain.isActive():
        return
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_SUPPORT):
            domain.shutdown()  # a driver without this flag (libvirt's test driver)
        elif exc.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or domain.isActive():
            raise


def is_running(domain: libvirt.virDomain) -> bool:
    """Whether its processors run."""
    return guest.state_of(domain)[0] in states.RUNNING


def pause(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Stop the guest's processors.  Raises HypervisorError when it does not run."""
    domain, state = _live(conn, instance_id)
    if state in states.RUNNING:
        domain.suspend()


def unpause(conn: libvirt.virConnect, instance_id: InstanceId) -> None:
    """Resume a paused guest.  Raises HypervisorError when it is off."""
    domain, state = _live(conn, instance_id)
    if state == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def _live(conn: libvirt.virConnect, instance_id: InstanceId) -> tuple[libvirt.virDomain, int]:
    domain = guest.owned(conn, instance_id)
    state = None if domain is None else guest.state_of(domain)[0]
    if domain is None or state not in (*states.RUNNING, libvirt.VIR_DOMAIN_PAUSED):
        raise HypervisorError(f"Guest {instance_id} does not run.")
    return domain, state
