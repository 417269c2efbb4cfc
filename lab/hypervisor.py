# SPDX-License-Identifier: Apache-2.0
"""The libvirt that the demo uses: the system's own, or a private one that ends with the demo."""

import contextlib
import os
from pathlib import Path
from typing import Protocol

from lab.common import LabError, environment, run
from lab.daemon import Daemon
from lab.libvirtd import PrivateLibvirtd
from lab.system_libvirtd import PrivateSystemLibvirtd


class Hypervisor(Protocol):
    """A libvirt to run guests on."""

    @property
    def uri(self) -> str:
        """Its connection URI."""
        ...

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        ...

    def domains(self) -> list[str]:
        """Names of its domains that were not there at the beginning."""
        ...

    def stop(self) -> list[str]:
        """End what was started; a line for each guest that was left."""
        ...

    def logs(self) -> list[Path]:
        """Log files worth keeping."""
        ...


def list_domains(uri: str) -> list[str]:
    """Names of all domains, running or not, at a connection URI. Raises LabError."""
    env = environment({"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"})
    said = run(["virsh", "--quiet", "--connect", uri, "list", "--all", "--name"], timeout=30, env=env)
    return sorted(said.decode().split())


class SystemHypervisor:
    """The system's own libvirt, which is only used, never started or stopped."""

    def __init__(self) -> None:
        self.uri: str = "qemu:///system"
        self.name: str = "the system's libvirt (qemu:///system)"
        self._before: list[str] = list_domains(self.uri)

    def domains(self) -> list[str]:
        """See Hypervisor."""
        return [name for name in list_domains(self.uri) if name not in self._before]

    def stop(self) -> list[str]:
        """See Hypervisor; guests of the demo that are left are reported, and left."""
        return [f"domain {name}" for name in self.domains()]

    def logs(self) -> list[Path]:
        """See Hypervisor."""
        return []


class OwnHypervisor:
    """A private daemon, which ends with the demo."""

    def __init__(self, daemon: Daemon, kind: str) -> None:
        self._daemon: Daemon = daemon
        self._daemon.start()
        self.uri: str = self._daemon.uri
        self.name: str = f"a private libvirtd, {kind} (process {self._daemon.pid})"

    def domains(self) -> list[str]:
        """See Hypervisor."""
        return list_domains(self.uri)

    def stop(self) -> list[str]:
        """See Hypervisor."""
        return self._daemon.stop()

    def logs(self) -> list[Path]:
        """See Hypervisor."""
        return sorted(self._daemon.directory.glob("*.log"))


KINDS = ("auto", "system", "private-system", "private")


def choose(directory: Path, kind: str = "auto") -> Hypervisor:
    """A libvirt of a kind; `directory` is for a private one. Raises LabError.

    auto: root takes the system's where systemd runs and it answers, and a private system daemon where there
    is no systemd; where neither can be, and for anybody but root, an unprivileged private one.
    """
    if kind == "system":
        return SystemHypervisor()
    if kind == "auto" and os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        # No libvirt that answers is no reason not to show anything.
        with contextlib.suppress(LabError):
            return SystemHypervisor()
    if kind == "private-system" or (kind == "auto" and PrivateSystemLibvirtd.unavailable() is None):
        return OwnHypervisor(PrivateSystemLibvirtd(directory), "system mode")
    return OwnHypervisor(PrivateLibvirtd(directory), "unprivileged")
