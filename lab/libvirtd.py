# SPDX-License-Identifier: Apache-2.0
"""Private libvirt daemons: real ones, without systemd, yours to freeze, restart and kill.

`PrivateLibvirtd` is unprivileged and works for everybody; `lab.system_libvirtd.PrivateSystemLibvirtd` is a whole system
daemon with networks, for root.
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from lab.common import LabError, command_line, owner_of_lab, processes_naming
from lab.daemon import Daemon
from lab.system_libvirtd import PrivateSystemLibvirtd

# What runs on behalf of a private daemon.
PROGRAMS = ("libvirtd", "virtlogd", "qemu", "kvm", "swtpm", "passt", "dnsmasq")


class PrivateLibvirtd(Daemon):
    """An unprivileged libvirtd: real guests, user-mode networking only.

    Root starts it as libvirt-qemu (or nobody), anybody else as himself; `owner` tells. It reads and writes
    nothing outside `directory`, which must be short (sockets) and reachable for that user, and is made when
    it is not there. With `hostname` (root only) it lives in its own UTS namespace: two of them with different
    names are two hosts to libvirt and can migrate guests to each other.
    """

    # c/libvirt/qemu/channel/target/domain-<id>-<20 characters of its name>/org.qemu.guest_agent.0
    longest_directory: int = 22

    def __init__(
        self,
        directory: Path | str,
        *,
        hostname: str | None = None,
        host_uuid: str | None = None,
        start_timeout: float = 20.0,
    ) -> None:
        super().__init__(directory, hostname=hostname, host_uuid=host_uuid, timeout=start_timeout)
        self._uid, self._gid, self._user = owner_of_lab()
        if hostname is not None and os.geteuid() != 0:
            raise LabError("A private daemon with a host name of its own needs root.")

    @property
    def socket(self) -> Path:
        """The daemon's read-write socket."""
        return self.directory / "run" / "libvirt-sock"

    @property
    def qemu_uri(self) -> str:
        """Connection URI of the QEMU driver."""
        return f"qemu+unix:///session?socket={self.socket}"

    @property
    def owner(self) -> tuple[int, int]:
        """User and group id of the daemon and of QEMU. An unprivileged daemon cannot give files to itself."""
        return self._uid, self._gid

    def processes(self) -> list[int]:
        """Ids of every process of this daemon that exists now."""
        # Only hypervisor programs: who merely talks to the daemon names its directory, too.
        return [
            pid
            for pid in processes_naming(f"{self.directory}/")
            if _user_of(pid) == self._uid and _program_of(pid).startswith(PROGRAMS)
        ]

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o711)
        for name in ("run", "c", "k", "d"):
            path = self.directory / name
            path.mkdir(exist_ok=True)
            path.chmod(0o711 if name == "run" else 0o700)
            os.chown(path, self._uid, self._gid)
        _ = (self.directory / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{self.directory}/run"\n'
            + 'auth_unix_rw = "none"\n'
            + 'auth_unix_ro = "none"\n'
            + f'host_uuid = "{self.host_uuid}"\n'
            + 'log_outputs = "2:stderr"\n'
        )
        _ = (self.directory / "virtlogd.conf").write_text('log_outputs = "2:stderr"\n')

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": f"{self.directory}/run",
            "XDG_CONFIG_HOME": f"{self.directory}/c",
            "XDG_CACHE_HOME": f"{self.directory}/k",
            "XDG_DATA_HOME": f"{self.directory}/d",
        }

    def _command(self, name: str, program: str) -> list[str]:
        config = f"{self.directory}/{name}.conf"
        argv = [program, "--config", config, "--pid-file", f"{self.directory}/run/{name}.pid"]
        if os.geteuid() == 0:
            groups = "--init-groups" if self._user else "--clear-groups"
            argv = ["setpriv", f"--reuid={self._uid}", f"--regid={self._gid}", groups, *argv]
        if self.hostname is not None:
            # "$@" keeps the words apart: nothing is pasted into the shell's text.
            argv = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.hostname, *argv]
        return argv

    def _pid_files(self) -> Iterable[Path]:
        return (self.directory / "run/libvirt/qemu/run").glob("*.pid")


def _user_of(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def _program_of(pid: int) -> str:
    words = command_line(pid)
    return Path(words[0]).name if words else ""


def main() -> int:
    """Run a private daemon in the foreground, for a look around: `python3 -m lab.libvirtd /tmp/x`."""
    parser = argparse.ArgumentParser(description="Run a private libvirtd until Ctrl-C.")
    _ = parser.add_argument("directory", type=Path)
    _ = parser.add_argument("--hostname", default=None)
    _ = parser.add_argument("--system", action="store_true", help="a whole system daemon, with networks (root)")
    arguments = parser.parse_args()
    _ = signal.signal(signal.SIGTERM, signal.default_int_handler)
    kind = PrivateSystemLibvirtd if arguments.system else PrivateLibvirtd
    try:
        with kind(arguments.directory, hostname=arguments.hostname) as daemon:
            print(daemon.uri, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    except LabError as error:
        print(error.sentence, error.cure or "", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
