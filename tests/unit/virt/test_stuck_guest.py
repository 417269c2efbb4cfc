# SPDX-License-Identifier: Apache-2.0
"""A libvirtd that was ended between its note of a guest's start and QEMU's first process."""

from collections.abc import Iterator

import pytest

from kilonova.base.errors import GuestStuck
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.connection.opening import OpenOptions
from kilonova.virt.libvirt.host import survey
from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import Bench, Case, libvirt_qemu_case, private_daemon, state_directory
from tests.make import until
from tests.stuck import Note

pytestmark = pytest.mark.live


@pytest.fixture
def daemon() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.fixture
def case(daemon: PrivateLibvirtd) -> Iterator[Case]:
    with state_directory() as directory:
        yield libvirt_qemu_case(directory, daemon)


async def back(b: Bench, daemon: PrivateLibvirtd) -> None:
    seen = len(b.virtapi.enabled)
    daemon.start()
    await until(lambda: len(b.virtapi.enabled) > seen and b.virtapi.in_service)


def test_it_is_told_with_the_way_out_harms_no_other_and_that_way_works(case: Case, daemon: PrivateLibvirtd) -> None:
    async def test(b: Bench) -> None:
        ill, well = b.instance(), b.instance()
        for guest in (ill, well):
            await b.build(guest)
            await b.driver.power_on(guest.id, "m")
        name, note = f"kilonova-{ill.id}", Note.of(daemon, ill.id)
        await b.driver.power_off(ill.id)
        daemon.kill()
        note.leave()
        await back(b, daemon)
        assert await b.power(ill.id) is PowerState.NOSTATE
        assert (await b.driver.guest_states())[well.id].power is PowerState.RUNNING
        with pytest.raises(GuestStuck, match=f"remove {name}.xml"):
            await b.driver.power_off(ill.id)
        found = survey.take(OpenOptions(daemon.uri), b.settings.network)
        assert isinstance(found, survey.Survey)
        assert found.starting_up == (name,)
        # Another start of the daemon alone does not help; what the sentence says does.
        daemon.kill()
        await back(b, daemon)
        assert await b.power(ill.id) is PowerState.NOSTATE
        daemon.kill()
        note.path.unlink()
        await back(b, daemon)
        assert await b.power(ill.id) is PowerState.SHUTDOWN
        assert await b.power(well.id) is PowerState.RUNNING
        await b.driver.power_on(ill.id, "again")
        for guest in (ill, well):
            await b.tear_down(guest)

    case.run(test)
