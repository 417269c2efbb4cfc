# SPDX-License-Identifier: Apache-2.0
"""The compute drivers that the contract suite runs on, each with what a test needs around it."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import libvirt
import pytest

from kilonova.base.clock import Clock, SystemClock
from kilonova.base.tasks import Supervisor
from kilonova.config.load import Settings, load
from kilonova.networks.addresses import mac_of
from kilonova.objects.flavor import Flavor
from kilonova.objects.guest import GuestEvent
from kilonova.objects.ids import FlavorId, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Address, Instance
from kilonova.objects.states import PowerState
from kilonova.virt.base_image import BaseImage
from kilonova.virt.driver import ComputeDriver, load_compute_driver
from kilonova.virt.fake import FakeDriver
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.common import LabError
from lab.counting import cannot_run
from lab.libvirtd import PrivateLibvirtd
from tests.make import until

MIB = 1 << 20

P = TypeVar("P")


def present(part: P | None) -> P:
    """A part that the driver must have."""
    assert part is not None
    return part


FAKE, TEST = pytest.param("fake", id="fake"), pytest.param("libvirt-test", id="libvirt-test")
DURABLE = pytest.param("fake-durable", id="fake-durable")
QEMU = pytest.param("libvirt-qemu", id="libvirt-qemu", marks=pytest.mark.live)


@dataclass
class RecordingVirtAPI:
    """A VirtAPI that remembers what it was told."""

    clock: Clock = field(default_factory=SystemClock)
    events: list[GuestEvent] = field(default_factory=list)
    enabled: list[tuple[bool, str]] = field(default_factory=list)
    errors: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def emit_event(self, event: GuestEvent) -> None:
        self.events.append(event)

    def set_host_enabled(self, enabled: bool, reason: str = "") -> None:
        self.enabled.append((enabled, reason))

    def notify_error(self, event_type: str, payload: Mapping[str, Any]) -> None:
        self.errors.append((event_type, payload))

    @property
    def in_service(self) -> bool:
        return bool(self.enabled) and self.enabled[-1][0]


def small_instance(base: BaseImage, **changes: Any) -> Instance:
    """A small guest that exists nowhere yet."""
    instance_id = InstanceId(SystemClock().new_id())
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": instance_id,
        "project_id": "project",
        "user_id": "user",
        "name": "a <name> & more",
        "hostname": "a-name",
        "flavor": Flavor(FlavorId("1"), "tiny", vcpus=1, memory_mib=64, disk_gib=0),
        "image": ImageRef(ImageId("image"), "qcow2", 1, base.virtual_size, "sum"),
        "created_at": now,
        "updated_at": now,
        "addresses": (
            Address("kilonova", "10.0.2.16", mac_of(instance_id), prefix=24, gateway="10.0.2.2", dns=("10.0.2.3",)),
        ),
    }
    return Instance(**{**values, **changes})


@dataclass
class Bench:
    """A driver in service, and hands on the world around it."""

    driver: ComputeDriver
    virtapi: RecordingVirtAPI
    base: BaseImage
    settings: Settings
    obeys_acpi: bool

    def instance(self, **changes: Any) -> Instance:
        """A small guest that exists nowhere yet."""
        return small_instance(self.base, **changes)

    async def build(self, instance: Instance) -> None:
        """Everything before the first start."""
        await self.driver.ensure_disks(instance, self.base)
        await self.driver.ensure_config_drive(instance, {"openstack/latest/meta_data.json": b"{}"})
        await self.driver.ensure_network(instance)
        await self.driver.define(instance)

    async def tear_down(self, instance: Instance) -> None:
        """Everything undone, in reverse."""
        await self.driver.power_off(instance.id)
        await self.driver.undefine(instance.id)
        await self.driver.remove_network(instance)
        await self.driver.remove_disks(instance.id)

    async def power(self, instance_id: InstanceId) -> PowerState | None:
        """What one fresh read says."""
        state = await self.driver.guest_state(instance_id)
        return state.power if state is not None else None

    def files(self) -> list[Path]:
        """Files of any guest that are on the host now."""
        root = self.settings.default.instances_path
        return sorted(path for path in root.rglob("*")) if root.exists() else []


@dataclass
class Case:
    """One kind of driver.  `open` gives it in service and lets go of it afterwards."""

    name: str
    settings: Settings
    driver: str
    base: BaseImage
    obeys_acpi: bool
    freeze: Callable[[Bench, InstanceId, bool], None] | None = None
    """Makes a guest's process answer nothing, or go on; None where there is no process."""

    def instance(self) -> Instance:
        """A small guest that exists nowhere yet."""
        return small_instance(self.base)

    @asynccontextmanager
    async def open(self, *, read_only: bool = False) -> AsyncIterator[Bench]:
        virtapi = RecordingVirtAPI()
        driver = load_compute_driver(virtapi, self.driver, self.settings, read_only=read_only)
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            try:
                await until(lambda: virtapi.in_service)
                yield Bench(driver, virtapi, self.base, self.settings, self.obeys_acpi)
            finally:
                await driver.cleanup_host()

    def run(self, test: Callable[[Bench], Awaitable[None]], *, read_only: bool = False) -> None:
        """Play `test` on a fresh driver."""

        async def main() -> None:
            async with asyncio.timeout(90), self.open(read_only=read_only) as bench:
                await test(bench)

        asyncio.run(main())


