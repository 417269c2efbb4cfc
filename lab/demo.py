# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a virtual machine boots through the whole of the service, is watched, and is gone again.

Everything happens in a new directory under /tmp, which is removed at the end, also on failure and on Ctrl-C.
"""

import argparse
import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab.cloud import Api, Client, Service, printable
from lab.common import (
    BUILD,
    CLIENT,
    VENV,
    LabError,
    end_processes,
    mount_namespace,
    processes_in_mount_namespaces,
    processes_naming,
    tail,
)
from lab.guest_image import IMAGE, INITRD, KERNEL
from lab.hypervisor import KINDS, Hypervisor, choose
from lab.progress import Phases, Terminal, run_logged

LOG = BUILD / "demo.log"
PREFIX = "kn-d-"
NAME = "first-light"
FLAVOR = "m1.nano"
PAGE = "/ui/"

# Seconds. Generous: without KVM, on a busy machine, everything takes several times as long as usual.
READY, COMMAND, SPEAK, DELETE = 90.0, 90.0, 300.0, 120.0


class Demo(Phases):
    """One run. `run` may raise LabError; `clean_up` is called in any case."""

    def __init__(self, terminal: Terminal, kind: str, *, stay: bool = False) -> None:
        super().__init__(terminal)
        self.kind: str = kind
        self.stay: bool = stay
        # Short, because of sockets; not in the clone, because QEMU's user may not come there.
        self.directory: Path = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
        self.directory.chmod(0o711)
        _ = (self.directory / "pid").write_text(f"{os.getpid()}\n")
        self.state: Path = self.directory / "s"
        self.clouds: Path = self.directory / "clouds.yaml"
        self.nonce: str = f"nonce-{secrets.token_hex(8)}"
        self.hypervisor: Hypervisor | None = None
        self.service: Service | None = None
        self.server: str | None = None

    def run(self) -> None:
        """All of it, in order."""
        self._start_hypervisor()
        self._prove_kvm()
        service = self._start_service()
        client = Client(self.clouds, LOG)
        api = self._create(client, service)
        self._watch(api)
        self._list(client)
        self._show_page(service)
        if self.stay:
            self._wait_for_people(service)
        self._delete(client)
        self._stop()

    # -- phases ----------------------------------------------------------------------------------------

    def _start_hypervisor(self) -> None:
        with self._phase("libvirt") as remarks:
            self.hypervisor = choose(self.directory / "v", self.kind)
            remarks.append(self.hypervisor.name)

    def _prove_kvm(self) -> None:
        """Find out, by booting a kernel, whether this machine's KVM works; a guess is not enough."""
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return
        with self._phase("does KVM work? boot a kernel and see") as remarks:
            words = ["prove-kvm", "--state-path", self.state, "--kernel", KERNEL, "--initrd", INITRD]
            # Whatever it finds, the demo goes on: without KVM the guest is only slower.
            with contextlib.suppress(LabError):
                self._run(VENV / "bin/kilonova", *words, timeout=120)
                remarks.append(tail(LOG, 1))

    def _run(self, *argv: str | Path, timeout: float) -> None:
        run_logged(self.terminal, self._title, argv, log=LOG, timeout=timeout, started=self._started)

    def _start_service(self) -> Service:
        assert self.hypervisor is not None
        with self._phase("kilonova up") as remarks:
            self.service = Service(state=self.state, clouds=self.clouds, uri=self.hypervisor.uri, log=LOG)
            self.service.wait_until_ready(READY, self._spin)
            remarks.append(self.service.url)
        return self.service

    def _create(self, client: Client, service: Service) -> Api:
        user_data = self.directory / "user-data"
        _ = user_data.write_text(f"These words came from the API: {self.nonce}\n")
        with self._phase("openstack image create"):
            words = ["image", "create", "--disk-format", "qcow2", "--container-format", "bare"]
            image = client.json(*words, "--file", str(IMAGE), "kilonova-guest", timeout=COMMAND, spin=self._spin)
        with self._phase("openstack token issue"):
            token = client("token", "issue", "-f", "value", "-c", "id", timeout=COMMAND, spin=self._spin)
        with self._phase(f"openstack server create {NAME}") as remarks:
            words = ["server", "create", "--image", str(image["id"]), "--flavor", FLAVOR]
            words += ["--user-data", str(user_data), NAME]
            server = client.json(*words, timeout=COMMAND, spin=self._spin)
            self.server = str(server["id"])
            remarks.append(self.server)
        return Api(service.url, token.strip().splitlines()[-1])

    def _watch(self, api: Api) -> None:
        """Show the guest's serial console as it grows, until the guest has said its name and the nonce."""
        assert self.server is not None
        self.terminal.line()
        self.terminal.line(self.terminal.style("1", f"  Serial console of {NAME}, by the API:"))
        margin = self.terminal.style("36", "  | ")
        shown = 0
        begun = time.monotonic()
        text = ""
        while time.monotonic() - begun < SPEAK:
            text = printable(api.console(self.server) or text)
            spoken = self._spoken(text)
            whole = text if spoken else text[: text.rfind("\n") + 1]
            for line in whole[shown:].splitlines():
                self.terminal.line(margin + line)
            shown = max(shown, len(whole))
            if spoken:
                took = time.monotonic() - begun
                told = f"  The guest has said its own name and {self.nonce}, {took:.1f} s after the answer 202."
                self.terminal.line(self.terminal.style("32", told))
                self.terminal.line()
                return
            status, fault = api.status(self.server)
            if status == "ERROR":
                raise LabError(f"The server went to ERROR: {fault or 'no reason given'}")
            self.terminal.spin("waiting for the guest", begun)
            time.sleep(0.2)
        raise LabError(f"The guest did not say its name and {self.nonce} within {SPEAK:g} s.")

    def _spoken(self, text: str) -> bool:
        lines = text.splitlines()
        named = any(f"hostname={NAME}" in line for line in lines)
        return named and any(self.nonce in line for line in lines) and "user-data end" in text

    def _list(self, client: Client) -> None:
        with self._phase("openstack server list"):
            table = client("server", "list", timeout=COMMAND, spin=self._spin)
        for line in table.rstrip().splitlines():
            self.terminal.line(f"    {line}")

    def _show_page(self, service: Service) -> None:
        with self._phase("the web page") as remarks:
            if not service.serves(PAGE):
                raise LabError(f"{service.url}{PAGE} does not answer.")
            remarks.append(f"{service.url}{PAGE}")

    def _wait_for_people(self, service: Service) -> None:
        """Keep everything until Ctrl-C.  Raises LabError when the service ends before."""
        found = re.search(r"^ *password: (.+)$", self.clouds.read_text(), re.MULTILINE)
        show = self.terminal.line
        show()
        show(self.terminal.style("1", f"  Open {service.url}{PAGE} in a browser"))
        show(f"  and log in as user admin with password {found[1] if found else '?'}")
        show("  The client:")
        show(f"    export OS_CLIENT_CONFIG_FILE={self.clouds} OS_CLOUD=kilonova")
        show(f"    {CLIENT / 'bin/openstack'} server list")
        show("  Ctrl-C stops and removes everything.")
        show()
        with contextlib.suppress(KeyboardInterrupt):
            while service.process.poll() is None:
                time.sleep(0.2)
            raise LabError(f"kilonova up ended: {tail(LOG, 1)}")

    def _delete(self, client: Client) -> None:
        assert self.server is not None
        assert self.hypervisor is not None
        with self._phase("openstack server delete --wait") as remarks:
            _ = client("server", "delete", "--wait", self.server, timeout=DELETE, spin=self._spin)
            domains = self.hypervisor.domains()
            if domains:
                raise LabError(f"After the deletion libvirt still has the domain {domains[0]}.")
            remarks.append("no domain left")
            files = [path for path in self.state.rglob("*") if self.server in str(path)]
            if files:
                raise LabError(f"After the deletion there is still {files[0]}.")
            remarks.append("no disk left")

    def _stop(self) -> None:
        """The ordinary end, with everything that is left counted as a failure."""
        assert self.service is not None
        with self._phase("stop kilonova (SIGTERM)"):
            status = self.service.stop()
            if status != 0:
                how = "had to be killed" if status is None else f"ended with status {status}"
                raise LabError(f"kilonova up {how}.")
        with self._phase("stop libvirt, remove everything") as remarks:
            left = self.clean_up()
            if left:
                raise LabError(f"Something was left behind: {'; '.join(left)}.")
            remarks.append("no process, no domain, no disk left")

    # -- the end ---------------------------------------------------------------------------------------

    def clean_up(self) -> list[str]:
        """End and remove all of this run, whatever state it is in; a line for each thing that had been left."""
        left: list[str] = []
        if self.service is not None and self.service.stop(10.0) is None:
            left.append("kilonova up, which did not stop")
        if self.hypervisor is not None:
            with contextlib.suppress(LabError, OSError, subprocess.SubprocessError):
                left += self.hypervisor.stop()
            self._keep_logs(self.hypervisor.logs())
        left += end_everything(self.directory)
        return left

    def _keep_logs(self, logs: list[Path]) -> None:
        for path in logs:
            with contextlib.suppress(OSError), LOG.open("ab") as log:
                _ = log.write(f"\n== {path.name}\n".encode() + path.read_bytes())


