# SPDX-License-Identifier: Apache-2.0
"""Defects of a host: its runs, its steps, its queues, its feed, its reports."""

from collections.abc import Sequence

from lab.mutant import Defect, defect

RUNNER = "compute/runner.py"
CREATE = "compute/operations/create.py"
RESIZE = "compute/operations/resize.py"

DEFECTS_OF_RUNS: Sequence[Defect] = (
    defect(
        "a call without an answer counts as done",
        "After an outage the run continues with the next step: a guest is started that was not defined, a guest is "
        "reported as stopped that runs.",
        RUNNER,
        "        while True:\n            try:\n                for step in steps:\n",
        "        left = iter(steps)\n        while True:\n            try:\n                for step in left:\n",
    ),
    defect(
        "an undo ends at the first call without an answer",
        "A build that failed leaves its guest on the first host and goes to the next one.",
        RUNNER,
        "                waits(exc)\n                if run.expired and phase is not Phase.DO:\n",
        "                waits(exc)\n"
        "                if phase is Phase.UNDO:\n"
        "                    return\n"
        "                if run.expired and phase is not Phase.DO:\n",
    ),
    defect(
        "an undo without a confirmation",
        "A process that stood still removes the guest that its successor has made.",
        RUNNER,
        "        await self._confirm(run)\n        try:\n",
        "        try:\n",
    ),
    defect(
        "what ran out of time is not undone",
        "A resize that reached its deadline leaves the guest off, with the new size and the old flavor.",
        RUNNER,
        "await self._make_absent(run) if undo and run.operation.clean_up else None\n",
        "await self._make_absent(run) if undo and run.operation.clean_up and not run.expired else None\n",
    ),
)

DEFECTS_OF_STEPS: Sequence[Defect] = (
    defect(
        "a replayed start starts again",
        "A guest that has shut itself down after its start is started a second time when the host's process restarts.",
        CREATE,
        "    before = await driver.guest_state(instance_id)\n"
        "    if before is not None and before.power not in _UNDER_WAY and job.has_started(before):\n"
        "        return\n",
        "",
    ),
    defect(
        "a replayed reboot reboots again",
        "One reboot request restarts the guest once for each restart of the host's process.",
        "compute/operations/reboot.py",
        "    return job.has_started(await job.tools.driver.guest_state(job.instance.id), on_any_boot=True)\n",
        "    return False\n",
    ),
    defect(
        "a delete leaves the disks",
        "The disks of deleted servers fill the host.",
        CREATE,
        '        Step("disks", make_disks, remove_disks),\n',
        '        Step("disks", make_disks),\n',
    ),
    defect(
        "an unshelve that failed removes a disk that it did not make",
        "A shelved server that was still on its host loses its disk when the unshelve fails.",
        "compute/operations/shelve.py",
        "        if _source(job) is UnshelveSource.OFFLOADED:\n",
        "        if _source(job):\n",
    ),
    defect(
        "the copy of a snapshot stays",
        "Each snapshot leaves a copy of the disk on the host.",
        "compute/operations/snapshot.py",
        '    Step("remove-copy", remove_copy, no_return="The image is complete."),\n',
        "",
    ),
    defect(
        "a resize that failed keeps the new definition",
        "The guest runs with the memory of the flavor that it did not get, beyond the host's claims.",
        RESIZE,
        '        Step("define", define_new, define_old),\n',
        '        Step("define", define_new),\n',
    ),
    defect(
        "a resize that failed keeps the guest off",
        "After a failed resize a server that ran before is off.",
        RESIZE,
        '        Step("power-off", reboot.power_off, start_again),\n',
        '        Step("power-off", reboot.power_off),\n',
    ),
)

DEFECTS_OF_THE_HOST: Sequence[Defect] = (
    defect(
        "two actions of one server run at the same time",
        "A delete removes the disks while the create that it supersedes still makes the guest: a guest is left without "
        "a server.",
        "compute/queues.py",
        "                holder = self._locks.hold(instance.id)\n",
        "                holder = self._locks.hold(action.id)\n",
    ),
    defect(
        "a step is cut off in the middle",
        "The call of a superseded start is executed after the delete has removed the guest.",
        "compute/queues.py",
        "            if run.interruptible:\n                task.cancel()\n",
        "            task.cancel()\n",
    ),
    defect(
        "a host waits for its wake-up",
        "A request whose wake-up was lost does not begin.",
        "compute/feed.py",
        "            except TimeoutError:\n                pass  # no wake-up arrived: fetch anyway\n",
        "            except TimeoutError:\n                continue\n",
    ),
    defect(
        "a process that has lost its host goes on",
        "After a newer process has taken the host, the old one continues its steps: both change the same guests.",
        "compute/session.py",
        "        except HostSuperseded as exc:\n"
        "            self._lose(exc)\n"
        "            raise\n\n    async def confirm",
        "        except HostSuperseded as exc:\n"
        '            log.warning("this host has a newer process", error=exc.message)\n'
        "            raise\n\n    async def confirm",
    ),
    defect(
        "the last copies on a host that was given up run on",
        "A server is evacuated while its old guest still runs on the host that returned: it runs twice.",
        "compute/given_up.py",
        "        for id_ in sorted({*copies.superfluous, *copies.others} & seen.keys()):\n",
        "        for id_ in sorted(set(copies.superfluous) & seen.keys()):\n",
    ),
    defect(
        "a guest that disappeared is not reported",
        "A server whose guest was removed by another tool shows ACTIVE for ever.",
        "compute/observer.py",
        "        if not guest.busy and power != guest.power and not (power is None and guest.power == 0):\n",
        "        if not guest.busy and power is not None and power != guest.power:\n",
    ),
)
