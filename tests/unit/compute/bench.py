# SPDX-License-Identifier: Apache-2.0
"""A host's workbench: the real operations and runner on the fake driver, under virtual time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kilonova.base.failpoints import Action as FailAction
from kilonova.base.failpoints import Failpoints
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import InlineWorkers
from kilonova.compute.image_cache import ImageCache
from kilonova.compute.operation import Job, Tools
from kilonova.compute.operations import OPERATIONS
from kilonova.compute.runner import Outcome, Run, Runner
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.load import load
from kilonova.objects.action import Action
from kilonova.objects.ids import ActionId, AttemptId
from kilonova.objects.instance import Address, Instance
from kilonova.objects.leg import one_leg
from kilonova.objects.states import Verb
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor
from tests import make, params
from tests.simulation.virtual import SimClock
from tests.unit.compute.records import Library

ADDRESS = Address("kilonova", "10.9.0.2", "fa:16:3e:00:00:01", 24, "10.9.0.1")


class Bench:
    """`machine` outlives drivers, as a hypervisor outlives the service."""

    def __init__(self, directory: Path, machine: FakeHypervisor | None = None, boot_id: str = "boot-1") -> None:
        self.clock = SimClock(1)
        self.machine = machine or FakeHypervisor()
        self.machine.drivers.clear()  # of a process that died
        settings = load(overrides={("DEFAULT", "state_path"): str(directory), ("DEFAULT", "shutdown_timeout"): 5.0})
        self.virtapi = ComputeVirtAPI(self.clock)
        self.driver = FakeDriver(self.virtapi, settings, hypervisor=self.machine)
        self.source = make.OneImage()
        cache = ImageCache(directory / "_base", self.source, InlineWorkers(), self.clock)
        self.library = Library(directory, self.clock)
        self.tools = Tools(self.driver, cache, self.library.uploads, self.clock, settings.default, boot_id)
        self.instance: Instance = make.instance(host=make.HOST, addresses=(ADDRESS,))

    async def start(self, tasks: Supervisor) -> None:
        await self.driver.init_host(tasks)

    def job(self, verb: Verb, action_id: str = "", **fields: Any) -> Job:
        now = self.clock.now()
        action = Action(
            id=ActionId(action_id or f"action-{verb}"),
            instance_id=self.instance.id,
            verb=verb,
            request_id="req-1",
            user_id="u1",
            project_id="p1",
            started_at=now,
            updated_at=now,
            deadline=now + timedelta(hours=1),
            legs=one_leg(make.HOST, verb, attempt=AttemptId("attempt-1")),
            params=params.recorded(verb, **fields),
        )
        return Job(action, self.instance, self.tools)

    def prepare(self, job: Job) -> Run:
        return Run(job, OPERATIONS[job.action.verb], "h1")

    async def run(self, job: Job, armed: Mapping[str, FailAction] | None = None) -> Outcome:
        return await Runner(Failpoints(armed)).run(self.prepare(job))

    @property
    def guest_count(self) -> int:
        return len(self.machine.guests)

    @property
    def starts(self) -> int:
        return self.machine.guests[self.instance.id].starts


def with_image_gone(job: Job) -> Job:
    """The same job for an image whose checksum nothing has."""
    image = replace(job.instance.image, sha512="0" * 128)
    return replace(job, instance=replace(job.instance, image=image))
