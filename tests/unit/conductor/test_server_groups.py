# SPDX-License-Identifier: Apache-2.0
"""Server groups in the transactions that join them and that place their servers."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import InvalidInput, OverQuota
from kilonova.conductor import server_groups
from kilonova.conductor.verbs import create as create_verb
from kilonova.config.load import load
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers import server_groups as read_groups
from kilonova.db.writers import server_groups as write_groups
from kilonova.objects.ids import ActionId, InstanceId, ServerGroupId
from kilonova.objects.instance import Instance
from kilonova.objects.quota import Usage
from kilonova.objects.server_group import MAX_SERVER_PER_HOST, GroupPolicy, ServerGroup
from kilonova.objects.states import Verb, VmState
from kilonova.rpcapi.api_to_conductor import CreateServers
from tests import make
from tests.unit.conductor.desk import Desk

G = ServerGroupId("group-1")
QUOTAS = load(overrides={("quota", "server_groups"): 2, ("quota", "server_group_members"): 3}).quota


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def group(policy: GroupPolicy, group_id: str = G, **rules: int) -> ServerGroup:
    return ServerGroup(ServerGroupId(group_id), "p1", "u1", "a group", policy, make.NOW, rules)


def found(desk: Desk, policy: GroupPolicy, **rules: int) -> None:
    desk.write(server_groups.create, group(policy, **rules), QUOTAS)


def member(number: int, **changes: object) -> Instance:
    return make.instance(f"i{number}", server_group_id=G, **changes)


def host_of(desk: Desk, number: int) -> str | None:
    desk.place(desk.create(member(number), f"req-{number}"))
    return desk.read(read_instances.get, f"i{number}").host


def test_servers_of_a_group_of_anti_affinity_are_apart_or_say_why_not(desk: Desk) -> None:
    for host in ("h1", "h2"):
        desk.register(host)
    found(desk, GroupPolicy.ANTI_AFFINITY)
    assert {host_of(desk, 1), host_of(desk, 2)} == {"h1", "h2"}
    assert host_of(desk, 3) is None
    fault = desk.read(read_instances.get, "i3").fault
    assert fault is not None
    assert fault.message == (
        "No valid host was found. ServerGroupAntiAffinityFilter refused 2 hosts, h1 among them "
        "(has 1 of the group, at most 1 may be)."
    )


def test_builds_that_were_accepted_at_once_are_apart_too(desk: Desk) -> None:
    """Both are recorded, without a host, before either is placed."""
    for host in ("h1", "h2"):
        desk.register(host)
    found(desk, GroupPolicy.ANTI_AFFINITY)
    placed = [desk.place(action) for action in [desk.create(member(n), f"req-{n}") for n in range(3)]]
    assert sorted(host or "" for host in placed) == ["", "h1", "h2"]


def test_a_place_is_free_again_after_a_delete(desk: Desk) -> None:
    desk.register()
    found(desk, GroupPolicy.ANTI_AFFINITY, **{MAX_SERVER_PER_HOST: 2})
    assert [host_of(desk, n) for n in range(3)] == ["h1", "h1", None]
    desk.accept(Verb.DELETE, "req-d", InstanceId("i0"))
    assert host_of(desk, 3) is None  # not before its end
    (delete,) = [item for item in desk.fetch("t").items if item.action.verb is Verb.DELETE]
    desk.finish(delete.action, power=None)
    assert host_of(desk, 4) == "h1"


def test_servers_of_a_group_of_affinity_are_together(desk: Desk) -> None:
    for host in ("h1", "h2", "h3"):
        desk.register(host)
    found(desk, GroupPolicy.AFFINITY)
    assert len({host_of(desk, n) for n in range(3)}) == 1
    desk.create(make.instance("stranger"), "req-s")
    assert desk.read(read_groups.members, [G]) == {G: ["i0", "i1", "i2"]}


def test_a_group_that_is_gone_binds_nobody_and_its_servers_stay(desk: Desk) -> None:
    desk.register()
    found(desk, GroupPolicy.ANTI_AFFINITY)
    assert host_of(desk, 1) == "h1"
    waiting = desk.create(member(2), "req-2")
    for _ in range(2):
        desk.write(write_groups.delete, G)
    assert desk.place(waiting) == "h1"
    assert desk.read(read_instances.get, "i1").server_group_id is None
    with pytest.raises(InvalidInput, match="Instance group group-1 could not be found"):
        desk.create(member(3), "req-3")
    assert desk.read(read_quotas.usage, "p1") == Usage(2, 2, 256)


def test_no_more_members_than_the_quota(desk: Desk) -> None:
    found(desk, GroupPolicy.SOFT_ANTI_AFFINITY)

    def create(*numbers: int) -> None:
        request = CreateServers(make.context(f"req-{numbers}"), tuple(member(n) for n in numbers))
        desk.write(create_verb.create, request, tuple(ActionId(f"a{n}") for n in numbers), desk.now, QUOTAS)

    create(0, 1)
    create(0, 1)
    with pytest.raises(OverQuota, match=r"^Quota exceeded, too many servers in group$"):
        create(2, 3)
    assert desk.read(read_groups.count_members, G) == 2
    assert desk.read(read_quotas.usage, "p1").instances == 2
    create(2)
    desk.accept(Verb.DELETE, "req-d", InstanceId("i0"))
    create(4)


def test_no_more_groups_than_the_quota_and_a_repeat_is_one(desk: Desk) -> None:
    for group_id in ("a", "a", "b", "a"):
        desk.write(server_groups.create, group(GroupPolicy.AFFINITY, group_id), QUOTAS)
    with pytest.raises(OverQuota, match="too many server groups"):
        desk.write(server_groups.create, group(GroupPolicy.AFFINITY, "c"), QUOTAS)
    desk.write(server_groups.create, replace(group(GroupPolicy.AFFINITY, "c"), project_id="p2"), QUOTAS)
    assert [one.id for one in desk.read(read_groups.page, None, 0, 10)] == ["a", "b", "c"]


def test_a_server_that_found_no_host_is_a_member_that_is_nowhere(desk: Desk) -> None:
    desk.register(memory_mib_capacity=128)
    found(desk, GroupPolicy.AFFINITY)
    assert host_of(desk, 1) == "h1"
    assert host_of(desk, 2) is None
    assert desk.read(read_instances.get, "i2").vm_state is VmState.ERROR
    assert desk.read(read_groups.hosts_of_others, G, InstanceId("i3")) == {"h1": 1}
    assert desk.read(read_groups.count_members, G) == 2
