# SPDX-License-Identifier: Apache-2.0
"""Checks before an operation's first step: a guest that could not be started again is not stopped.

A running guest has its disk open: when the file was removed, the open file is the last copy.
"""

from dataclasses import replace

from kilonova.compute.operation import Job
from kilonova.objects.states import PowerState

_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)


async def at_disks(job: Job) -> None:
    """Check the guest's own disks, unless the guest is off or this action has started it. The rescue disk is made again
    when it is needed.  Raises DiskMoved, DiskUnusable."""
    driver = job.tools.driver
    state = await driver.guest_state(job.instance.id)
    if state is None or state.power in _OFF or job.has_started(state, on_any_boot=True):
        return
    if driver.disk_checks is not None:
        await driver.disk_checks.check(replace(job.instance, rescue_image=None))


async def at_disks_to_define(job: Job) -> None:
    """Check the disks of a guest that the hypervisor does not know: after a create that failed there are none, and the
    guest is not defined.  Raises DiskMoved, DiskUnusable, HypervisorError for a guest without a disk."""
    driver = job.tools.driver
    if driver.disk_checks is not None and await driver.guest_state(job.instance.id) is None:
        await driver.disk_checks.check(job.instance)


async def before_reboot(job: Job) -> None:
    """Both checks above. Raises the same."""
    await at_disks_to_define(job)
    await at_disks(job)


async def at_own_root(job: Job) -> None:
    """Refuse a root disk that other tools have moved: it is neither copied nor put back. Raises DiskMoved."""
    driver = job.tools.driver
    if driver.disk_checks is not None:
        await driver.disk_checks.require_own_root(job.instance.id)


async def at_own_disks(job: Job) -> None:
    """Both checks. Raises DiskMoved, DiskUnusable."""
    await at_own_root(job)
    await at_disks(job)
