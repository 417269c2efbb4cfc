# SPDX-License-Identifier: Apache-2.0
"""More guests than the control pool has sockets leave calls without an answer: all others are served."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import libvirt
import pytest

from kilonova.config.load import load
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import SNAPSHOTS
from kilonova.virt.libvirt.disks import snapshot_job
from kilonova.virt.libvirt.driver import LibvirtDriver
from tests.contract.drivers import Bench, Case, make_base, private_daemon, state_directory
from tests.make import until

pytestmark = pytest.mark.live

ILL = 10


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    """libvirt's test driver behind a real daemon."""
    with private_daemon() as daemon, state_directory() as directory:
        options = {"connection_uri": daemon.test_uri, "virt_type": "test", "call_timeout": "120"}
        overrides = {("libvirt", name): value for name, value in options.items()}
        settings = load(overrides={("DEFAULT", "state_path"): str(directory), **overrides})
        yield Case("stuck", settings, "libvirt.LibvirtDriver", make_base(directory), obeys_acpi=False)


Request = Callable[[LibvirtDriver, InstanceId], Awaitable[object]]
REQUESTS: dict[str, tuple[Request, type | ModuleType, str]] = {
    "pause": (lambda driver, guest: driver.pause(guest), libvirt.virDomain, "suspend"),
    "shutdown": (lambda driver, guest: driver.shutdown(guest), libvirt.virDomain, "shutdownFlags"),
    "power-off": (lambda driver, guest: driver.power_off(guest), libvirt.virDomain, "destroy"),
    "snapshot": (lambda driver, guest: SNAPSHOTS.of(driver).take(guest, "x", 60), snapshot_job, "look"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_calls_of_ten_guests_that_do_not_return_hold_up_no_other_guest(
    case: Case, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    request, owner, native = REQUESTS[name]
    begun: set[str] = set()
    may_go_on = threading.Event()
    real, real_state = getattr(owner, native), libvirt.virDomain.state

    async def test(b: Bench) -> None:
        assert isinstance(b.driver, LibvirtDriver)
        other, *guests = [b.instance() for _ in range(ILL + 1)]
        for guest in (other, *guests):
            await b.build(guest)
            await b.driver.power_on(guest.id, "m")
        ill = {guest.id for guest in guests}

        def stuck(subject: Any, *words: Any, **named: Any) -> Any:
            about = InstanceId(named["instance_id"] if "instance_id" in named else subject.UUIDString())
            if about in ill:
                begun.add(about)
                may_go_on.wait(60)
            return real(subject, *words, **named)

        def state(domain: libvirt.virDomain, flags: int = 0) -> Any:
            if domain.UUIDString() in begun:  # libvirt lets reads of a guest wait that it powers off
                may_go_on.wait(60)
            return real_state(domain, flags)

        monkeypatch.setattr(owner, native, stuck)
        if name == "power-off":
            monkeypatch.setattr(libvirt.virDomain, "state", state)
        calls = [asyncio.ensure_future(request(b.driver, one)) for one in ill]
        await until(lambda: begun == ill)
        reads = [asyncio.ensure_future(b.power(one)) for one in ill] if name == "power-off" else []
        await b.driver.pause(other.id)
        assert await b.power(other.id) is PowerState.PAUSED
        await b.driver.power_off(other.id)
        await b.driver.power_on(other.id, "again")
        assert (await b.driver.guest_states())[other.id].power is PowerState.RUNNING
        assert not any(call.done() for call in calls)
        may_go_on.set()
        await asyncio.gather(*calls, *reads, return_exceptions=True)  # the test driver copies no disks
        for guest in (other, *guests):
            await b.tear_down(guest)

    try:
        case.run(test)
    finally:
        may_go_on.set()
