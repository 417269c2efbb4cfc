# SPDX-License-Identifier: Apache-2.0
"""A host that an operator gives up, what it may say afterwards, and the evacuation of its servers."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.base.errors import Conflict, InvalidState, NotFound, StaleWrite
from kilonova.conductor.hosts import forgotten, guests, lost_hosts, register
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import migrations as read_migrations
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers import tombstones as read_tombstones
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import quotas as write_quotas
from kilonova.db.writers.instances import reservations
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.quota import usage_of
from kilonova.objects.states import ActionState, PowerState, TaskState, Verb, VmState
from kilonova.rpcapi.api_to_conductor import UpdateService
from kilonova.rpcapi.api_to_conductor_admin import DeleteService, Forgotten
from kilonova.rpcapi.host_to_conductor import ClassifyGuests, CopiesRemoved, ListCopies
from tests import make
from tests.unit.conductor.desk import ONE, Desk

H1, H2 = make.HOST, HostName("h2")


class Site(Desk):
    """Instance ONE is ACTIVE on h1, and h1 is down."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.active()
        self.set_up("h1", up=False)

    def forget(self, *, heard: bool = False, host: HostName = H1) -> Forgotten:
        return self.write(forgotten.forget, host, self.now, heard=heard)

    def evacuate(self, request_id: str = "req-e", **fields: HostName) -> None:
        self.accept(Verb.EVACUATE, request_id, **fields)

    def evacuated(self) -> None:
        """Instance ONE lives on h2."""
        self.register("h2")
        self.evacuate()
        assert self.place(self.newest_action().id) == H2
        self.finish(self.fetch("t-e", host="h2").items[0].action)

    def enable(self, host: str = "h1") -> None:
        self.write(register.operator_update, UpdateService(f"service-{host}", disabled=False), self.now)

    def enable_in_spite(self, host: HostName) -> None:
        """The host is in service although it may have copies: the placement must know by itself."""
        self.write(write_hosts.update_service, host, read_hosts.COMPUTE, self.now, disabled=False)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_host_that_is_alive_is_not_given_up(site: Site) -> None:
    with pytest.raises(Conflict, match="Host h1 is alive"):
        site.forget(heard=True)
    site.set_up("h1", up=True)
    with pytest.raises(Conflict, match="Host h1 is alive"):
        site.forget()
    with pytest.raises(NotFound, match="no host h9"):
        site.forget(host=HostName("h9"))
    assert site.instance().vm_state is VmState.ACTIVE


def test_its_servers_are_in_error_without_a_host_and_keep_their_addresses(site: Site) -> None:
    before = site.read(reservations, ONE)
    done = site.forget()
    assert (done.servers, done.deletes) == (1, 0)
    instance = site.instance()
    assert (instance.vm_state, instance.host, instance.node, instance.power_state) == ("error", None, None, 0)
    assert instance.fault is not None
    assert instance.fault.message == forgotten.LOST
    assert "h1" not in instance.fault.message
    assert site.read(read_hosts.list_services) == []
    assert site.read(read_hosts.list_nodes) == []
    assert site.read(reservations, ONE) == before
    again = site.forget()
    assert (again.at, again.servers) == (done.at, 0)
    for verb in (Verb.REBOOT, Verb.REBUILD, Verb.STOP):
        with pytest.raises(InvalidState, match="without a host"):
            site.accept(verb, f"req-{verb}")
    site.accept(Verb.DELETE, "req-d")
    assert site.newest_action().state is ActionState.DONE
    assert site.read(reservations, ONE) == frozenset()


def test_deletes_that_waited_for_it_end_and_free_what_they_held(site: Site) -> None:
    site.accept(Verb.DELETE, "req-d")
    assert site.newest_action().state is ActionState.OPEN
    assert site.read(reservations, ONE) != frozenset()
    done = site.forget()
    assert (done.servers, done.deletes) == (0, 1)
    assert site.newest_action().state is ActionState.DONE
    assert site.read(reservations, ONE) == frozenset()
    assert site.read(read_quotas.usage, "p1").instances == 0


