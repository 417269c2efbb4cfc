# SPDX-License-Identifier: Apache-2.0
"""libvirt's domain events.  Callbacks run on libvirt's event thread and only pass a plain value to the event loop:
keepalive cannot work while a callback runs."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import libvirt

from kilonova.objects.guest import GuestEvent
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.connection.opening import Registrar

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


_WATCHDOG = _names("VIR_DOMAIN_EVENT_WATCHDOG_")
_BLOCK_JOB = {
    getattr(libvirt, f"VIR_DOMAIN_BLOCK_JOB_{word}"): word.lower()
    for word in ("COMPLETED", "FAILED", "CANCELED", "READY")
}
_AGENT = _names("VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_")


def _job_result(given: tuple[Any, ...]) -> str:
    return "failed" if given[0].get(libvirt.VIR_DOMAIN_JOB_SUCCESS) == 0 else "completed"


_OTHERS: tuple[tuple[str, Callable[[tuple[Any, ...]], str]], ...] = (
    ("REBOOT", lambda given: ""),
    ("IO_ERROR", lambda given: str(given[1])),
    ("WATCHDOG", lambda given: _WATCHDOG.get(given[0], "")),
    ("JOB_COMPLETED", _job_result),
    ("BLOCK_JOB_2", lambda given: f"{given[0]} {_BLOCK_JOB.get(given[2], '')}".rstrip()),
    ("DEVICE_REMOVED", lambda given: str(given[0])),
    ("DEVICE_REMOVAL_FAILED", lambda given: str(given[0])),
    ("AGENT_LIFECYCLE", lambda given: _AGENT.get(given[0], "")),
)
"""libvirt's name of each event besides lifecycle, and the detail by what its callback is given after the domain."""


def registrar(loop: asyncio.AbstractEventLoop, sink: Sink) -> Registrar:
    """Returns a function that registers the callbacks on a fresh connection: lifecycle, and those of `_OTHERS` that
    libvirt's driver has.  A driver without lifecycle events raises libvirtError.  `sink` is called on `loop`, once
    for each event."""
    deliver = partial(_deliver, loop, sink)

    def lifecycle(_conn: Any, domain: libvirt.virDomain, event: int, detail: int, _opaque: Any) -> None:
        deliver(domain, _LIFECYCLE.get(event, "unknown"), _DETAILS.get(event, {}).get(detail, ""))

    def other(name: str, detail_of: Callable[[tuple[Any, ...]], str]) -> Callable[..., None]:
        kind = name.removesuffix("_2").lower().replace("_", "-")

        def heard(_conn: Any, domain: libvirt.virDomain, *given: Any) -> None:
            deliver(domain, kind, detail_of(given))

        return heard

    def register(conn: libvirt.virConnect, ids: list[int]) -> None:
        ids.append(conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None))
        for name, detail_of in _OTHERS:
            event_id = getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{name}")
            try:
                ids.append(conn.domainEventRegisterAny(None, event_id, other(name, detail_of), None))
            except libvirt.libvirtError as exc:
                if exc.get_error_code() not in (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG):
                    raise  # a driver may lack these: the guest is also read for other reasons

    return register


def _deliver(loop: asyncio.AbstractEventLoop, sink: Sink, domain: libvirt.virDomain, kind: str, detail: str) -> None:
    event = GuestEvent(InstanceId(domain.UUIDString()), kind, detail)
    try:
        loop.call_soon_threadsafe(sink, event)
    except RuntimeError:
        return  # the loop is closed: the service ends
