# SPDX-License-Identifier: Apache-2.0
"""A conductor's transactions on a real database, one call each, with a host that has registered."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from kilonova.conductor.engine import accept, hand_out, reports
from kilonova.conductor.engine.plan import PLANS, Plan
from kilonova.conductor.hosts import guests, register
from kilonova.conductor.placement import place
from kilonova.conductor.verbs import create
from kilonova.conductor.watch import deadlines
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.writers import hosts as write_hosts
from kilonova.objects.action import Action
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ActionId, AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import LegId
from kilonova.objects.service import ComputeNode
from kilonova.objects.states import PowerState, Verb
from kilonova.rpcapi.api_to_conductor import AcceptAction, CreateServers
from kilonova.rpcapi.host_to_conductor import Finish, Observed, RegisterHost, ReportInventory, ReportStates
from kilonova.rpcapi.work import Fetch, Fetched
from tests import make, params

ONE = InstanceId("11111111-1111-4111-8111-111111111111")


class Desk:
    """Each method is one transaction, a second after the one before."""

    def __init__(self, directory: Path) -> None:
        self.db = make.database(directory)
        self.now = make.NOW
        self.plans: Mapping[Verb, Plan] = PLANS
        self._serial = 0

    def write(self, fn: Any, *args: Any, **words: Any) -> Any:
        self.now += timedelta(seconds=1)
        return make.run(self.db.write(fn, *args, **words))

    def read(self, fn: Any, *args: Any) -> Any:
        return make.run(self.db.read(fn, *args))

    def register(self, host: str = "h1", process: str = "process-1", **inventory: Any) -> int:
        name = HostName(host)
        request = RegisterHost(name, process, f"node-{host}", "boot", "kilonova-compute", "compute", 1, "nova")
        epoch: int = self.write(register.register, request, f"service-{host}", self.now)
        self.write(register.report_inventory, ReportInventory(name, epoch, f"node-{host}", make.inventory(**inventory)))
        return epoch

    def set_up(self, host: str, *, up: bool) -> None:
        self.write(write_hosts.update_service, HostName(host), read_hosts.COMPUTE, self.now, up=up)

    def create(
        self, instance: Instance | None = None, request_id: str = "req-create", **asked: tuple[str, ...]
    ) -> ActionId:
        self._serial += 1
        request = replace(CreateServers(make.context(request_id), (instance or make.instance(),)), **asked)
        action_id = ActionId(f"action-{self._serial}")
        self.write(create.create, request, (action_id,), self.now)
        return action_id

    def place(self, action_id: ActionId) -> HostName | None:
        return self.write(place.place, action_id, Random(1), self.now)

    def accept(self, verb: Verb, request_id: str, instance_id: InstanceId = ONE, **fields: Any) -> HostName | None:
        self._serial += 1
        asked = AcceptAction(make.context(request_id), instance_id, verb, params.requested(verb, **fields))
        action_id = ActionId(f"action-{self._serial}")
        return self.write(accept.accept, asked, action_id, self.now, None, self.plans)

    def fetch(self, attempt: str, *, epoch: int = 1, running: tuple[LegId, ...] = (), host: str = "h1") -> Fetched:
        return self.write(hand_out.hand_out, Fetch(HostName(host), epoch, AttemptId(attempt), running), self.now)

    def finish(
        self,
        action: Action,
        *,
        succeeded: bool = True,
        power: PowerState | None = PowerState.RUNNING,
        message: str | None = None,
        attempt: str | None = None,
        of_host: bool = False,
        read: ReadMark | None = None,
    ) -> reports.Finished:
        assert action.host is not None
        token = AttemptId(attempt) if attempt is not None else action.attempt
        assert token is not None
        report = Finish(action.host, action.leg_id, token, succeeded, power, (), message, of_host, read)
        return self.write(reports.finish, report, self._new_id, self.now)

    def observe(
        self, power: PowerState | None, *, epoch: int = 1, reason: str = "because", number: int = 0, host: str = "h1"
    ) -> bool:
        """Whether the report is recorded."""
        self._serial += 1
        report = ReportStates(HostName(host), epoch, (Observed(ONE, power, reason, number),))
        ids = (ActionId(f"action-{self._serial}"),)
        return self.write(guests.report_states, report, ids, self.now).guests == (ONE,)

    def active(self) -> None:
        """Instance ONE is ACTIVE on h1."""
        self.register()
        self.place(self.create())
        self.finish(self.fetch("t-create").items[0].action)

    def look(self, passed: timedelta) -> int:
        """The watchdog looks, so much later, having looked all the while; how many actions it ended."""
        self.now += passed
        due = self.write(deadlines.count_time, passed.total_seconds() + 1, self.now)
        return sum(self.write(deadlines.expire, action.id, self.now) for action in due)

    def _new_id(self) -> str:
        self._serial += 1
        return f"id-{self._serial}"

    def instance(self) -> Instance:
        return self.read(read_instances.get, ONE)

    def node(self) -> ComputeNode:
        return self.read(read_hosts.list_nodes)[0]

    def newest_action(self) -> Action:
        return self.actions()[0]

    def actions(self) -> list[Action]:
        """Of instance ONE, newest first."""
        return self.read(read_actions.of_instance, ONE)


def other(instance_id: str, **changes: Any) -> Instance:
    return replace(make.instance(instance_id), **changes)
