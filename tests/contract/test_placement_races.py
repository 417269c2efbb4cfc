# SPDX-License-Identifier: Apache-2.0
"""Two conductors place at the same time on PostgreSQL: no host, address or group gets more than it may."""

import asyncio
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from random import Random

import pytest

from kilonova.conductor import bootstrap, server_groups
from kilonova.conductor.hosts import register
from kilonova.conductor.placement.place import Look, place
from kilonova.conductor.verbs import create
from kilonova.config.filter_scheduler import DEFAULTS
from kilonova.config.load import load
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers.candidates import Wanted, candidates
from kilonova.objects.ids import ActionId, HostName, InstanceId, ServerGroupId
from kilonova.objects.instance import Instance
from kilonova.objects.server_group import GroupPolicy, ServerGroup
from kilonova.objects.service import HostNetwork
from kilonova.rpcapi.api_to_conductor import CreateServers
from kilonova.rpcapi.host_to_conductor import RegisterHost, ReportInventory
from tests import make, postgres

LAN = HostNetwork("lan", "bridge", "192.0.2.0/24", "", "192.0.2.10", "192.0.2.99", bridge="br0")


class Fleet:
    """Two conductors' connections to one database."""

    def __init__(self, url: str) -> None:
        self.conductors = [postgres.opened(url), postgres.opened(url)]

    async def close(self) -> None:
        for database in self.conductors:
            await database.close()

    async def hosts(self, count: int, vcpus: int) -> None:
        for number in range(count):
            host = HostName(f"h{number}")
            known = RegisterHost(host, "p", f"n-{host}", "boot", "kilonova-compute", "compute", 1, "nova")
            inventory = make.inventory(networks=(LAN,), vcpus_capacity=vcpus)
            await self.conductors[0].write(register.register, known, f"s-{host}", make.NOW)
            report = ReportInventory(host, 1, f"n-{host}", inventory)
            await self.conductors[0].write(register.report_inventory, report)

    async def place(self, instances: list[Instance], *, stale: bool = True) -> None:
        """Create these instances, and place all of them at the same time by both conductors.  `stale`: all placements
        choose from what was there before the first of them."""
        ids = [ActionId(f"a-{instance.id}") for instance in instances]
        for instance, action_id in zip(instances, ids, strict=True):
            request = CreateServers(make.context(f"req-{instance.id}"), (instance,))
            await self.conductors[0].write(create.create, request, (action_id,), make.NOW)
        nodes = await self.conductors[0].read(read_hosts.nodes_to_place, make.NOW) if stale else None
        placed = [
            self.conductors[number % 2].write(place, action_id, Random(1), make.NOW, None, Look(nodes=nodes))
            for number, action_id in enumerate(ids)
        ]
        await asyncio.gather(*placed)

    async def instance(self, instance_id: str) -> Instance:
        return await self.conductors[1].read(read_instances.get, InstanceId(instance_id))


@pytest.fixture
def url(tmp_path: Path) -> Generator[str]:
    yield postgres.new_database(tmp_path, bootstrap.FirstAdmin("u1", "p1", "hash"))
    postgres.forget_all()


@pytest.mark.parametrize("stale", [True, False])
def test_no_host_is_claimed_beyond_its_capacity_and_no_address_twice(url: str, *, stale: bool) -> None:
    async def main() -> None:
        fleet = Fleet(url)
        await fleet.hosts(4, vcpus=3)
        instances = [make.instance(f"i{number}") for number in range(14)]
        await fleet.place(instances, stale=stale)
        placed = [await fleet.instance(one.id) for one in instances]
        on = Counter(one.host for one in placed)
        assert on == {"h0": 3, "h1": 3, "h2": 3, "h3": 3, None: 2}
        addresses = [one.addresses[0].address for one in placed if one.host is not None]
        assert len(set(addresses)) == len(addresses) == 12
        nodes = await fleet.conductors[0].read(read_hosts.list_nodes)
        assert {node.vcpus_used for node in nodes} == {3}
        faults = [one.fault.message for one in placed if one.fault is not None]
        assert all("CoreFilter refused 4 hosts" in message for message in faults)
        await fleet.close()

    make.run(main())


def test_two_members_of_a_group_that_keeps_apart_never_share_a_host(url: str) -> None:
    async def main() -> None:
        fleet = Fleet(url)
        await fleet.hosts(4, vcpus=64)
        for turn in range(5):
            group_id = ServerGroupId(f"g{turn}")
            group = ServerGroup(group_id, "p1", "u1", "apart", GroupPolicy.ANTI_AFFINITY, make.NOW)
            await fleet.conductors[0].write(server_groups.create, group, load().quota)
            members = [make.instance(f"i{turn}-{number}", server_group_id=group_id) for number in range(4)]
            await fleet.place(members)
            hosts = [(await fleet.instance(one.id)).host for one in members]
            assert sorted(map(str, hosts)) == ["h0", "h1", "h2", "h3"]
        await fleet.close()

    make.run(main())


def test_a_host_that_went_out_of_service_since_it_was_chosen_gets_nothing(url: str) -> None:
    async def main() -> None:
        fleet = Fleet(url)
        await fleet.hosts(2, vcpus=8)
        nodes = await fleet.conductors[0].read(read_hosts.nodes_to_place, make.NOW)
        await fleet.conductors[0].write(_disable, HostName("h0"))
        for number in range(6):
            instance = make.instance(f"i{number}")
            request = CreateServers(make.context(f"req-{number}"), (instance,))
            await fleet.conductors[0].write(create.create, request, (ActionId(f"a{number}"),), make.NOW)
            look = Look(nodes=nodes)
            host = await fleet.conductors[1].write(place, ActionId(f"a{number}"), Random(number), make.NOW, None, look)
            assert host == "h1"
        await fleet.close()

    make.run(main())


def test_more_than_a_column_can_have_is_compared_like_any_other_size(url: str) -> None:
    async def main() -> None:
        fleet = Fleet(url)
        await fleet.hosts(2, vcpus=8)
        await fleet.place([make.instance("i1"), make.instance("i2")])
        most = 2**31 - 1
        found = await fleet.conductors[0].read(candidates, make.NOW, Wanted(most, most, 2 * most), DEFAULTS)
        assert [node.service.host for node in found.nodes] == ["h0", "h1"]
        await fleet.close()

    make.run(main())


def _disable(tx: object, host: HostName) -> None:
    from kilonova.db.writers import hosts as write_hosts

    write_hosts.update_service(tx, host, read_hosts.COMPUTE, make.NOW, disabled=True)  # type: ignore[arg-type]
