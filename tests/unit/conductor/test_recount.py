# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked for in whatever order, and however it ends: claims, quotas, addresses, migrations and images are
what a recount of the living instances says, at every commit."""

import contextlib
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.base.errors import Conflict, InvalidInput, InvalidState, NotFound, NoValidHost, StaleWrite
from kilonova.conductor import images
from kilonova.conductor.engine import accept, reports
from kilonova.conductor.hosts import guests, register
from kilonova.conductor.verify import database as verify_database
from kilonova.conductor.watch import auto_confirm, offload
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import images as read_images
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers import servers as read_servers
from kilonova.db.readers.hosts import COMPUTE
from kilonova.db.schema import addresses, migrations
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.action_params import image_made_with
from kilonova.objects.ids import ActionId, AttemptId, HostName, ImageId, InstanceId
from kilonova.objects.image import ImageStatus
from kilonova.objects.instance import Instance
from kilonova.objects.leg import LegId
from kilonova.objects.migration import ENDED
from kilonova.objects.quota import Usage, usage_of
from kilonova.objects.states import VERBS, PowerState, Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction, UpdateService
from kilonova.rpcapi.host_to_conductor import Finish, Observed, ReportStates
from kilonova.rpcapi.host_to_conductor_images import BeginImage, CompleteImage
from tests import make, params
from tests.unit.conductor.desk import Desk

HOSTS = ("h1", "h2")
STEPS = 250
MAKES_IMAGE = (Verb.CREATE_IMAGE, Verb.CREATE_BACKUP, Verb.SHELVE)
ASKED = [verb for verb in VERBS if verb is not Verb.CREATE]
WEIGHTED = [
    *ASKED,
    *[Verb.RESIZE, Verb.CONFIRM_RESIZE, Verb.REVERT_RESIZE, Verb.SHELVE, Verb.UNSHELVE, Verb.REBUILD] * 3,
]
"""Those that move what is held more often than the others."""
REFUSALS = (InvalidState, InvalidInput, NotFound, NoValidHost, Conflict)
OTHER = replace(make.image_ref(), id=ImageId("image-2"), virtual_size=7 << 30)


class Chance(Desk):
    """Does one thing after the other at random."""

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__(directory)
        self.random = Random(seed)
        for host in HOSTS:
            self.register(host, vcpus_capacity=8, memory_mib_capacity=16_000, disk_gib_capacity=300)

    def new_id(self) -> str:
        self._serial += 1
        return f"id-{self._serial}"

    def living(self) -> list[Instance]:
        return self.read(read_servers.page, read_servers.ServerQuery())

    def step(self) -> None:
        act = self.random.choice([self.build, *[self.ask] * 5, *[self.end] * 5, self.see, self.wait, self.go_or_come])
        with contextlib.suppress(*REFUSALS):
            act()

    def build(self) -> None:
        if len(self.living()) < 6:
            flavor = make.flavor(self.random.choice([1, 3]), 512, self.random.choice([0, 1, 20]))
            self.create(make.instance(self.new_id(), flavor=flavor), self.new_id())
        for waiting in self.read(read_actions.unplaced):
            if self.random.random() < 0.7:
                self.place(waiting.id)

    def ask(self) -> None:
        instance = self.random.choice(self.living() or [make.instance()])
        usual = [verb for verb in WEIGHTED if instance.vm_state in VERBS[verb].allowed]
        verb = self.random.choice(usual if self.random.random() < 0.9 else ASKED)
        fields: dict[Verb, dict[str, Any]] = {
            Verb.RESIZE: {"flavor_id": self.random.choice("345")},
            Verb.RESET_STATE: {"state": self.random.choice(["active", "error"])},
            Verb.RESCUE: {"image": self.random.choice([make.image_ref(), OTHER])},
            Verb.REBUILD: {"image": self.random.choice([make.image_ref(), OTHER])},
            **{key: {"image": params.image(f"image-of-{self.new_id()}")} for key in MAKES_IMAGE},
        }
        given = params.requested(verb, **fields.get(verb, {}))
        request = AcceptAction(make.context(self.new_id()), instance.id, verb, given)
        for _ in range(self.random.choice([1, 2])):  # it is delivered twice
            self.write(accept.accept, request, ActionId(self.new_id()), self.now)

    def end(self) -> None:
        host = self.random.choice(HOSTS)
        for item in self.fetch(self.new_id(), host=host).items:
            action, roll = item.action, self.random.random()
            if action.verb in MAKES_IMAGE and roll < 0.9:
                self.complete(action.leg_id, action.attempt)
            if roll < 0.8:
                assert action.attempt is not None
                gone = action.verb in (Verb.DELETE, Verb.SHELVE_OFFLOAD) or self.random.random() < 0.1
                power = None if gone else self.random.choice([PowerState.RUNNING] * 9 + list(PowerState))
                report = Finish(HostName(host), action.leg_id, action.attempt, self.random.random() < 0.8, power)
                for _ in range(2):
                    self.write(reports.finish, report, self.new_id, self.now)

    def complete(self, leg: LegId, attempt: AttemptId | None) -> None:
        action = self.read(read_actions.get, leg.action_id)
        assert action.host is not None
        assert attempt is not None
        with contextlib.suppress(StaleWrite):
            self.write(images.begin, BeginImage(action.host, leg, attempt), self.now)
            self.write(images.complete, CompleteImage(action.host, leg, attempt, 9, 1 << 30, "m", "s"), self.now)

    def see(self) -> None:
        for host in HOSTS:
            states = tuple(
                Observed(one.id, self.random.choice([*PowerState, None]), self.random.choice(["crashed", "user"]))
                for one in self.living()
                if one.host == host and self.random.random() < 0.2
            )
            ids = [ActionId(self.new_id()) for _ in states]
            self.write(guests.report_states, ReportStates(HostName(host), 1, states), ids, self.now)

    def wait(self) -> None:
        self.look(timedelta(seconds=self.random.choice([1, 1, 400, 4000])))
        self.write(auto_confirm.confirm_due, timedelta(seconds=300), self.new_id, self.now)
        due = self.read(offload.due, 300.0, self.now)
        self.write(offload.begin, due, self.new_id, self.now)

    def go_or_come(self) -> None:
        """A host goes down, an operator calls it down, or it is back."""
        host, up, forced = HostName(self.random.choice(HOSTS)), self.random.random() < 0.6, self.random.random() < 0.3
        self.write(write_hosts.update_service, host, COMPUTE, self.now, up=up)
        asked = UpdateService(f"service-{host}", forced_down=forced)
        for _ in range(2):
            self.write(register.operator_update, asked, self.now)

    def all_back(self) -> None:
        for host in HOSTS:
            self.write(write_hosts.update_service, HostName(host), COMPUTE, self.now, up=True)
            self.write(register.operator_update, UpdateService(f"service-{host}", forced_down=False), self.now)

    def check(self) -> None:
        living, open_actions = self.living(), self.read(read_actions.all_open)
        known = [self.read(read_instances.get_known, action.instance_id) for action in open_actions]
        leaving = [instance for instance, is_deleted in known if is_deleted]
        open_actions = [one for one in open_actions if one.instance_id not in {instance.id for instance in leaving}]
        holding = [*living, *leaving]
        for node in self.read(read_hosts.list_nodes):
            here = [write_hosts.claims(one) for one in holding if one.host == node.service.host]
            used = (node.running_vms, node.vcpus_used, node.memory_mib_used, node.disk_gib_used)
            assert used == (
                len(here),
                sum(one.vcpus for one in here),
                sum(one.memory_mib for one in here),
                sum(one.disk_gib for one in here),
            )
        assert self.read(read_quotas.usage, "p1") == sum((usage_of(one) for one in living), Usage())
        held = self.read(_count, addresses)
        assert held == Counter({one.id: len(one.addresses) for one in holding if one.addresses})
        assert self.read(_count, migrations, migrations.c.status.not_in(sorted(ENDED))) == Counter(
            {one.id: 1 for one in living if one.old_flavor is not None}
        )
        assert Counter(one.instance_id for one in open_actions) == Counter(
            {one.id: 1 for one in living if one.task_state is not None}
        )
        host_of = {one.id: one.host for one in living}
        assert all(host_of[one.instance_id] == one.host for one in open_actions)
        unfinished = {one.id for one in self.read(read_images.list_images, "p1") if one.status != ImageStatus.ACTIVE}
        assert unfinished <= {image_made_with(one.params) for one in open_actions}
        assert self.read(verify_database.differences) == ()


def _count(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> Counter[InstanceId]:
    return Counter(connection.execute(sa.select(table.c.instance_id).where(*where)).scalars())


@pytest.mark.parametrize("seed", range(4))
def test_a_recount_agrees_at_every_commit(seed: int, tmp_path: Path) -> None:
    chance = Chance(tmp_path, seed)
    for _ in range(STEPS):
        chance.step()
        chance.check()
    chance.all_back()
    for one in chance.living():
        chance.accept(Verb.DELETE, chance.new_id(), one.id)
    for host in HOSTS:
        for item in chance.fetch(chance.new_id(), host=host).items:
            chance.finish(item.action, power=None)
    assert chance.living() == []
    chance.check()
