# SPDX-License-Identifier: Apache-2.0
"""Running the one box: state, socket, signals, and what it says to the person who started it."""

import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from kilonova.api.http.tls import is_exposed, make_context, refuse_plain_beyond_loopback
from kilonova.base import logging
from kilonova.base.clock import Clock, SystemClock
from kilonova.base.errors import ConfigError, HypervisorUnavailable
from kilonova.base.failpoints import from_environment
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import start_daemon
from kilonova.cmd import clouds
from kilonova.cmd.common import prepare_state, stop_on_signals
from kilonova.cmd.service import begin_to_stop
from kilonova.cmd.service_lifecycle import Hangup, service_lifecycle
from kilonova.config.load import Settings
from kilonova.db.inspect import has_users
from kilonova.db.location import database_path
from kilonova.objects.service import HostNetwork
from kilonova.wiring import OneBox, one_box

if TYPE_CHECKING:
    from kilonova.api.http.server import Server

log = structlog.get_logger(__name__)

FIRST_WORDS_S = 3.0
"""How long the greeting waits for the hypervisor before it says that it is not there."""
SLOW_START_S = 10.0
"""The same while nothing is known to be wrong: a session daemon's first start, with its look at QEMU, takes seconds."""
WHILE_WAITING = "everything that needs no hypervisor is served; `kilonova doctor` says what to do"
POLL_FIRST_S, POLL_S = 0.05, 1.0
POLICY_S = 2.0
"""How long the policy's library waits for the hypervisor: requests may come that need none."""
DRAIN_S = 10.0
EXPOSED = "plain HTTP on an address that other machines reach: passwords and tokens can be read on the network"
SESSION_LIMITS = (
    "a libvirt session of your own: guests reach out, and are reached by their ssh port and their console only; they "
    "may end with your last log-in (loginctl enable-linger keeps them); `kilonova install`, as root, is without these"
)


def run(settings: Settings, clouds_file: Path | None, again: Callable[[], Settings]) -> None:
    """Serve until a signal; `again` reads the configuration once more, on SIGHUP.

    Raises StateError or ConfigError in one sentence when it cannot even begin.
    """
    logging.set_up(debug=settings.default.debug)
    logging.guard_streams()
    state = settings.default.state_path
    refuse_plain_beyond_loopback(settings.api)
    tls = make_context(settings.api)
    lock = prepare_state(state)
    if clouds_file is not None:
        clouds.refuse_unless_usable(clouds_file, first_start=not has_users(database_path(state)))
    listener = bind(settings.api.listen, settings.api.port)
    try:
        import uvloop

        uvloop.run(_serve(settings, listener, tls, clouds_file, again))
    finally:
        listener.close()
        lock.close()


def bind(address: str, port: int) -> socket.socket:
    """The listening socket.  Raises ConfigError when the address is not free, or not the machine's own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.strip("[]"), port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise ConfigError(f"Cannot listen on {address}:{port}: {exc.strerror}; choose another with --listen.") from exc
    return listener


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
            hangup = Hangup(again, partial(_reload, box, server), stop.set)
            async with service_lifecycle(box.vitals, settings, hangup, clock, box.manager.ready):
                await stop.wait()
            begin_to_stop("kilonova")
            left = await box.manager.drain(DRAIN_S)
            server.stop()
            greeting.cancel()
            await serving
        if left:
            print(f"{left} unfinished actions are on disk; the next `kilonova up` goes on with them.")
        print("stopped; guests keep running, and the next `kilonova up` takes them back.", flush=True)


def _reload(box: OneBox, server: "Server", fresh: Settings) -> None:
    """The certificate, too, as it is on disk now.  Raises ConfigError, and has then changed nothing."""
    tls = make_context(fresh.api)
    if (tls is None) != (server.tls is None):
        raise ConfigError("Whether TLS is spoken is settled when the service starts: restart it.")
    box.reload(fresh)
    server.tls = tls


async def _prepare_policy(box: OneBox, clock: Clock) -> None:
    """Once the start is over: a thread of its own would still take the interpreter from it."""
    begun = clock.monotonic()
    while not box.manager.ready()[0] and clock.monotonic() - begun < POLICY_S:
        await clock.sleep(POLL_FIRST_S)
    start_daemon("policy", box.policy.prepare)


async def _greet(box: OneBox, clock: Clock, listener: socket.socket, clouds_file: Path | None) -> None:
    """Say where we are and what there is."""
    api = box.settings.api
    url = url_of(*listener.getsockname()[:2], tls=bool(api.ssl_cert_file), name=api.public_name)
    if clouds_file is not None:
        clouds.write(clouds_file, url, box.first_password)
    print(f"API         {url}")
    if is_exposed(api):
        log.warning("plain HTTP is served beyond this machine: passwords and tokens can be read on the network")
        print(f"warning     {EXPOSED}")
    print(f"state       {box.settings.default.state_path}")
    if clouds_file is None:
        text = clouds.clouds_yaml(url, box.first_password)
        print(f"\n# clouds.yaml: save it as ~/.config/openstack/clouds.yaml, then: export OS_CLOUD=kilonova\n{text}")
    else:
        print(f"clouds      {clouds_file}", flush=True)
    print(await _when_in_service(box, clock))
    print("ready", flush=True)


def url_of(address: str, port: int, *, tls: bool = False, name: str = "") -> str:
    """Where clients find what listens there: by its name if it has one; "all addresses" is no place to connect to."""
    address = name or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"{'https' if tls else 'http'}://{f'[{address}]' if ':' in address else address}:{port}"


async def _when_in_service(box: OneBox, clock: Clock) -> str:
    """What there is to say of the hypervisor, once it is in service; says what it waits for if that takes long."""
    began, said = clock.monotonic(), False
    while True:
        ready, reason = box.manager.ready()
        if ready:
            with contextlib.suppress(HypervisorUnavailable):  # it went away again
                return await _hypervisor(box)
        patience = FIRST_WORDS_S if box.manager.virtapi.enabled is False else SLOW_START_S
        if not ready and not said and clock.monotonic() - began > patience:
            said = True
            print(f"waiting     {reason} ({WHILE_WAITING})", flush=True)
        await clock.sleep(POLL_S if said else POLL_FIRST_S)


async def _hypervisor(box: OneBox) -> str:
    inventory = await box.manager.inventory()
    version = inventory.hypervisor_version
    dotted = f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
    lines = [f"hypervisor  {inventory.hypervisor_type} {dotted} on {inventory.node}"]
    lines += [f"network     {_said(network)}" for network in inventory.networks]
    if any(network.backend == "user" for network in inventory.networks):
        lines.append(f"limits      {SESSION_LIMITS}")
    return "\n".join(lines)


def _said(network: HostNetwork) -> str:
    line = f"{network.name}: {network.backend}, {network.cidr}"
    if network.bridge:
        line += f" on {network.bridge}"
    if network.ssh_port:
        line += f"; ssh -p {network.ssh_port} to the second address of a server"
    return line
