# SPDX-License-Identifier: Apache-2.0
"""A libvirtd that was ended between its note of a guest's start and QEMU's first process.

What such an end leaves behind is made here by hand: the note (the status file of a guest that ran, with the state, the
missing process and the open job that a note has at that moment).  Found by `make faults`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.base.errors import GuestStuck
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.libvirt import survey
from kilonova.virt.libvirt.opening import OpenOptions
from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import Bench, Case, libvirt_qemu_case, private_daemon, state_directory, until

pytestmark = pytest.mark.live

JOB = "<job type='none' async='start' phase='none' flags='0x0'/>\n</domstatus>"
STATUS = "<domstatus state='paused' reason='starting up' pid='0'>"


@pytest.fixture
def daemon() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.fixture
def case(daemon: PrivateLibvirtd) -> Iterator[Case]:
    with state_directory() as directory:
        yield libvirt_qemu_case(directory, daemon)


def note_of(daemon: PrivateLibvirtd, instance_id: InstanceId) -> Path:
    return daemon.directory / f"run/libvirt/qemu/run/kilonova-{instance_id}.xml"


async def break_start(b: Bench, daemon: PrivateLibvirtd, instance_id: InstanceId) -> None:
    note = note_of(daemon, instance_id)
    text, owner = note.read_text(), note.stat()
    await b.driver.power_off(instance_id)
    daemon.kill()
    text = re.sub(r"<domstatus [^>]*>", STATUS, text).replace("</domstatus>", JOB)
    note.write_text(text)
    os.chown(note, owner.st_uid, owner.st_gid)
    await back(b, daemon)


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
        name = f"kilonova-{ill.id}"
        await break_start(b, daemon, ill.id)
        assert await b.power(ill.id) is PowerState.NOSTATE
        assert (await b.driver.guest_states())[well.id].power is PowerState.RUNNING
        with pytest.raises(GuestStuck, match=f"remove {name}.xml"):
            await b.driver.power_off(ill.id)
        found = survey.take(OpenOptions(daemon.uri), "none")
        assert isinstance(found, survey.Survey)
        assert found.starting_up == (name,)
        # Another start of the daemon alone does not help; what the sentence says does.
        daemon.kill()
        await back(b, daemon)
        assert await b.power(ill.id) is PowerState.NOSTATE
        daemon.kill()
        note_of(daemon, ill.id).unlink()
        await back(b, daemon)
        assert await b.power(ill.id) is PowerState.SHUTDOWN
        assert await b.power(well.id) is PowerState.RUNNING
        await b.driver.power_on(ill.id, "again")
        for guest in (ill, well):
            await b.tear_down(guest)

    case.run(test)
