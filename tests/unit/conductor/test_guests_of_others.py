# SPDX-License-Identifier: Apache-2.0
"""What a host receives of instances, and what it may say of what is not its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import Forbidden
from kilonova.conductor.engine import hand_out
from kilonova.conductor.hosts import guests, register
from kilonova.objects.ids import AttemptId, HostName, InstanceId
from kilonova.objects.instance import InjectedFile
from kilonova.objects.states import PowerState, Verb
from kilonova.rpcapi.host_to_conductor import ClassifyGuests, ReportInventory
from kilonova.rpcapi.work import Fetch, Fetched
from tests import make
from tests.unit.compute.test_reaper import mark_deleted
from tests.unit.conductor.desk import ONE, Desk, other
from tests.unit.conductor.test_shelving import Shelf

TWO = InstanceId(f"2{ONE[1:]}")
SECRETS = {
    "user_data": "c2VjcmV0",
    "key_data": "ssh-ed25519 SECRET",
    "files": (InjectedFile("/x", "c2VjcmV0"),),
    "metadata": {"password": "secret"},
}


def test_the_record_of_a_deleted_instance_comes_without_what_its_owner_gave_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register()
    desk.create(other(ONE, host=make.HOST, **SECRETS))
    desk.write(mark_deleted, ONE)
    (judged,) = desk.read(guests.classify_guests, ClassifyGuests(make.HOST, 1, (ONE,))).deleted
    assert judged.id == ONE
    assert "SECRET" not in repr(judged).upper()
    assert "C2VJCMV0" not in repr(judged).upper()


def test_a_host_receives_secrets_only_with_an_open_leg_of_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register()
    desk.register("h2")
    desk.place(desk.create(other(ONE, **SECRETS)))
    owner = desk.instance().host
    stranger = "h2" if owner == "h1" else "h1"
    assert desk.fetch("t-2", host=stranger).items == ()
    (item,) = desk.fetch("t-1", host=str(owner)).items
    assert item.instance.user_data == SECRETS["user_data"]
    desk.finish(item.action)
    assert desk.fetch("t-3", host=str(owner)).items == ()


def test_a_host_cannot_report_the_node_of_another(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register("h1")
    epoch = desk.register("h2")
    with pytest.raises(Forbidden, match="the node of another host"):
        desk.write(register.report_inventory, ReportInventory(HostName("h2"), epoch, "node-h1", make.inventory()))


def test_only_an_action_that_makes_images_unnecessary_drops_them(tmp_path: Path) -> None:
    desk = Shelf(tmp_path)
    desk.shelved()
    desk.accept(Verb.DELETE, "req-delete")
    (item,) = desk.fetch("t-delete").items
    with pytest.raises(Forbidden, match="makes no image unnecessary"):
        desk.drop(item.action)
    assert desk.instance().power_state is PowerState.SHUTDOWN


def test_an_action_that_is_larger_than_a_message_holds_up_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register()
    desk.place(desk.create(other(ONE, user_data="x" * 60_000)))
    desk.place(desk.create(other(TWO), "req-2"))
    request = Fetch(make.HOST, 1, AttemptId("t"), ())
    small: Fetched = desk.write(hand_out.hand_out, request, desk.now, 64 << 10)
    assert [item.instance.id for item in small.items] == [TWO]
    assert not small.more
    running = replace(request, running=tuple(item.action.leg_id for item in small.items))
    whole: Fetched = desk.write(hand_out.hand_out, running, desk.now)
    assert [item.instance.id for item in whole.items] == [ONE]


def test_a_small_message_takes_the_first_items_and_says_that_there_are_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register()
    for number in range(4):
        desk.place(desk.create(other(f"{number}{ONE[1:]}", user_data="x" * 20_000), f"req-{number}"))
    found: Fetched = desk.write(hand_out.hand_out, Fetch(make.HOST, 1, AttemptId("t"), ()), desk.now, 100_000)
    assert (len(found.items), found.more) == (2, True)
