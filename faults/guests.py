# SPDX-License-Identifier: Apache-2.0
"""Guests that freeze, and guests that other tools change."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import libvirt

from bench.run import Bench
from faults.lab import SERVERS, Scene, paced, quiet, scene, timed, wait_for
from faults.table import Row, Samples, p

DELETE_S = 60.0
"""A libvirt call may take 30 s (call_timeout); the delete's own deadline is 600 s."""


def frozen(bench: Bench) -> Row:
    """One QEMU of many SIGSTOP, then deleted through the API."""
    count = bench.n(12, 4)
    row = Row(
        f"one QEMU of {count} SIGSTOP, then deleted",
        "Console requests of the other guests in turns: each makes one libvirt call on the control pool.",
    )
    n = bench.n(1000, 100)
    with scene(bench) as here:
        image = here.image()
        servers = [here.create(image, f"guest-{one}") for one in range(count)]
        here.active(*servers)
        quiet(here, servers)
        ill, *others = servers
        turn = iter(range(1 << 30))
        ask = lambda: here.console(others[next(turn) % len(others)])  # noqa: E731
        paced(ask, 20)
        control = paced(ask, n)
        pid = here.pid(ill)
        os.kill(pid, signal.SIGSTOP)
        try:
            frozen_ms = paced(ask, n)
            unknown = lambda: (here.show(ill) or {}).get("status") == "UNKNOWN"  # noqa: E731
            noticed = timed(unknown, 30, "the frozen guest's status UNKNOWN")
            shown = here.show(ill) or {}
            os.kill(pid, signal.SIGCONT)
            active = lambda: (here.show(ill) or {}).get("status") == "ACTIVE"  # noqa: E731
            thawed = timed(active, 30, "the thawed guest's status ACTIVE")
            messages = [action["message"] for action in here.actions(ill) if action["action"] == "power-update"]
            os.kill(pid, signal.SIGSTOP)
            wait_for(unknown, 30, "the frozen guest's status UNKNOWN once more")
            gone: list[float] = []
            web = here.web()

            def delete() -> None:
                begun = time.perf_counter()
                web.expect(204, "DELETE", f"{SERVERS}/{ill}")
                wait_for(lambda: here.show(ill, web) is None, 120, "the deletion of the frozen guest")
                gone.append(time.perf_counter() - begun)

            thread = threading.Thread(target=delete, daemon=True)
            thread.start()
            during = paced(ask, n, at_least_s=5)
            thread.join(120)
            control += paced(ask, n)  # before and after: a machine whose noise changes meanwhile shows it
        finally:
            if pid in here.daemon.guests().values():
                os.kill(pid, signal.SIGCONT)
        left = ill in here.domains()
        ok = all((here.show(server) or {}).get("status") == "ACTIVE" for server in others)
    row.ratio("p99 on the others while it is frozen, over the control's", frozen_ms, control, 1.5)
    row.ratio("p99 on the others while it is deleted, over the control's", during, control, 1.5)
    summary = f"status {shown.get('status')}, vm_state {shown.get('OS-EXT-STS:vm_state')}, actions {messages}"
    by_itself = shown.get("OS-EXT-STS:vm_state") == "active" and any("not responding" in text for text in messages)
    row.true("the frozen one is shown as not responding, its vm_state stays", by_itself, summary)
    row.most("its delete ends", gone[0] if gone else 999.0, DELETE_S, "s")
    row.none("domains left of it", int(left))
    row.true("the others are all ACTIVE", ok)
    row.series += [
        Samples("control: console of each guest in turn, before and after", "ms", control),
        Samples("the same while one is frozen", "ms", frozen_ms),
        Samples("the same while that one is deleted", "ms", during),
        Samples("look at the frozen one, after those requests, to UNKNOWN", "s", [noticed]),
        Samples("SIGCONT to ACTIVE", "s", [thawed]),
        Samples("DELETE of the frozen one to 404", "s", gone),
    ]
    return row


class _Listener:
    """libvirt's lifecycle events on a separate connection, each with the moment at which it arrived."""

    def __init__(self, uri: str) -> None:
        libvirt.virEventRegisterDefaultImpl()
        self.heard: list[tuple[float, int]] = []
        threading.Thread(target=self._run, daemon=True).start()
        self.conn = libvirt.open(uri)
        self.conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._hear, None)

    def _run(self) -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    def _hear(self, _conn: Any, _domain: Any, event: int, _detail: int, _opaque: Any) -> None:
        self.heard.append((time.perf_counter(), event))


def events(bench: Bench) -> Row:
    """Changes of guests by other tools."""
    row = Row(
        "another tool changes a guest",
        "Suspended, resumed, destroyed, started by bare libvirt; from libvirt's event, received by a listener beside "
        "the service, to the first GET that shows the new state. The control is the GET itself.",
    )
    with scene(bench) as here:
        server = here.create(here.image())
        here.active(server)
        quiet(here, [server])
        listener = _Listener(here.daemon.uri)
        domain = listener.conn.lookupByUUIDString(server)
        times: dict[str, list[float]] = {}
        changes: list[tuple[str, Callable[[], Any], int, str]] = [
            ("suspended", domain.suspend, libvirt.VIR_DOMAIN_EVENT_SUSPENDED, "PAUSED"),
            ("resumed", domain.resume, libvirt.VIR_DOMAIN_EVENT_RESUMED, "ACTIVE"),
            ("destroyed", domain.destroy, libvirt.VIR_DOMAIN_EVENT_STOPPED, "SHUTOFF"),
            ("started", domain.create, libvirt.VIR_DOMAIN_EVENT_STARTED, "ACTIVE"),
        ]
        control = paced(lambda: here.box.web("GET", f"{SERVERS}/{server}"), 100)
        for _ in range(bench.n(10, 2)):
            for name, change, event, status in changes:
                times.setdefault(name, []).append(_latency(here, listener, server, change, event, status))
        listed = here.box.web.expect(200, "GET", f"{SERVERS}/{server}/os-instance-actions").json()["instanceActions"]
        messages = sum(action["action"] == "power-update" and bool(action["message"]) for action in listed)
        listener.conn.close()
    every = [value for values in times.values() for value in values]
    row.most("event to API, median", p(every, 0.5), 200, "ms")
    row.most("event to API, max", max(every), 200, "ms")
    row.true("each is an action with a reason", messages == len(every), f"{messages} of {len(every)}")
    row.series += [Samples(f"event to API: {name}", "ms", values) for name, values in times.items()]
    row.series.append(Samples("control: the GET", "ms", control))
    return row


def _latency(
    here: Scene, listener: _Listener, server: str, change: Callable[[], Any], event: int, status: str
) -> float:
    seen = len(listener.heard)
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    wait_for(lambda: (here.show(server) or {}).get("status") == status, 30, f"status {status}")
    shown = time.perf_counter()
    thread.join(30)
    heard = lambda: next((at for at, kind in listener.heard[seen:] if kind == event), None)  # noqa: E731
    return max(0.0, (shown - wait_for(heard, 10, "libvirt's event")) * 1000)
