# SPDX-License-Identifier: Apache-2.0
"""The host's network: choice of backend and subnet, and the real thing behind NAT."""

import ipaddress
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from kilonova.base.errors import HypervisorError
from kilonova.networks.addresses import choose_subnet
from kilonova.objects.host_contents import NetworkContents, Reserved
from kilonova.objects.instance import Address
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.driver import LibvirtDriver
from kilonova.virt.libvirt.network import network
from kilonova.virt.libvirt.xml import network as network_xml
from lab.common import LabError
from lab.counting import cannot_run
from lab.system_libvirtd import PrivateSystemLibvirtd
from tests.contract.drivers import Bench, libvirt_qemu_case, present, state_directory

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br0\t00004D0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("configured", "uri", "backend"),
    [
        ("auto", "qemu:///system", "nat"),
        ("auto", "qemu+unix:///system?socket=/x", "nat"),
        ("auto", "qemu:///session", "user"),
        ("auto", "qemu+unix:///session?socket=/x", "user"),
        ("auto", "test:///default", "user"),
        ("user", "qemu:///system", "user"),
        ("nat", "qemu:///session", "nat"),
    ],
)
def test_the_backend_follows_the_connection(configured: str, uri: str, backend: str) -> None:
    assert network.backend_of(configured, uri) == backend


def test_routes_of_the_host_are_avoided(tmp_path: Path) -> None:
    path = tmp_path / "route"
    path.write_text(ROUTES)
    routes = network.read_routes(path)
    assert routes == ["0.0.0.0/0.0.0.0", "192.168.0.0/255.255.0.0", "10.77.0.0/255.255.0.0"]
    assert choose_subnet(routes) == "10.78.0.0/20"


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


async def leases(b: Bench) -> set[tuple[str, str, str]]:
    assert isinstance(b.driver, LibvirtDriver)
    conn = await b.driver.proxy()
    facts = network_xml.parse_network(await (await conn.networkLookupByName("kilonova")).XMLDesc(0))
    assert facts is not None
    names = {known.address: name for known in facts.names for name in known.names}
    hosts = [host for host in facts.hosts if host.name != "reserved"]
    return {(names.pop(host.address, ""), host.mac, host.address) for host in hosts} | {
        (n, "", a) for a, n in names.items()
    }


@pytest.mark.live
def test_a_guest_behind_nat_has_its_lease_and_leaves_none(daemon: PrivateSystemLibvirtd) -> None:
    async def test(b: Bench) -> None:
        (described,) = (await b.driver.resources()).networks
        assert described.backend == "nat"
        one = b.instance()
        address = Address("kilonova", described.first, one.addresses[0].mac, 20, described.gateway, described.dns)
        one = replace(one, addresses=(address,), hostname="one")
        for _ in range(2):
            await b.driver.ensure_network(one)
            assert await leases(b) == {("one.project", address.mac, described.first)}
        two = b.instance(hostname="two")
        # The address was another guest's before, and its lease was left behind.
        two = replace(two, addresses=(replace(address, mac=two.addresses[0].mac),))
        await b.driver.ensure_network(two)
        assert await leases(b) == {("two.project", two.addresses[0].mac, described.first)}
        await b.driver.remove_network(one)
        assert len(await leases(b)) == 1
        namesake = b.instance(hostname="two")
        nearby = str(ipaddress.ip_address(described.first) + 1)
        namesake = replace(namesake, addresses=(replace(address, mac=namesake.addresses[0].mac, address=nearby),))
        await b.driver.ensure_network(namesake)
        assert await leases(b) == {
            ("two.project", two.addresses[0].mac, described.first),
            ("", namesake.addresses[0].mac, nearby),
        }
        await b.driver.remove_network(namesake)
        await b.build(two)
        await b.driver.power_on(two.id, "m")
        assert await b.power(two.id) is PowerState.RUNNING
        await b.tear_down(two)
        await b.driver.remove_network(two)
        assert await leases(b) == set()
        assert (await b.driver.resources()).networks == (described,)

    with state_directory() as directory:
        libvirt_qemu_case(directory, daemon).run(test)


