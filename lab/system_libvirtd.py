# SPDX-License-Identifier: Apache-2.0
"""A whole system libvirtd (qemu:///system: NAT networks, dnsmasq, filters, ownership of disks) in a box.

It lives in its own mount, network and UTS namespaces, so it neither sees nor disturbs the machine's own
libvirt, needs no systemd, and ends without a trace.
"""

import ctypes
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from lab.common import LabError, environment, owner_of_lab, processes_in_mount_namespaces, tail
from lab.daemon import Daemon

# What libvirt writes to, and the directory of ours that is mounted over it.
_MOUNTS = {
    "run": "/run",
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}

# $1 our directory, $2 the host name or nothing, $3 what to put over /dev/kvm or nothing; then what to exec.
# sysfs shows the network devices of the namespace it was mounted in: libvirt sets up bridges through it.
_ENTER = """set -e
directory=$1 name=$2 kvm=$3
shift 3
mount --make-rprivate /
mount -t sysfs sysfs /sys
[ -z "$kvm" ] || mount --bind "$kvm" /dev/kvm
mount --bind "$directory/etc" /etc/libvirt
mount --bind "$directory/lib" /var/lib/libvirt
mount --bind "$directory/log" /var/log/libvirt
mount --bind "$directory/cache" /var/cache/libvirt
mount --bind "$directory/run" /run
[ -z "$name" ] || hostname "$name"
ip link set lo up
exec "$@"
"""


_CLONE_NEWNET = 0x40000000


def _enter_network(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) != 0:
        raise LabError(f"A network namespace cannot be entered: {os.strerror(ctypes.get_errno())}.")


