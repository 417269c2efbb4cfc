# SPDX-License-Identifier: Apache-2.0
"""A fake driver whose machine outlives the process: its guests run on while the service is away, as those of libvirt.

The machine is a directory with one file per guest, which has the guest's parts after each call that changed them.  A
process that is killed finds the guests as its last complete call left them; so does one after a loss of power, as with
a real hypervisor, whose disks and definitions are on stable storage when a call returns.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from kilonova.base.files import make_directory, remove_files, replace_file
from kilonova.base.tasks import Supervisor
from kilonova.objects.ids import InstanceId
from kilonova.virt.driver import DriverSettings, VirtAPI
from kilonova.virt.fake.driver import FakeDriver
from kilonova.virt.fake.machine import FakeGuest, FakeHypervisor, FakeParts

DIRECTORY = "fake-machine"
"""Below the state directory of the host."""


@cache
def _form() -> TypeAdapter[FakeParts]:
    return TypeAdapter(FakeParts)


def guests_in(directory: Path, pattern: str = "*") -> Mapping[InstanceId, FakeGuest]:
    """The guests of the machine in this directory whose ids match the pattern.  The function blocks."""
    return {InstanceId(path.stem): _guest(path.read_bytes()) for path in sorted(directory.glob(f"{pattern}.json"))}


def _guest(text: bytes) -> FakeGuest:
    parts = _form().validate_json(text)
    return FakeGuest(**{part.name: getattr(parts, part.name) for part in fields(FakeParts)})


def lose_power(directory: Path) -> None:
    """The machine in this directory has lost its power: its guests are off.  The function blocks."""
    machine = FakeHypervisor(guests=dict(guests_in(directory)))
    machine.lose_power()
    for instance_id, guest in machine.guests.items():
        _save(directory, instance_id, guest)


def _save(directory: Path, instance_id: InstanceId, guest: FakeGuest | None) -> None:
    """The guest as it is, on stable storage; None: nothing of it is left."""
    path = directory / f"{instance_id}.json"
    if guest is None:
        remove_files((path,))
    else:
        replace_file(path, _form().dump_json(guest))


class DurableFakeDriver(FakeDriver):
    """The driver of a FakeHypervisor in the state directory."""

    def __init__(self, virtapi: VirtAPI, settings: DriverSettings, *, read_only: bool = False) -> None:
        super().__init__(virtapi, settings, read_only=read_only, hypervisor=FakeHypervisor(changed=self._save))
        self._directory = settings.default.state_path / DIRECTORY

    async def init_host(self, tasks: Supervisor) -> None:
        make_directory(self._directory)
        self.hypervisor.guests.update(guests_in(self._directory))
        await super().init_host(tasks)

    def _save(self, instance_id: InstanceId) -> None:
        """Replace the file at once; it is small, and the call that changed the guest waits for it."""
        _save(self._directory, instance_id, self.hypervisor.guests.get(instance_id))