@pytest.mark.live
def test_a_network_that_was_stopped_runs_again_and_keeps_its_subnet(daemon: PrivateSystemLibvirtd) -> None:
    async def stop(b: Bench) -> None:
        before.append((await b.driver.resources()).networks)
        assert isinstance(b.driver, LibvirtDriver)
        await (await (await b.driver.proxy()).networkLookupByName("kilonova")).destroy()

    async def again(b: Bench) -> None:
        assert (await b.driver.resources()).networks == before[0]
        assert isinstance(b.driver, LibvirtDriver)
        found = await (await b.driver.proxy()).networkLookupByName("kilonova")
        assert await found.isActive()
        assert await found.autostart()

    before: list[object] = []
    with state_directory() as directory:
        case = libvirt_qemu_case(directory, daemon)
        case.run(stop)
        case.run(again)


@pytest.mark.live
def test_the_contents_of_a_network_are_read_without_a_change_and_mended(daemon: PrivateSystemLibvirtd) -> None:
    async def test(b: Bench) -> None:
        contents, (described,) = present(b.driver.contents), (await b.driver.resources()).networks
        guest = b.instance(hostname="one")
        address = Address("kilonova", described.first, guest.addresses[0].mac, 20, described.gateway, described.dns)
        guest = replace(guest, addresses=(address,))
        await b.driver.ensure_network(guest)
        reserved = (Reserved(address.mac, described.first),)
        assert await contents.networks() == NetworkContents(("kilonova",), (), "kilonova", reserved)
        assert isinstance(b.driver, LibvirtDriver)
        found = await (await b.driver.proxy()).networkLookupByName("kilonova")
        await found.destroy()
        (trouble,) = (await contents.networks()).troubles
        assert trouble == "The libvirt network kilonova does not run."
        assert not await found.isActive()
        await contents.mend_networks()
        assert (await contents.networks()).troubles == ()
        await b.driver.remove_network(guest)
        await found.destroy()
        await found.undefine()
        (trouble,) = (await contents.networks()).troubles
        assert trouble == "The libvirt network kilonova is not defined."
        await contents.mend_networks()
        assert (await contents.networks()).reserved == ()

    with state_directory() as directory:
        libvirt_qemu_case(directory, daemon).run(test)


@pytest.mark.live
def test_a_read_only_driver_makes_no_network(daemon: PrivateSystemLibvirtd) -> None:
    async def test(b: Bench) -> None:
        assert (await b.driver.resources()).networks == ()

    with state_directory() as directory:
        case = libvirt_qemu_case(directory, daemon)
        other = replace(case.settings.network, name="nobody-made-it")
        replace(case, settings=replace(case.settings, network=other)).run(test, read_only=True)


@pytest.mark.live
def test_a_subnet_that_cannot_be_is_refused_in_a_sentence(daemon: PrivateSystemLibvirtd) -> None:
    async def test(b: Bench) -> None:
        with pytest.raises(HypervisorError, match="libvirt refused"):
            await b.driver.resources()

    with state_directory() as directory:
        case = libvirt_qemu_case(directory, daemon)
        odd = replace(case.settings.network, name="odd/name", cidr="10.200.0.0/24")
        replace(case, settings=replace(case.settings, network=odd)).run(test)


@pytest.mark.live
def test_a_network_without_an_address_for_a_guest_is_refused_in_a_sentence(daemon: PrivateSystemLibvirtd) -> None:
    """Somebody else has made it, so no configuration says so."""

    async def test(b: Bench) -> None:
        with pytest.raises(HypervisorError, match="has no address for a guest"):
            await b.driver.resources()

    reserved = network_xml.DhcpHost(network.RESERVED_MAC, "10.201.0.2", "nobody")
    tiny = network_xml.NatNetwork("tiny", "tinybr", "10.201.0.1", "255.255.255.240", reserved)
    conn = libvirt.open(daemon.uri)
    conn.networkDefineXML(tiny.xml())
    conn.close()
    with state_directory() as directory:
        case = libvirt_qemu_case(directory, daemon)
        other = replace(case.settings.network, name="tiny")
        replace(case, settings=replace(case.settings, network=other)).run(test)
