# SPDX-License-Identifier: Apache-2.0
"""Runs the one box: state, socket, signals, and the text that the user sees at the start."""

import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from kilonova.api.http.tls import is_exposed, make_context, refuse_plain_beyond_loopback
from kilonova.base import logging
from kilonova.base.clock import Clock, SystemClock
from kilonova.base.errors import HypervisorUnavailable
from kilonova.base.failpoints import from_environment
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import start_daemon
from kilonova.cmd import clouds
from kilonova.cmd.common import prepare_state, stop_on_signals
from kilonova.cmd.listener import bind, reload, url_of
from kilonova.cmd.service import begin_to_stop
from kilonova.cmd.service_lifecycle import Hangup, service_lifecycle
from kilonova.config.load import Settings
from kilonova.db.inspect import has_users
from kilonova.db.location import database_path
from kilonova.objects.service import HostNetwork
from kilonova.wiring.one_box import OneBox, one_box

log = structlog.get_logger(__name__)

FIRST_WORDS_S = 3.0
"""How long the start text waits for the hypervisor before it reports that the hypervisor does not answer."""
SLOW_START_S = 10.0
"""The same while no error is known: the first start of a session daemon, which probes QEMU, takes seconds."""
WHILE_WAITING = "requests that need no hypervisor are served; `kilonova doctor` shows how to correct problems"
POLL_FIRST_S, POLL_S = 0.05, 1.0
POLICY_S = 2.0
"""How long loading the policy library waits for the hypervisor: requests without a need for it may arrive."""
DRAIN_S = 10.0
EXPOSED = "plain HTTP on an address that other machines can reach: passwords and tokens are readable on the network"
SESSION_LIMITS = (
    "a user session of libvirt: guests can open connections, and accept them on their ssh port and console only; they "
    "may end when you log out (loginctl enable-linger keeps them); `kilonova install`, as root, has no such limits"
)


def run(settings: Settings, clouds_file: Path | None, again: Callable[[], Settings]) -> None:
    """Serve until a signal.  `again` reads the configuration again, on SIGHUP.

    Raises StateError or ConfigError with one sentence when it cannot start.
    """
    logging.set_up(debug=settings.default.debug)
    logging.guard_streams()
    state = settings.default.state_path
    refuse_plain_beyond_loopback(settings.api)
    tls = make_context(settings.api)
    lock = prepare_state(state)
    if clouds_file is not None:
        clouds.check_writable(clouds_file, first_start=not has_users(database_path(state)))
    listener = bind(settings.api.listen, settings.api.port)
    try:
        import uvloop

        uvloop.run(_serve(settings, listener, tls, clouds_file, again))
    finally:
        listener.close()
        lock.close()


async def _serve(
    settings: Settings,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    clouds_file: Path | None,
    again: Callable[[], Settings],
) -> None:
    clock = SystemClock()
    stop = stop_on_signals()
    async with one_box(settings, clock, from_environment(os.environ)) as box:
        async with Supervisor(clock) as tasks:
            server = box.server(tls)
            serving = tasks.spawn("http", server.serve(sockets=[listener]))
            greeting = tasks.spawn("greeting", _greet(box, clock, listener, clouds_file))
            tasks.spawn("policy", _prepare_policy(box, clock))
            hangup = Hangup(again, partial(reload, box, server), stop.set)
            async with service_lifecycle(box.vitals, settings, hangup, clock, box.manager.ready):
                await stop.wait()
            begin_to_stop("kilonova")
            left = await box.manager.drain(DRAIN_S)
            server.stop()
            greeting.cancel()
            await serving
        if left:
            print(f"{left} unfinished actions are on disk; the next `kilonova up` continues them.")
        print("stopped; guests keep running, and the next `kilonova up` manages them again.", flush=True)


async def _prepare_policy(box: OneBox, clock: Clock) -> None:
    """Runs after the start: a separate thread would slow the start down because both need the interpreter lock."""
    begun = clock.monotonic()
    while not box.manager.ready()[0] and clock.monotonic() - begun < POLICY_S:
        await clock.sleep(POLL_FIRST_S)
    start_daemon("policy", box.policy.prepare)


async def _greet(box: OneBox, clock: Clock, listener: socket.socket, clouds_file: Path | None) -> None:
    """Print the addresses and the state of the service."""
    api = box.settings.api
    address, port = listener.getsockname()[:2]
    url = url_of(address, port, api)
    if clouds_file is not None:
        clouds.write(clouds_file, url, box.first_password)
    print(f"API         {url}")
    if is_exposed(api):
        log.warning("plain HTTP is served to other machines: passwords and tokens are readable on the network")
        print(f"warning     {EXPOSED}")
    print(f"state       {box.settings.default.state_path}")
    if clouds_file is None:
        text = clouds.clouds_yaml(url, box.first_password)
        print(f"\n# clouds.yaml: save it as ~/.config/openstack/clouds.yaml, then: export OS_CLOUD=kilonova\n{text}")
    else:
        print(f"clouds      {clouds_file}", flush=True)
    print(await _when_in_service(box, clock))
    print("ready", flush=True)


async def _when_in_service(box: OneBox, clock: Clock) -> str:
    """Print the hypervisor once it is available.  If that takes long, print what the service waits for."""
    began, reported = clock.monotonic(), False
    while True:
        ready, reason = box.manager.ready()
        if ready:
            with contextlib.suppress(HypervisorUnavailable):  # it became unavailable again
                return await _hypervisor(box)
        patience = FIRST_WORDS_S if box.manager.virtapi.enabled is False else SLOW_START_S
        if not ready and not reported and clock.monotonic() - began > patience:
            reported = True
            print(f"waiting     {reason} ({WHILE_WAITING})", flush=True)
        await clock.sleep(POLL_S if reported else POLL_FIRST_S)


async def _hypervisor(box: OneBox) -> str:
    inventory = await box.manager.inventory()
    version = inventory.hypervisor_version
    dotted = f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
    lines = [f"hypervisor  {inventory.hypervisor_type} {dotted} on {inventory.node}"]
    lines += [f"network     {_describe(network)}" for network in inventory.networks]
    if any(network.backend == "user" for network in inventory.networks):
        lines.append(f"limits      {SESSION_LIMITS}")
    return "\n".join(lines)


def _describe(network: HostNetwork) -> str:
    line = f"{network.name}: {network.backend}, {network.cidr}"
    if network.bridge:
        line += f" on {network.bridge}"
    if network.ssh_port:
        line += f"; ssh -p {network.ssh_port} to the second address of a server"
    return line
