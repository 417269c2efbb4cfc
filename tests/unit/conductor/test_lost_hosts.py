# SPDX-License-Identifier: Apache-2.0
"""A host that does not come back, by an operator's word, and what it may still say if it does."""

from pathlib import Path

import pytest

from kilonova.base.errors import StaleWrite
from kilonova.conductor.hosts import guests, register
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.states import ActionState, PowerState, Verb, VmState
from kilonova.rpcapi.api_to_conductor_admin import DeleteService
from kilonova.rpcapi.host_to_conductor import ClassifyGuests
from tests import make
from tests.unit.conductor.desk import ONE, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.active()
    return made


def goes_down(desk: Desk) -> None:
    desk.write(write_hosts.update_service, make.HOST, COMPUTE, desk.now, up=False)


def test_a_host_whose_servers_were_deleted_can_be_forgotten_and_cleans_up_if_it_returns(desk: Desk) -> None:
    goes_down(desk)
    desk.accept(Verb.DELETE, "req-d")
    instance, is_deleted = desk.read(read_instances.get_known, ONE)
    assert (is_deleted, instance.vm_state) == (True, VmState.DELETED)
    assert desk.node().running_vms == 1
    desk.write(register.delete_service, DeleteService("service-h1"), desk.now)
    assert desk.newest_action().state is ActionState.DONE
    assert "was not removed" in (desk.newest_action().message or "")
    epoch = desk.register(process="process-2")
    assert desk.node().running_vms == 0
    assert desk.fetch("t2", epoch=epoch).items == ()
    judged = desk.read(guests.classify_guests, ClassifyGuests(make.HOST, epoch, (ONE,)))
    assert [one.id for one in judged.deleted] == [ONE]


def test_a_guest_that_cannot_be_removed_keeps_its_claim_and_is_tried_again(desk: Desk) -> None:
    goes_down(desk)
    desk.accept(Verb.DELETE, "req-d")
    for attempt in ("t1", "t2"):
        (item,) = desk.fetch(attempt).items
        desk.finish(item.action, succeeded=False, power=PowerState.RUNNING, message="it is stuck")
        assert desk.newest_action().state is ActionState.OPEN
        assert "could not remove the guest yet: it is stuck" in (desk.newest_action().message or "")
        assert desk.node().running_vms == 1
    (item,) = desk.fetch("t3").items
    with pytest.raises(StaleWrite):
        desk.finish(item.action, attempt="t1", power=None)
    desk.finish(item.action, power=None)
    assert desk.node().running_vms == 0
    assert desk.read(read_actions.all_open) == []


def test_a_guest_that_an_open_delete_will_remove_is_not_reaped_beside_it(desk: Desk) -> None:
    goes_down(desk)
    desk.accept(Verb.DELETE, "req-d")
    assert desk.read(guests.classify_guests, ClassifyGuests(make.HOST, 1, (ONE,))).deleted == ()