@pytest.mark.parametrize("forced_down", [False, True])
@pytest.mark.parametrize("received", [False, True])
def test_work_in_progress_ends_and_a_late_report_of_it_has_no_effect(
    site: Site, received: bool, forced_down: bool
) -> None:
    site.accept(Verb.REBOOT, "req-r", type="HARD")
    action = site.fetch("t1").items[0].action if received else None
    if forced_down:
        site.write(lost_hosts.call_down, H1, site.now, forced=True)
    site.forget()
    assert site.newest_action().state is ActionState.FAILED
    before = site.instance()
    assert (before.vm_state, before.task_state) == (VmState.ERROR, None)
    if action is not None:
        site.finish(action)
        assert site.newest_action().state is ActionState.FAILED
        assert site.instance() == before


def test_what_an_older_process_says_is_refused_also_after_the_host_is_back(site: Site) -> None:
    site.forget()
    with pytest.raises(StaleWrite):
        site.observe(PowerState.RUNNING)
    assert site.register(process="process-2") == 2
    with pytest.raises(StaleWrite):
        site.observe(PowerState.RUNNING)
    site.observe(PowerState.RUNNING, epoch=2)
    assert (site.instance().vm_state, site.instance().power_state) == (VmState.ERROR, PowerState.NOSTATE)
    site.set_up("h1", up=False)
    site.write(register.delete_service, DeleteService("service-h1"), site.now)
    assert site.register(process="process-3") == 3


def test_a_host_that_returns_is_out_of_service_until_its_copies_are_gone(site: Site) -> None:
    site.forget()
    site.register(process="process-2")
    (service,) = site.read(read_hosts.list_services)
    assert (service.disabled, service.disabled_reason) == (True, forgotten.RETURNED)
    assert site.read(forgotten.list_copies, ListCopies(H1, 2)).others == (ONE,)
    judged = site.read(guests.classify_guests, ClassifyGuests(H1, 2, (ONE,)))
    assert (judged.deleted, judged.elsewhere) == ((), (ONE,))  # it may be the last copy
    with pytest.raises(Conflict, match=f"Evacuate or delete these servers first: {ONE}"):
        site.enable()
    site.write(forgotten.copies_removed, CopiesRemoved(H1, 2, (ONE,)), site.now)
    with pytest.raises(Conflict):
        site.enable()
    site.evacuated()
    assert site.read(forgotten.list_copies, ListCopies(H1, 2)).superfluous == (ONE,)
    judged = site.read(guests.classify_guests, ClassifyGuests(H1, 2, (ONE,)))
    assert [one.id for one in judged.deleted] == [ONE]
    with pytest.raises(Conflict, match="Its kilonova-compute removes them"):
        site.enable()
    with pytest.raises(StaleWrite):
        site.write(forgotten.copies_removed, CopiesRemoved(H1, 1, (ONE,)), site.now)
    site.write(forgotten.copies_removed, CopiesRemoved(H1, 2, (ONE,)), site.now)
    site.enable()
    assert site.read(read_tombstones.forgotten, H1) is None
    judged = site.read(guests.classify_guests, ClassifyGuests(H1, 2, (ONE,)))
    assert (judged.deleted, judged.elsewhere) == ((), (ONE,))