def end_everything(directory: Path) -> list[str]:
    """End every process of a directory of the demo's, and remove it; a line for each process."""
    ended = end_processes(_processes_of(directory), ours=lambda pid: pid in _processes_of(directory), grace=5.0)
    shutil.rmtree(directory, ignore_errors=True)
    return [f"process {pid}" for pid in ended] + ([str(directory)] if directory.exists() else [])


def _processes_of(directory: Path) -> list[int]:
    """Processes that name the directory, and helpers in a namespace that one of them made."""
    naming = processes_naming(f"{directory}/")
    namespaces = {found for pid in naming if (found := mount_namespace(pid)) is not None}
    return sorted({*naming, *processes_in_mount_namespaces(namespaces)})


def clear_old_runs() -> list[str]:
    """Remove what demos of ours left that were themselves killed; their directories."""
    found: list[str] = []
    for directory in Path("/tmp").glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            pid = int((directory / "pid").read_text())
            if not Path(f"/proc/{pid}").exists():
                _ = end_everything(directory)
                found.append(str(directory))
    return found


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def guarded(terminal: Terminal, kind: str, *, stay: bool) -> int:
    """Run the demo, clean up, and turn what happened into an exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        _ = signal.signal(number, _interrupted)
    demo = Demo(terminal, kind, stay=stay)
    status = 0
    try:
        demo.run()
    except LabError as error:
        terminal.line(terminal.style("31", error.sentence))
        terminal.line(f"Everything that was said is in {LOG}.")
        if error.cure:
            terminal.line(f"Cure: {error.cure}")
        status = 1
    except BrokenPipeError:
        # Nobody reads any more; the clean-up does not need anybody.
        terminal.stream = open(os.devnull, "w")  # noqa: SIM115
        status = 1
    except KeyboardInterrupt:
        terminal.line("Interrupted: stopping and removing everything.")
        status = 130
    finally:
        # From here on a second Ctrl-C would only leave things behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            _ = signal.signal(number, signal.SIG_IGN)
        _ = demo.clean_up()
    return status


def main() -> int:
    """Exit status 0 when the guest spoke and nothing is left, 1 with a sentence, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="A virtual machine through Kilonova, from end to end."
    )
    _ = parser.add_argument(
        "--libvirt", choices=KINDS, default="auto", help="which libvirt to use (ARGS='--libvirt private')"
    )
    _ = parser.add_argument(
        "--stay", action="store_true", help="keep everything for a look, until Ctrl-C (ARGS=--stay)"
    )
    arguments = parser.parse_args()
    terminal = Terminal(sys.stdout)
    begun = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    LOG.touch(mode=0o600)
    terminal.line(
        terminal.style("1", "A virtual machine through Kilonova")
        + ": start the service, create a server with the openstack client, watch it boot, delete it."
    )
    terminal.line(f"About 20 s with KVM, 30 s without; log in {LOG}.")
    for directory in clear_old_runs():
        terminal.line(f"Removed what an earlier demo had left: {directory}")
    status = guarded(terminal, arguments.libvirt, stay=arguments.stay)
    if status == 0:
        terminal.line(terminal.style("1;32", f"Done in {time.monotonic() - begun:.1f} s."))
        if not arguments.stay:
            terminal.line("To look around in a browser: make demo ARGS=--stay")
    return status


if __name__ == "__main__":
    sys.exit(main())
