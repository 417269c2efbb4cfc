# SPDX-License-Identifier: Apache-2.0
"""libvirt's domain events.  Callbacks run on libvirt's event thread and do nothing but hand a plain value to our loop:
while one of them worked, keepalive would stand still."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import libvirt

from kilonova.objects.guest import GuestEvent
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.opening import Registrar

Sink = Callable[[GuestEvent], None]


def _names(prefix: str) -> dict[int, str]:
    found = {
        value: name.removeprefix(prefix).lower().replace("_", "-")
        for name, value in vars(libvirt).items()
        if name.startswith(prefix) and isinstance(value, int) and not name.endswith("_LAST")
    }
    return dict(sorted(found.items()))


_KINDS = (
    "DEFINED",
    "UNDEFINED",
    "STARTED",
    "SUSPENDED",
    "RESUMED",
    "STOPPED",
    "SHUTDOWN",
    "PMSUSPENDED",
    "CRASHED",
)
_LIFECYCLE: dict[int, str] = {getattr(libvirt, f"VIR_DOMAIN_EVENT_{kind}"): kind.lower() for kind in _KINDS}
_DETAILS: dict[int, dict[int, str]] = {
    getattr(libvirt, f"VIR_DOMAIN_EVENT_{kind}"): _names(f"VIR_DOMAIN_EVENT_{kind}_") for kind in _KINDS
}


def registrar(loop: asyncio.AbstractEventLoop, sink: Sink) -> Registrar:
    """What registers our callbacks on a fresh connection: lifecycle, and where the driver has them reboot and I/O
    error.  A driver without lifecycle events raises libvirtError."""
    deliver = partial(_deliver, loop, sink)

    def lifecycle(_conn: Any, domain: libvirt.virDomain, event: int, detail: int, _opaque: Any) -> None:
        deliver(domain, _LIFECYCLE.get(event, "unknown"), _DETAILS.get(event, {}).get(detail, ""))

    def reboot(_conn: Any, domain: libvirt.virDomain, _opaque: Any) -> None:
        deliver(domain, "reboot", "")

    def io_error(_conn: Any, domain: libvirt.virDomain, _path: str, device: str, _action: int, _opaque: Any) -> None:
        deliver(domain, "io-error", device)

    def register(conn: libvirt.virConnect, ids: list[int]) -> None:
        ids.append(conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None))
        for event_id, callback in (
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot),
            (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR, io_error),
        ):
            try:
                ids.append(conn.domainEventRegisterAny(None, event_id, callback, None))
            except libvirt.libvirtError as exc:
                if exc.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                    raise

    return register


def _deliver(loop: asyncio.AbstractEventLoop, sink: Sink, domain: libvirt.virDomain, kind: str, detail: str) -> None:
    event = GuestEvent(InstanceId(domain.UUIDString()), kind, detail)
    try:
        loop.call_soon_threadsafe(sink, event)
    except RuntimeError:
        return  # the loop is closed: the service ends
