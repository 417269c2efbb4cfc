# SPDX-License-Identifier: Apache-2.0
"""Quotas: taken with the record, given back once, never counted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import NotFound, OverQuota
from kilonova.conductor import quota, server_edits
from kilonova.conductor.verbs import create as create_verb
from kilonova.config.load import load
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers import servers
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import quotas as write_quotas
from kilonova.objects.ids import ActionId, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.quota import Usage, usage_of
from kilonova.objects.states import ActionState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import CreateServers, EditMetadata
from tests import make
from tests.unit.conductor.desk import Desk

QUOTAS = load(overrides={("quota", "instances"): 3, ("quota", "cores"): 8, ("quota", "ram"): 1024}).quota
LIMITS = QUOTAS.defaults


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def create(desk: Desk, *instances: Instance, request_id: str = "req-1") -> Any:
    ids = tuple(ActionId(f"create-{instance.id}") for instance in instances)
    request = CreateServers(make.context(request_id), instances)
    return desk.write(create_verb.create, request, ids, desk.now, QUOTAS)


def of(project: str, number: int, **changes: Any) -> Instance:
    return make.instance(f"{project}-{number}", project_id=project, **changes)


def used(desk: Desk, project: str = "p2") -> Usage:
    return desk.read(read_quotas.usage, project)


def recorded(desk: Desk) -> list[str]:
    return sorted(instance.id for instance in desk.read(servers.page, servers.ServerQuery()))


def test_a_request_gets_all_or_nothing_and_says_what_is_over(desk: Desk) -> None:
    large = make.flavor(3, 256)
    create(desk, of("p2", 1, flavor=large), of("p2", 2, flavor=large))
    assert used(desk) == Usage(2, 6, 512)
    with pytest.raises(OverQuota) as caught:
        create(desk, of("p2", 3, flavor=large), of("p2", 4, flavor=make.flavor(1, 64)))
    assert str(caught.value) == (
        "Quota exceeded for cores, instances: Requested 4, 2, but already used 6, 2 of 8, 3 cores, instances"
    )
    assert (used(desk), recorded(desk)) == (Usage(2, 6, 512), ["p2-1", "p2-2"])
    create(desk, of("p2", 5, flavor=make.flavor(2, 512)))
    assert used(desk) == Usage(3, 8, 1024)


@pytest.mark.parametrize("limited", ["p2", read_quotas.DEFAULT_CLASS])
def test_a_recorded_limit_counts_before_the_configured_one(desk: Desk, limited: str) -> None:
    create(desk, of("p2", 1))
    desk.write(write_quotas.set_limits, limited, {"instances": 1})
    with pytest.raises(OverQuota):
        create(desk, of("p2", 2))
    assert used(desk).instances == 1
    if limited != "p2":
        desk.write(write_quotas.set_limits, "p2", {"instances": 2})
        create(desk, of("p2", 2))
        assert used(desk).instances == 2


def test_with_a_least_number_a_request_gets_what_the_limits_permit(desk: Desk) -> None:
    def ask(least: int, *numbers: int, size: int = 1) -> Any:
        wanted = tuple(of("p2", number, flavor=make.flavor(size, 64)) for number in numbers)
        ids = tuple(ActionId(f"create-{instance.id}") for instance in wanted)
        request = CreateServers(make.context(f"req-{numbers}"), wanted, least=least)
        return desk.write(create_verb.create, request, ids, desk.now, QUOTAS)

    with pytest.raises(OverQuota, match="Requested 9, but already used 0 of 8 cores"):
        ask(3, 1, 2, 3, 4, size=3)
    assert (used(desk), recorded(desk)) == (Usage(), [])
    assert ask(1, 1, 2, 3, 4, size=3) == ["create-p2-1", "create-p2-2"]
    assert (used(desk), recorded(desk)) == (Usage(2, 6, 128), ["p2-1", "p2-2"])
    assert ask(1, 1, 2, 3, 4, size=3) == []  # the same request, delivered again
    assert ask(1, 5, 6) == ["create-p2-5"]
    assert (used(desk), recorded(desk)) == (Usage(3, 7, 192), ["p2-1", "p2-2", "p2-5"])
    with pytest.raises(OverQuota):
        ask(1, 7, 8)
    desk.write(write_quotas.set_limits, "p2", {"instances": -1, "cores": -1, "ram": -1})
    assert ask(1, 7, 8) == ["create-p2-7", "create-p2-8"]


def test_projects_have_quotas_of_their_own(desk: Desk) -> None:
    for project in ("p2", "p3"):
        create(desk, *(of(project, n) for n in range(3)))
        with pytest.raises(OverQuota, match="already used 3 of 3 instances"):
            create(desk, of(project, 9))
    desk.write(write_quotas.set_limits, "p3", {"instances": -1, "cores": 4})
    create(desk, of("p3", 9))
    with pytest.raises(OverQuota, match="Requested 1, but already used 4 of 4 cores"):
        create(desk, of("p3", 10))
    desk.write(write_quotas.delete_limits, "p3")
    with pytest.raises(OverQuota, match="of 3 instances"):
        create(desk, of("p3", 10))


def test_the_first_project_has_none(desk: Desk) -> None:
    create(desk, *(of("p1", n, flavor=make.flavor(9, 9999)) for n in range(5)))
    assert used(desk, "p1") == Usage(5, 45, 49995)


def test_the_same_create_again_takes_nothing_and_none_of_it_comes_back_after_a_delete(desk: Desk) -> None:
    for _ in range(2):
        create(desk, of("p2", 1), of("p2", 2))
        assert used(desk) == Usage(2, 2, 256)
    desk.accept(Verb.DELETE, "req-delete", InstanceId("p2-1"))
    create(desk, of("p2", 1), of("p2", 2))
    assert used(desk) == Usage(1, 1, 128)


def test_a_delete_gives_back_at_its_end_and_once(desk: Desk) -> None:
    desk.active()
    assert used(desk, "p1") == Usage(1, 1, 128)
    for request_id in ("req-a", "req-a", "req-b"):
        desk.accept(Verb.DELETE, request_id)
    assert used(desk, "p1") == Usage(1, 1, 128)
    item = desk.fetch("t").items[0]
    for _ in range(2):
        desk.finish(item.action, power=None)
        assert used(desk, "p1") == Usage()
    with pytest.raises(NotFound):
        desk.accept(Verb.DELETE, "req-c")
    desk.finish(item.action, power=None)
    assert used(desk, "p1") == Usage()


def test_a_delete_that_fails_holds_what_the_next_one_gives_back(desk: Desk) -> None:
    desk.active()
    for attempt, succeeded in (("t1", False), ("t2", True)):
        desk.accept(Verb.DELETE, f"req-{attempt}")
        assert used(desk, "p1") == Usage(1, 1, 128)
        desk.finish(desk.fetch(attempt).items[0].action, succeeded=succeeded, power=None, message="no")
    assert used(desk, "p1") == Usage()


def test_a_create_that_fails_holds_its_quota_until_it_is_deleted(desk: Desk) -> None:
    desk.register(memory_mib_capacity=1)
    desk.place(desk.create())
    assert desk.instance().vm_state is VmState.ERROR
    assert used(desk, "p1") == Usage(1, 1, 128)
    desk.accept(Verb.DELETE, "req-d")
    assert used(desk, "p1") == Usage()


def test_a_delete_that_supersedes_a_create(desk: Desk) -> None:
    desk.register()
    desk.place(desk.create())
    create_item = desk.fetch("t1").items[0]
    desk.accept(Verb.DELETE, "req-d")
    desk.finish(create_item.action)  # too late: it was superseded
    assert used(desk, "p1") == Usage(1, 1, 128)
    (delete,) = desk.fetch("t2").items
    desk.finish(delete.action, power=None)
    assert used(desk, "p1") == Usage()
    assert desk.read(read_actions.get, create_item.action.id).state is ActionState.SUPERSEDED


def test_a_resize_holds_the_larger_of_both_sizes_until_it_waits_for_its_confirmation(desk: Desk) -> None:
    small, wide, tall = make.flavor(1, 128), make.flavor(4, 64), make.flavor(1, 256)
    instance = of("p2", 1, flavor=small)
    create(desk, instance)

    def becomes(before: Instance, **values: Any) -> Instance:
        desk.write(quota.charge_difference, QUOTAS, before, values)
        desk.write(lambda connection: write_instances.update(connection, before.id, desk.now, **values))
        return replace(before, **values)

    asked = becomes(instance, new_flavor=wide)
    assert used(desk) == Usage(1, 4, 128)
    resized = becomes(asked, flavor=wide, old_flavor=small, new_flavor=None)
    assert used(desk) == usage_of(resized) == Usage(1, 4, 64)
    confirmed = becomes(resized, old_flavor=None)
    assert used(desk) == usage_of(confirmed) == Usage(1, 4, 64)
    again = becomes(confirmed, new_flavor=tall)
    reverted = becomes(again, new_flavor=None)
    assert used(desk) == Usage(1, 4, 64)
    with pytest.raises(OverQuota, match="Quota exceeded for cores, ram: Requested 5, 1936, but already used 4, 64 of "):
        becomes(reverted, new_flavor=make.flavor(9, 2000))
    assert used(desk) == Usage(1, 4, 64)
    desk.write(write_quotas.set_limits, "p2", {"instances": 0, "cores": 0})
    becomes(reverted, new_flavor=make.flavor(1, 1024))  # what it wants more of is within the limit
    desk.accept(Verb.DELETE, "req-d", instance.id)
    assert used(desk) == Usage()


def test_an_outcome_is_recorded_whatever_the_limits(desk: Desk) -> None:
    create(desk, of("p2", 1))
    desk.write(write_quotas.set_limits, "p2", {"cores": 1})
    desk.write(quota.charge_difference, None, of("p2", 1), {"flavor": make.flavor(2, 128)})
    assert used(desk) == Usage(1, 2, 128)


def test_metadata_has_a_limit_of_the_servers_project(desk: Desk) -> None:
    items = {str(n): "" for n in range(4)}
    desk.write(write_quotas.set_limits, "p2", {"metadata_items": 3})
    with pytest.raises(OverQuota, match=r"^Maximum number of metadata items exceeds 3\.$"):
        create(desk, of("p2", 1, metadata=items))
    assert (used(desk), recorded(desk)) == (Usage(), [])
    create(desk, of("p2", 1, vm_state=VmState.ACTIVE))
    edit = EditMetadata(make.context(), InstanceId("p2-1"), put=items)
    with pytest.raises(OverQuota, match="exceeds 3"):
        desk.write(server_edits.edit_metadata, edit, desk.now, QUOTAS)
    with pytest.raises(OverQuota, match="exceeds 3"):
        desk.write(quota.charge_difference, QUOTAS, of("p2", 1), {"metadata": items})
    desk.write(write_quotas.set_limits, "p2", {"metadata_items": -1})
    desk.write(server_edits.edit_metadata, edit, desk.now, QUOTAS)


def test_the_servers_of_a_project_use_more_memory_than_31_bits_count(desk: Desk) -> None:
    large, no_limit = Usage(1, 1, 2**31 - 1), dict.fromkeys(LIMITS, -1)
    desk.write(write_quotas.move, "p2", large)
    for more in (large, large + large):
        assert desk.write(write_quotas.take_within_limits, "p2", more, no_limit)
        assert desk.write(write_quotas.take, "p2", more, no_limit)
    assert used(desk) == Usage(7, 7, 7 * large.ram)
    assert not desk.write(write_quotas.take, "p2", large, {**no_limit, "ram": 2**31 - 1})
