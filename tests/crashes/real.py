# SPDX-License-Identifier: Apache-2.0
"""A fixed sample of the matrix with real guests: a box on a libvirtd of its own dies, or its daemon, or a QEMU."""

import os
import re
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.daemon import Daemon
from tests.crashes.cloud import BOX, Cloud, box
from tests.crashes.lane import DIFFERENT, DONE, SETTLE_S, Lane, Pair
from tests.crashes.scenario import Scenario
from tests.crashes.victim import Programs, Victim
from tests.crashes.view import View
from tests.live.box import GUEST_IMAGE, private_libvirtd, wait_for

LIBVIRTD, QEMU = "libvirtd", "qemu"
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _pairs(role: str, scenario: str, verb: str, *points: str) -> list[Pair]:
    """`points` are steps of the verb, or transactions."""
    full = [point if point.startswith("write.") else f"compute.{verb}.{point}" for point in points]
    return [Pair(role, scenario, point) for point in full]


PAIRS: Sequence[Pair] = (
    *_pairs(BOX, "create", "create", "write.create.done", "write.place.done", "image.done", "disks.done"),
    *_pairs(BOX, "create", "create", "define.done", "start.begin", "start.done", "write.finish.done"),
    *_pairs(BOX, "delete", "delete", "remove-start.done", "remove-define.done", "remove-disks.begin"),
    *_pairs(BOX, "reboot hard", "reboot", "power-off.done", "start.begin", "start.done"),
    *_pairs(BOX, "stop", "stop", "power-off.done"),
    *_pairs(BOX, "pause", "pause", "pause.done"),
    *_pairs(BOX, "suspend", "suspend", "save.done"),
    *_pairs(BOX, "resize", "resize", "keep-disk.done", "define.done", "start.done"),
    *_pairs(BOX, "createImage", "createImage", "copy.done", "upload.done"),
    *_pairs(BOX, "rescue", "rescue", "rescue-disk.done", "start.done"),
    *_pairs(LIBVIRTD, "create", "create", "define.begin", "start.begin", "start.done"),
    *_pairs(LIBVIRTD, "delete", "delete", "remove-start.begin"),
    *_pairs(LIBVIRTD, "reboot hard", "reboot", "start.begin"),
    *_pairs(LIBVIRTD, "pause", "pause", "pause.begin"),
    *_pairs(LIBVIRTD, "resize", "resize", "keep-disk.begin"),
    *_pairs(LIBVIRTD, "createImage", "createImage", "copy.begin"),
    *_pairs(QEMU, "create", "create", "start.done"),
    *_pairs(QEMU, "delete", "delete", "remove-start.begin"),
    *_pairs(QEMU, "reboot hard", "reboot", "power-off.begin"),
    *_pairs(QEMU, "pause", "pause", "pause.begin"),
    *_pairs(QEMU, "suspend", "suspend", "save.begin"),
    *_pairs(QEMU, "createImage", "createImage", "copy.begin"),
)


class RealCloud(Cloud):
    """A box whose guests are those of a daemon."""

    daemon: Daemon
    instances: Path

    @property
    def facts(self) -> Mapping[str, str]:
        """Its scenarios need the image only."""
        return {"{image}": self.image}

    def guests(self, server_id: str) -> list[Mapping[str, Any]]:
        """How many processes the guest has, and its files; nothing if it has neither.

        The name of a kept disk has the id of its resize: other in each run.
        """
        processes = len(self.processes_of(server_id))
        directory = self.instances / server_id
        names = [path.name for path in directory.iterdir()] if directory.exists() else []
        files = sorted(_UUID.sub("ID", name) for name in names)
        return [{"processes": processes, "files": files}] if processes or files else []

    def processes_of(self, server_id: str) -> list[int]:
        """The QEMU processes of a server."""
        return [pid for name, pid in self.daemon.guests().items() if server_id in name]


def real_box(programs: Programs) -> RealCloud:
    """A box on a private libvirtd, which ends with it."""
    running = private_libvirtd()
    daemon = running.__enter__()
    directory = daemon.directory.parent
    words = ("--connection-uri", daemon.uri, "--compute-driver", "libvirt.LibvirtDriver")
    made = box(programs, *words, directory=directory)
    cloud = RealCloud(made.client, made.victims, [], stack=made.stack)
    cloud.daemon, cloud.instances = daemon, directory / "state/instances"
    cloud.stack.push(running.__exit__)
    cloud.image = cloud.client.upload(GUEST_IMAGE)
    return cloud


class RealLane(Lane):
    """A lane whose victim may be the daemon, or the process of the guest: the box stands still at the failpoint
    meanwhile."""

    cloud: RealCloud

    def _broken(self, pair: Pair, scenario: Scenario, subject: str) -> tuple[int | None, bool]:
        if pair.role == BOX:
            return super()._broken(pair, scenario, subject)
        (victim,) = self.cloud.victims[BOX]
        self._arm(scenario, BOX, f"{pair.point}=stop")
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(self._sent, scenario, subject)
            stopped = self._kill_beside(pair.role, subject, victim)
            victim.go_on()
            return reply.result(), stopped

    def _kill_beside(self, role: str, subject: str, victim: Victim) -> bool:
        """Kill the victim of this role while the box stands still."""
        with suppress(AssertionError):
            wait_for(lambda: victim.stopped, within_s=SETTLE_S)
            if role == LIBVIRTD:
                self.cloud.daemon.kill()
                self.cloud.daemon.start()
                return True
            pids = [pid for name, pid in self.cloud.daemon.guests().items() if subject in name]
            for pid in pids or self.cloud.daemon.guests().values():  # (of a create: the only guest)
                os.kill(pid, signal.SIGKILL)
            return True
        return False

    def judged(
        self, pair: Pair, scenario: Scenario, subject: str, views: tuple[View, View], *, answered: bool
    ) -> tuple[str, str]:
        """Of a guest that died: it ends in some state without a task, and a process of the guest runs only if the
        server is shown as running."""
        if pair.role != QEMU:
            return super().judged(pair, scenario, subject, views, answered=answered)
        seen: list[View] = []

        def look() -> bool:
            seen.append(scenario.view(self.cloud, subject))
            return all(_is_consistent(one) for one in seen[-1].get("servers", [seen[-1]]))

        with suppress(AssertionError):
            wait_for(look, within_s=SETTLE_S)
            return DONE, ""
        return DIFFERENT, str(seen[-1])


def _is_consistent(server: View) -> bool:
    lives = sum(guest["processes"] for guest in server["guests"])
    return not server["task"] and lives == (1 if server["power"] in (1, 3) else 0)