class PrivateSystemLibvirtd(Daemon):
    """A system-mode libvirtd of its own, for root.

    Like the machine's own it runs QEMU as libvirt-qemu and gives it the disks; networks work between guest,
    bridge and dnsmasq but lead nowhere, for the network namespace has no way out. Paths of disks and console
    logs are the ordinary ones, but must not lie under /run, /var/lib/libvirt, /var/log/libvirt,
    /var/cache/libvirt or /etc/libvirt, which it sees as its own. Where QEMU's user cannot use /dev/kvm, KVM is
    hidden from it: libvirt would otherwise probe QEMU anew at each start of a guest. `network_command` runs a
    command in its network.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        hostname: str | None = None,
        host_uuid: str | None = None,
        start_timeout: float = 30.0,
    ) -> None:
        super().__init__(directory, hostname=hostname, host_uuid=host_uuid, timeout=start_timeout)
        self._namespace: int | None = None
        reason = self.unavailable()
        if reason is not None:
            raise LabError(f"A private system libvirtd cannot run here: {reason}.")

    @staticmethod
    def unavailable() -> str | None:
        """Why there cannot be one on this machine; None when there can."""
        if os.geteuid() != 0:
            return "it needs root"
        missing = [path for path in _MOUNTS.values() if not Path(path).is_dir()]
        if missing:
            return f"{missing[0]} is not there, so libvirt is not installed"
        if shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return "dnsmasq is not installed"
        tried = subprocess.run(
            ["unshare", "--mount", "--net", "--uts", "mount", "-t", "sysfs", "sysfs", "/sys"],
            capture_output=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return None if tried.returncode == 0 else "namespaces and mounts are not allowed (a container?)"

    @property
    def socket(self) -> Path:
        """The daemon's read-write socket, reachable from outside."""
        return self.directory / "run/libvirt/libvirt-sock"

    @property
    def qemu_uri(self) -> str:
        """Connection URI of the QEMU driver, system mode."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def owner(self) -> tuple[int, int]:
        """User and group id of QEMU; libvirt itself gives it the disks when it starts a guest."""
        uid, gid, _ = owner_of_lab()
        return uid, gid

    def processes(self) -> list[int]:
        """Ids of every process of this daemon that exists now: those in its mount namespace."""
        if self._namespace is None:
            return []
        ours = os.fstat(self._namespace)
        return processes_in_mount_namespaces({(ours.st_dev, ours.st_ino)})

    def network_command(self, *argv: str, timeout: float = 10.0) -> subprocess.CompletedProcess[bytes]:
        """Run a command where the guests' bridges are; its end and what it said."""
        words = [*self.network_wrapper(), *argv]
        env = environment({"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"})
        return subprocess.run(
            words, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, env=env, check=False
        )

    def network_wrapper(self) -> tuple[str, ...]:
        """What to put before a command that is to run where the guests' bridges are."""
        return ("nsenter", "--target", str(self._anchor()), "--net", "--")

    @contextmanager
    def entered(self) -> Generator[None]:
        """The calling thread, and threads that it starts meanwhile, are where the guests' bridges are."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/proc/{self._anchor()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter_network(there)
            try:
                yield
            finally:
                _enter_network(home)
        finally:
            os.close(there)
            os.close(home)

    def stop(self) -> list[str]:
        """See Daemon.stop; the namespaces end with the last process."""
        left = super().stop()
        if self._namespace is not None:
            os.close(self._namespace)
            self._namespace = None
        return left

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._virtlogd is None or self._virtlogd.poll() is not None:
            # Without its anchor a namespace cannot be entered again: what still runs there ends, and a new one
            # begins. A socket of an earlier life would look like an anchor.
            _ = self.stop()
            (self.directory / "run/libvirt/virtlogd-sock").unlink(missing_ok=True)
        self.directory.chmod(0o711)
        for name in _MOUNTS:
            (self.directory / name).mkdir(exist_ok=True)
        _ = (self.directory / "etc/libvirtd.conf").write_text(
            'auth_unix_rw = "none"\n'
            + 'auth_unix_ro = "none"\n'
            + f'host_uuid = "{self.host_uuid}"\n'
            + 'log_outputs = "2:stderr"\n'
        )
        _ = (self.directory / "etc/virtlogd.conf").write_text('log_outputs = "2:stderr"\n')
        # No groups in the machine's own control group tree, and no namespaces inside the namespaces.
        _ = (self.directory / "etc/qemu.conf").write_text(
            'security_driver = "none"\nnamespaces = []\ncgroup_controllers = []\n'
        )

    def _command(self, name: str, program: str) -> list[str]:
        # Both paths are where they would be anyway; given so that the command line tells whose daemon it is.
        files = ["--config", f"{self.directory}/etc/{name}.conf", "--pid-file", f"{self.directory}/run/{name}.pid"]
        if name == "virtlogd":
            # The first process makes the namespaces, and the later ones find them by it.
            arguments = [str(self.directory), self.hostname or "", self._hidden_kvm()]
            return ["unshare", "--mount", "--net", "--uts", "sh", "-c", _ENTER, "sh", *arguments, program, *files]
        anchor = self._anchor()
        if self._namespace is None:
            # Held open, so that its number cannot be given to another while we look for its processes.
            self._namespace = os.open(f"/proc/{anchor}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        # Its root as well: otherwise, where all this runs in a chroot, libvirtd would find itself outside.
        return ["nsenter", "--target", str(anchor), "--mount", "--root", "--net", "--uts", "--", program, *files]

    def _pid_files(self) -> Iterable[Path]:
        return (self.directory / "run/libvirt/qemu").glob("*.pid")

    def _anchor(self) -> int:
        """Process id of virtlogd, once it has entered the namespaces and is itself."""
        socket = self.directory / "run/libvirt/virtlogd-sock"
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            if self._virtlogd is None or self._virtlogd.poll() is not None:
                words = tail(self.directory / "virtlogd.log", 3).replace("\n", " | ")
                raise LabError(f"The private virtlogd does not run: {words}")
            if socket.exists():
                return self._virtlogd.pid
            time.sleep(0.01)
        raise LabError(f"The private virtlogd was not there within {self.start_timeout:g} s.")

    def _hidden_kvm(self) -> str:
        """A file to put over /dev/kvm where QEMU's user cannot use it; empty when all is well."""
        try:
            device = os.stat("/dev/kvm")
        except OSError:
            return ""
        uid, gid = self.owner
        usable = (device.st_mode & stat.S_IRWXO & 0o6) == 0o6
        usable = usable or (device.st_gid == gid and device.st_mode & 0o060 == 0o060)
        usable = usable or (device.st_uid == uid and device.st_mode & 0o600 == 0o600)
        if usable:
            return ""
        file = self.directory / "no-kvm"
        file.touch(mode=0o000)
        return str(file)
