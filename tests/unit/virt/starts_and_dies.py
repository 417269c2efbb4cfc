# SPDX-License-Identifier: Apache-2.0
"""A compute process that dies while its start of a guest lies in the socket of a frozen daemon.

Arguments: the daemon's URI, its process id, a state directory, a base image, the guest's id.  It ends by SIGKILL.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import libvirt

from kilonova.config.load import load
from kilonova.objects.ids import InstanceId
from kilonova.virt.base_image import BaseImage
from tests.contract.drivers import MIB, Bench, Case, small_instance

DIES_AFTER_S = 0.5


def main() -> None:
    uri, daemon_pid, state, base_path, instance_id = sys.argv[1:]
    options = {("libvirt", "connection_uri"): uri, ("libvirt", "virt_type"): "qemu"}
    settings = load(overrides={("DEFAULT", "state_path"): state, **options})
    base = BaseImage(Path(base_path), "qcow2", 16 * MIB)
    start = libvirt.virDomain.createWithFlags

    def freeze_and_start(self: libvirt.virDomain, flags: int = 0) -> int:
        os.kill(int(daemon_pid), signal.SIGSTOP)
        threading.Timer(DIES_AFTER_S, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return start(self, flags)

    libvirt.virDomain.createWithFlags = freeze_and_start  # type: ignore[method-assign]

    async def body(b: Bench) -> None:
        guest = small_instance(base, id=InstanceId(instance_id))
        await b.build(guest)
        await b.driver.power_on(guest.id, "mark")

    Case("dies", settings, "libvirt.LibvirtDriver", base, obeys_acpi=False).run(body)


if __name__ == "__main__":
    main()
