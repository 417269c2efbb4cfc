# SPDX-License-Identifier: Apache-2.0
"""Machines of a chaos run that are switched off, and on again: all processes end at one moment, guests included, and
what was not synced is lost where the machine has a file system of its own."""

import os
import shutil
import signal
from contextlib import suppress

from kilonova.virt.fake.durable import lose_power
from lab.power import stand_still
from tests.chaos.cloud import Cloud
from tests.chaos.guest_log import note_power_lost
from tests.live.box import wait_for
from tests.live.other_boot import new_boot

ENGINE = "PostgreSQL"


def switch_off(cloud: Cloud, name: str) -> None:
    """The machine of this process, or of PostgreSQL, loses its power."""
    _stop(cloud, name)
    disk = cloud.disks.get(name)
    if disk is not None:
        disk.lose_power()
    _end(cloud, name)
    if name in cloud.machines:
        note_power_lost(cloud.guest_log, name)
    if disk is not None:
        disk.unmount()


def switch_on(cloud: Cloud, name: str) -> None:
    """The machine boots, and its process starts."""
    if name in cloud.disks:
        cloud.disks[name].mount()
    if name == ENGINE:
        cloud.postgres.start()
        return
    if name in cloud.machines:
        lose_power(cloud.machines[name])
    if (daemon := cloud.libvirtds.get(name)) is not None:
        shutil.rmtree(daemon.directory / "run")  # (in memory, on a real machine)
        daemon.start()
    new_boot(cloud.boot_of(name))
    cloud.victims[name].start()


def _stop(cloud: Cloud, name: str) -> None:
    """Nothing of the machine runs any more."""
    if name != ENGINE:
        stand_still([cloud.victims[name].pid, *_virtual(cloud, name)])
    elif cloud.postgres.lives:
        cloud.postgres.freeze()
        stand_still(cloud.postgres.family())


def _end(cloud: Cloud, name: str) -> None:
    if name == ENGINE:
        cloud.postgres.kill()
        return
    cloud.victims[name].kill()
    if (daemon := cloud.libvirtds.get(name)) is not None:
        for pid in _virtual(cloud, name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.kill()
        wait_for(lambda: not daemon.processes())


def _virtual(cloud: Cloud, name: str) -> list[int]:
    """The processes of libvirt and QEMU on the machine."""
    daemon = cloud.libvirtds.get(name)
    return [] if daemon is None else daemon.processes()
