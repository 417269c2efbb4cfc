# SPDX-License-Identifier: Apache-2.0
"""The console listener of a host, and the API process that connects to it: over TLS, on a real port."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kilonova.api.consoles.hosts import HostConsoles
from kilonova.base.clock import SystemClock
from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidState, Unauthorized
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import DaemonWorkers
from kilonova.compute import consoles
from kilonova.compute.console_listener import ConsoleListener
from kilonova.compute.consoles import ConsoleDesk, hash_of
from kilonova.config.console import ConsoleSettings
from kilonova.objects.console import ConsoleKind, ConsoleStream, ConsoleTicket
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.rpc import certificates
from kilonova.rpcapi import console_wire
from kilonova.rpcapi.to_host import GrantConsole, RedeemConsole
from kilonova.virt.fake import FakeDriver
from tests.contract.drivers import Bench, fake_case
from tests.make import until
from tests.rfb import RETURN, Viewer

CLOCK = SystemClock()
SERIAL, VNC = ConsoleKind.SERIAL, ConsoleKind.VNC


@dataclass
class Host:
    """A host that listens, with one guest that runs."""

    bench: Bench
    desk: ConsoleDesk
    metrics: Metrics
    guest: Instance

    async def ticket(self, kind: ConsoleKind = SERIAL, guest_id: InstanceId | None = None) -> ConsoleTicket:
        """As an API process gets it over the bus."""
        token = CLOCK.new_secret(32)
        await self.desk.grant(GrantConsole(hash_of(token), guest_id or self.guest.id, kind, False, "ann", 60))
        granted = await self.desk.redeem(RedeemConsole(hash_of(token)))
        assert granted.bearer == "ann"
        return granted.ticket

    def refused(self, reason: str) -> bool:
        return f'kilonova_refused_consoles_total{{reason="{reason}"}}' in self.metrics.text().decode()


@asynccontextmanager
async def host(directory: Path, listen: tuple[str, int] = ("127.0.0.1", 0)) -> AsyncGenerator[Host]:
    case, metrics = fake_case(directory), Metrics()
    async with asyncio.timeout(60), case.open() as bench, Supervisor(CLOCK) as tasks:
        guest = bench.instance()
        await bench.build(guest)
        await bench.driver.power_on(guest.id, "m")
        desk = ConsoleDesk(HostName("box1"), bench.driver, CLOCK, metrics)
        listener = ConsoleListener(ConsoleSettings(listen=listen, address="127.0.0.1"), desk, CLOCK, lambda: "")
        serving = tasks.spawn("listener", listener.serve(tasks, DaemonWorkers("tls", 1)))
        await until(lambda: serving.done() or _listens(desk))
        yield Host(bench, desk, metrics, guest)


def _listens(desk: ConsoleDesk) -> bool:
    try:
        return desk.endpoint().port > 0
    except HypervisorUnavailable:
        return False


async def rest(stream: ConsoleStream) -> str:
    while await stream.read():
        pass
    return stream.ended


async def test_both_kinds_of_console_over_the_wire(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        serial = await HostConsoles().open(await h.ticket())
        sent = bytes(range(256)) * 4096  # more than one frame
        await serial.write(sent)
        said = b""
        while len(said) < len(sent):
            said += await serial.read()
            if b"were not read in time" in said:  # the guest waits for no reader
                break
        screen = await HostConsoles().open(await h.ticket(VNC))
        viewer = Viewer(screen.read, screen.write)
        await viewer.connect()
        before = await viewer.look()
        await viewer.press(RETURN)
        assert await viewer.look(incremental=True) != before
        await h.bench.driver.power_off(h.guest.id)
        for stream in (serial, screen):
            assert await rest(stream) == "The guest is no longer running."
            with pytest.raises(HypervisorError, match="no longer running"):
                await stream.write(b"x")
            await stream.close()


async def test_a_session_ends_at_both_ends(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        first = await HostConsoles().open(await h.ticket())
        second = await HostConsoles().open(await h.ticket())
        assert "taken over" in await rest(first)
        await second.close()
        assert isinstance(h.bench.driver, FakeDriver)
        guest = h.bench.driver.hypervisor.guests[h.guest.id]
        await until(lambda: guest.session is None)
        screens = [await HostConsoles().open(await h.ticket(VNC)) for _ in range(3)]
        assert len(guest.screens) == 3
        for screen in screens:
            await screen.close()
        await until(lambda: not guest.screens)


async def test_a_ticket_opens_its_console_once(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ticket = await h.ticket()
        wrong: tuple[Callable[[ConsoleTicket], ConsoleTicket], ...] = (
            lambda one: replace(one, instance_id=InstanceId("another")),
            lambda one: replace(one, kind=VNC),
            lambda one: replace(one, secret="guessed"),
        )
        stream = await HostConsoles().open(ticket)
        with pytest.raises(Unauthorized, match="was used"):
            await HostConsoles().open(ticket)
        for change in wrong:
            fresh = await h.ticket()
            with pytest.raises(Unauthorized, match="another console"):
                await HostConsoles().open(change(fresh))
        assert h.refused("ticket")
        await stream.close()


async def test_a_ticket_dies_with_its_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "TICKET_S", 0)
    async with host(tmp_path) as h:
        with pytest.raises(Unauthorized, match="has expired"):
            await HostConsoles().open(await h.ticket())
        assert h.refused("ticket")


async def test_a_process_with_another_certificate_is_not_trusted(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ticket = await h.ticket()
        other = certificates.new_alone(console_wire.SERVER_NAME, CLOCK.now()).certificate
        for certificate in (other, "", "no certificate"):
            with pytest.raises(HypervisorUnavailable, match="does not have the certificate of host box1"):
                await HostConsoles().open(replace(ticket, certificate=certificate))
        await (await HostConsoles().open(ticket)).close()  # and it has not seen the ticket


async def test_a_peer_without_a_ticket_gets_nothing(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ticket = await h.ticket()
        for sent in (b"GET / HTTP/1.1\r\n\r\n", console_wire.frame(console_wire.Frame.DATA, b"x"), b"\1\0\0\0\2{}"):
            context = ssl.create_default_context(cadata=ticket.certificate)
            reader, writer = await asyncio.open_connection(
                ticket.address, ticket.port, ssl=context, server_hostname=console_wire.SERVER_NAME
            )
            writer.write(sent)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
            writer.transport.abort()
        await until(lambda: h.refused("hello"))


async def test_a_ticket_is_not_read_without_tls(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ticket = await h.ticket()
        hello = console_wire.Hello(ticket.secret, ticket.instance_id, ticket.kind)
        reader, writer = await asyncio.open_connection(ticket.address, ticket.port)
        writer.write(console_wire.frame(console_wire.Frame.HELLO, console_wire.HELLO_FORM.dump_json(hello)))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1 << 16)  # an alert of TLS, and the end
        writer.transport.abort()
        await (await HostConsoles().open(ticket)).close()  # it is still good


async def test_a_host_that_is_gone_is_told_apart_in_one_sentence(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ticket, lost = await h.ticket(), await HostConsoles().open(await h.ticket())
    assert await rest(lost) == "The connection to the guest's host was lost."
    with pytest.raises(HypervisorUnavailable, match=r"Host box1 cannot be reached at 127\.0\.0\.1 port"):
        await HostConsoles().open(ticket)


async def test_a_host_that_cannot_listen_grants_nothing_and_says_why(tmp_path: Path) -> None:
    async with host(tmp_path) as first, host(tmp_path, ("127.0.0.1", first.desk.endpoint().port)) as second:
        with pytest.raises(HypervisorUnavailable, match=r"cannot listen on .* in use"):
            await second.ticket()


async def test_what_the_host_refuses_the_user_reads(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ticket = await h.ticket()
        await h.bench.driver.power_off(h.guest.id)
        with pytest.raises(InvalidState, match="not running"):
            await HostConsoles().open(ticket)
        with pytest.raises(InvalidState, match="not running"):
            await h.ticket(VNC)


async def test_a_secret_is_in_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with host(tmp_path) as h:
        ticket = await h.ticket()
        assert ticket.secret not in repr(ticket)
        await (await HostConsoles().open(ticket)).close()
        with pytest.raises(Unauthorized) as refused:
            await HostConsoles().open(ticket)
        assert ticket.secret not in str(refused.value)
        assert ticket.secret not in repr(console_wire.Hello(ticket.secret, h.guest.id, SERIAL))
        assert ticket.secret not in caplog.text
