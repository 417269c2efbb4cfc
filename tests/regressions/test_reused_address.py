# SPDX-License-Identifier: Apache-2.0
"""On a NAT network the second server had no network: its address was given again as soon as the first was deleted,
while dnsmasq still held the first one's lease and so answered the second nothing, for up to an hour."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.objects.instance import Address, Instance
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.common import LabError
from lab.counting import cannot_run
from lab.system_libvirtd import PrivateSystemLibvirtd
from tests.contract.drivers import Bench, Case, libvirt_qemu_case, state_directory
from tests.live.wire import dns, port

pytestmark = pytest.mark.live

BRIDGE = "kilonovabr"


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateSystemLibvirtd]:
    if (reason := PrivateSystemLibvirtd.unavailable()) is not None:
        cannot_run(f"a system libvirtd of its own: {reason}")
    running = PrivateSystemLibvirtd(Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp")))
    try:
        try:
            running.start()
        except LabError as exc:
            cannot_run(exc.sentence)
        yield running
    finally:
        running.remove()


@pytest.fixture
def case(daemon: PrivateSystemLibvirtd) -> Iterator[Case]:
    """Its driver is in the network that its guests are in, as a service is with the system's own daemon."""
    with daemon.entered(), state_directory() as directory:
        yield libvirt_qemu_case(directory, daemon)


async def guest(b: Bench, name: str, nth: int = 0) -> Instance:
    """One that is to have the nth address."""
    (network,) = (await b.driver.resources()).networks
    one = b.instance(hostname=name)
    first, _, last = network.first.rpartition(".")
    own = Address("kilonova", f"{first}.{int(last) + nth}", one.addresses[0].mac, 20, network.gateway, network.dns)
    return replace(one, addresses=(own,))


async def are_leased(b: Bench, *guests: Instance) -> None:
    """libvirt knows of exactly these leases: dnsmasq tells it of each after the guest has it."""
    async with asyncio.timeout(20):
        while await held(b) != {one.addresses[0].mac for one in guests}:  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.05)


async def held(b: Bench) -> set[str]:
    assert isinstance(b.driver, LibvirtDriver)
    network = await (await b.driver.proxy()).networkLookupByName("kilonova")
    return {lease["mac"] for lease in await network.DHCPLeases()}


def test_the_next_server_gets_the_address_at_once(case: Case) -> None:
    """Whatever its client calls itself: nothing, its MAC, a DUID."""

    async def test(b: Bench) -> None:
        for name, client_id in (("one", b""), ("two", b"\1 by MAC"), ("three", b"\xff\0\1\2\3"), ("four", b"")):
            one = await guest(b, name)
            await b.driver.ensure_network(one)
            with port(BRIDGE, one.addresses[0].mac) as nic:
                assert nic.ask_dhcp(client_id) == one.addresses[0].address
            await are_leased(b, one)
            await b.driver.remove_network(one)
            assert await held(b) == set()

    case.run(test)


def test_a_lease_that_a_dead_process_left_is_ended_by_the_next_server(case: Case) -> None:
    async def test(b: Bench) -> None:
        first, second = await guest(b, "one"), await guest(b, "two")
        await b.driver.ensure_network(first)
        with port(BRIDGE, first.addresses[0].mac) as nic:
            assert nic.ask_dhcp(b"\1one") == first.addresses[0].address
        await are_leased(b, first)
        await b.driver.ensure_network(second)
        with port(BRIDGE, second.addresses[0].mac) as nic:
            assert nic.ask_dhcp(b"\1two") == second.addresses[0].address
        await b.driver.remove_network(second)

    case.run(test)


def test_leases_that_are_left_behind_end_at_the_next_start(case: Case) -> None:
    """What is kept for a guest went in another process, or by hand; the host may have booted since."""
    left: list[Instance] = []

    async def leave(b: Bench) -> None:
        gone, stays = await guest(b, "gone"), await guest(b, "stays", 1)
        for one in (gone, stays):
            await b.driver.ensure_network(one)
            with port(BRIDGE, one.addresses[0].mac) as nic:
                assert nic.ask_dhcp() == one.addresses[0].address
        assert isinstance(b.driver, LibvirtDriver)
        await are_leased(b, stays, gone)
        network = await (await b.driver.proxy()).networkLookupByName("kilonova")
        entry = f"<host mac='{gone.addresses[0].mac}'/>"
        await network.update(2, 4, -1, entry, 3)  # delete, dhcp host, live and config
        left.append(stays)
        await network.destroy()

    async def again(b: Bench) -> None:
        await b.driver.resources()
        assert await held(b) == {one.addresses[0].mac for one in left}

    case.run(leave)
    case.run(again)


def test_an_address_that_its_guest_declined_is_good_for_the_next(case: Case) -> None:
    async def test(b: Bench) -> None:
        first, second = await guest(b, "one"), await guest(b, "two")
        await b.driver.ensure_network(first)
        with port(BRIDGE, first.addresses[0].mac) as nic:
            assert nic.ask_dhcp(b"\1one") == first.addresses[0].address
            nic.decline(first.addresses[0].address, first.addresses[0].gateway, b"\1one")
        await b.driver.remove_network(first)
        await b.driver.ensure_network(second)
        with port(BRIDGE, second.addresses[0].mac) as nic:
            assert nic.ask_dhcp(b"\1two") == second.addresses[0].address
        await b.driver.remove_network(second)

    case.run(test)


def test_names_are_of_a_project_and_go_with_their_server(case: Case) -> None:
    """A guest took another project's name in the DNS that they share, by its host name or by asking for it."""

    async def test(b: Bench) -> None:
        ours, theirs = await guest(b, "db"), await guest(b, "db", 1)
        ours, theirs = replace(ours, project_id="ours"), replace(theirs, project_id="theirs")
        for one in (ours, theirs):
            await b.driver.ensure_network(one)
            with port(BRIDGE, one.addresses[0].mac) as nic:
                assert nic.ask_dhcp(name="wpad") == one.addresses[0].address
        server = ours.addresses[0].gateway
        assert dns(server, "db.ours") == ours.addresses[0].address
        assert dns(server, "db.theirs") == theirs.addresses[0].address
        assert [dns(server, name) for name in ("db", "wpad")] == [None, None]
        await b.driver.remove_network(ours)
        assert dns(server, "db.ours") is None
        assert dns(server, "db.theirs") == theirs.addresses[0].address
        await b.driver.remove_network(theirs)

    case.run(test)


def test_where_dnsmasq_cannot_be_told_a_build_fails_with_the_reason(daemon: PrivateSystemLibvirtd) -> None:
    """A daemon in another network than the service's: the server would be up without a network."""

    async def test(b: Bench) -> None:
        first, second = await guest(b, "one"), await guest(b, "two")
        own = first.addresses[0]
        await b.driver.ensure_network(first)
        with daemon.entered(), port(BRIDGE, own.mac) as nic:
            assert nic.ask_dhcp() == own.address
        await are_leased(b, first)
        await b.driver.remove_network(first)  # a delete does not fail for it
        with pytest.raises(HypervisorError, match=f"The address {own.address} is leased to {own.mac} until"):
            await b.driver.ensure_network(second)
        await b.driver.remove_network(second)

    with state_directory() as directory:
        libvirt_qemu_case(directory, daemon).run(test)