def test_an_evacuation_builds_the_server_elsewhere_and_is_listed(site: Site) -> None:
    with pytest.raises(InvalidState, match="vm_state active"):
        site.evacuate()
    before = site.instance()
    site.forget()
    site.register(process="process-2")
    site.enable_in_spite(H1)
    site.register("h2")
    site.evacuate()
    assert site.instance().task_state is TaskState.REBUILDING
    (listed,) = site.read(read_migrations.page, read_migrations.MigrationQuery())
    assert (listed.migration.migration_type, listed.migration.status) == ("evacuation", "accepted")
    assert (listed.migration.source_compute, listed.migration.dest_compute) == ("h1", "")
    assert site.place(site.newest_action().id) == H2
    assert site.instance().task_state is TaskState.REBUILDING
    (item,) = site.fetch("t-e", host="h2").items
    site.finish(item.action)
    after = site.instance()
    assert (after.vm_state, after.host, after.fault, after.task_state) == (VmState.ACTIVE, H2, None, None)
    assert [(one.address, one.mac) for one in after.addresses] == [(one.address, one.mac) for one in before.addresses]
    assert {one.host for one in site.read(reservations, ONE)} == {H2}
    assert site.read(read_quotas.usage, "p1") == usage_of(after)
    (listed,) = site.read(read_migrations.page, read_migrations.MigrationQuery())
    assert (listed.migration.dest_compute, listed.migration.status) == ("h2", "done")


def test_an_evacuation_that_fails_can_be_repeated(site: Site) -> None:
    site.forget()
    site.register("h2")
    for number in range(2):
        site.evacuate(f"req-e{number}")
        site.place(site.newest_action().id)
        (item,) = site.fetch(f"t-e{number}", host="h2").items
        site.finish(item.action, succeeded=False, power=None, message="no room")
        assert (site.instance().vm_state, site.instance().host) == (VmState.ERROR, None)
        assert site.node().running_vms == 0
    migrations = site.read(read_migrations.page, read_migrations.MigrationQuery())
    assert [one.migration.status for one in migrations] == ["failed", "failed"]


def test_a_server_that_was_stopped_stays_stopped(site: Site) -> None:
    site.set_up("h1", up=True)
    site.accept(Verb.STOP, "req-s")
    site.finish(site.fetch("t-s").items[0].action, power=PowerState.SHUTDOWN)
    site.set_up("h1", up=False)
    site.forget()
    site.register("h2")
    site.evacuate()
    site.place(site.newest_action().id)
    site.finish(site.fetch("t-e", host="h2").items[0].action, power=PowerState.SHUTDOWN)
    assert site.instance().vm_state is VmState.STOPPED


def test_only_servers_of_a_host_that_was_given_up_are_evacuated(site: Site) -> None:
    site.accept(Verb.RESET_STATE, "req-reset", state="error")
    with pytest.raises(InvalidState, match="kilonova host forget h1"):
        site.evacuate()
    two = InstanceId("22222222-2222-4222-8222-222222222222")
    site.place(site.create(make.instance(two), request_id="req-two"))  # no host
    assert site.read(read_instances.get, two).vm_state is VmState.ERROR
    with pytest.raises(InvalidState, match="on no host that was given up"):
        site.accept(Verb.EVACUATE, "req-e2", two)


def test_a_host_that_dies_during_an_evacuation_can_be_given_up_too(site: Site) -> None:
    site.forget()
    site.register("h2")
    site.evacuate()
    site.place(site.newest_action().id)
    site.fetch("t-e", host="h2")
    site.set_up("h2", up=False)
    site.forget(host=H2)
    assert (site.instance().vm_state, site.instance().host) == (VmState.ERROR, None)
    site.register("h3")
    site.evacuate("req-e3", host=HostName("h3"))
    assert site.place(site.newest_action().id) == "h3"


def _resized(tx: Transaction) -> None:
    """ONE waits for the confirmation of a resize from a larger flavor."""
    instance = read_instances.get(tx, ONE)
    large = {"old_flavor": make.flavor(vcpus=4), "old_vm_state": VmState.ACTIVE, "vm_state": VmState.RESIZED}
    write_instances.update(tx, ONE, make.NOW, **large)
    write_quotas.move(tx, "p1", usage_of(replace(instance, old_flavor=make.flavor(vcpus=4))) - usage_of(instance))


def test_a_resize_that_waits_ends_with_its_host(site: Site) -> None:
    before = site.read(read_quotas.usage, "p1")
    site.write(_resized)
    site.forget()
    instance = site.instance()
    assert (instance.old_flavor, instance.new_flavor, instance.old_vm_state) == (None, None, None)
    assert site.read(read_quotas.usage, "p1") == before