def _settings(state_path: Path, **libvirt_options: str) -> Settings:
    overrides: dict[tuple[str, str], Any] = {("DEFAULT", "state_path"): str(state_path)}
    overrides |= {("libvirt", name): value for name, value in libvirt_options.items()}
    return load(overrides=overrides)


def fake_case(directory: Path, driver: str = "fake.FakeDriver") -> Case:
    base = BaseImage(directory / "base", "qcow2", 16 * MIB)

    def freeze(bench: Bench, instance_id: InstanceId, frozen: bool) -> None:
        assert isinstance(bench.driver, FakeDriver)
        bench.driver.hypervisor.freeze(instance_id, frozen)

    return Case("fake", _settings(directory), driver, base, obeys_acpi=True, freeze=freeze)


def make_base(directory: Path) -> BaseImage:
    """An empty disk that guests may lie on: enough for a firmware, which is all that most tests need."""
    if shutil.which("qemu-img") is None:
        cannot_run("qemu-img is not installed")
    path = directory / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "16M"], check=True, timeout=30)
    path.chmod(0o644)
    return BaseImage(path, "qcow2", 16 * MIB)


def libvirt_test_case(directory: Path) -> Case:
    node = directory / "node.xml"
    node.write_text("<node/>")
    settings = _settings(directory, connection_uri=f"test://{node}", virt_type="test")
    return Case("libvirt-test", settings, "libvirt.LibvirtDriver", make_base(directory), obeys_acpi=True)


@contextmanager
def private_daemon() -> Iterator[PrivateLibvirtd]:
    """A libvirtd of our own with real QEMU, gone afterwards."""
    if shutil.which("qemu-system-x86_64") is None:
        cannot_run("qemu-system-x86_64 is not installed")
    daemon = PrivateLibvirtd(Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp")))
    try:
        try:
            daemon.start()
        except LabError as exc:
            cannot_run(exc.sentence)
        yield daemon
    finally:
        daemon.remove()


@contextmanager
def state_directory() -> Iterator[Path]:
    """A directory that the private daemon's user can reach, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="kn-state-", dir="/var/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def libvirt_qemu_case(directory: Path, daemon: PrivateLibvirtd) -> Case:
    settings = _settings(directory, connection_uri=daemon.uri, virt_type="qemu", guest_pulse_timeout="1")

    def freeze(_bench: Bench, instance_id: InstanceId, frozen: bool) -> None:
        pid = next(pid for name, pid in daemon.guests().items() if instance_id in name)
        os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    base = make_base(directory)
    return Case("libvirt-qemu", settings, "libvirt.LibvirtDriver", base, obeys_acpi=False, freeze=freeze)


async def define_foreign(bench: Bench) -> InstanceId:
    """A running domain that somebody else made, by the proxied binding."""
    assert isinstance(bench.driver, LibvirtDriver)
    conn = await bench.driver.proxy()
    kind = {"TEST": "test", "QEMU": "qemu"}[await conn.getType()]
    instance_id = InstanceId(bench.virtapi.clock.new_id())
    document = (
        f"<domain type='{kind}'><name>foreign-{instance_id[:8]}</name><uuid>{instance_id}</uuid>"
        "<memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    )
    domain = await conn.defineXML(document)
    await domain.create()
    assert await domain.isActive()
    return instance_id


async def remove_foreign(bench: Bench, instance_id: InstanceId) -> None:
    """Away with it, and it must still be there and running."""
    assert isinstance(bench.driver, LibvirtDriver)
    conn = await bench.driver.proxy()
    domain = await conn.lookupByUUIDString(instance_id)
    assert (await domain.state())[0] == libvirt.VIR_DOMAIN_RUNNING
    await domain.destroy()
    await domain.undefine()
