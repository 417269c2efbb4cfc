# SPDX-License-Identifier: Apache-2.0
"""A session daemon of a user with a long home directory: its guests start, and their agents can be reached."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.objects.states import PowerState
from kilonova.virt.libvirt.disks.disks import LONGEST_SOCKET
from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import Bench, libvirt_qemu_case, state_directory

pytestmark = pytest.mark.live

BELOW_HOME = len("/c/libvirt/qemu/channel/target/domain-1-kilonova-0123456789a/org.qemu.guest_agent.0")


class LongLibvirtd(PrivateLibvirtd):
    longest_directory = LONGEST_SOCKET


@pytest.fixture
def daemon() -> Iterator[PrivateLibvirtd]:
    with tempfile.TemporaryDirectory(prefix="kn") as made:
        Path(made).chmod(0o711)
        with LongLibvirtd(Path(made) / "somebody-with-a-name") as daemon:
            assert len(str(daemon.directory)) + BELOW_HOME > LONGEST_SOCKET
            yield daemon


def test_guests_start_also_after_one_was_killed(daemon: PrivateLibvirtd) -> None:
    with state_directory() as directory:
        case = libvirt_qemu_case(directory, daemon)

        async def test(b: Bench) -> None:
            guest = case.instance()
            socket = b.settings.default.instances_path / guest.id / "agent.sock"
            await b.build(guest)
            await b.driver.power_on(guest.id, "first")
            assert await b.power(guest.id) is PowerState.RUNNING
            assert stat.S_ISSOCK(socket.stat().st_mode)
            (pid,) = daemon.guests().values()
            os.kill(pid, 9)
            await b.driver.power_off(guest.id)
            socket.touch()  # what is left there is in nobody's way
            await b.driver.power_on(guest.id, "second")
            assert await b.power(guest.id) is PowerState.RUNNING
            await b.tear_down(guest)
            assert not socket.parent.exists()

        case.run(test)
