# SPDX-License-Identifier: Apache-2.0
"""docs/fleet.md, typed as it stands there, each block on its machine, which is a directory here: from a one box with a
server to a fleet with two hosts, of real processes with the fake driver, a real PostgreSQL and a real NATS server.

A fence's words are its machine and `not-run`.  A `text` block after it is the shape of what it printed.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.cloud import free_port
from lab.common import CLIENT, TOP, VENV, environment
from lab.counting import cannot_run
from lab.fleet import balancer
from lab.postgres import PrivatePostgres
from tests.live.box import wait_for

pytestmark = pytest.mark.live

DOCUMENT = TOP / "docs/fleet.md"
MACHINES = {"data1", "control1", "api1", "compute1", "compute2", "compute3"}
FENCED = re.compile(r"^```(sh|text)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S = 150

PRELUDE = """\
set -e
cd "$HERE"
machine_path() { case "$1" in *:*) echo "$ROOT/${1%%:*}${1#*:}";; *) echo "$1";; esac; }
scp() { local words=(); for one in "$@"; do words+=("$(machine_path "$one")"); done; command cp "${words[@]}"; }
chown() { :; }
openstack() { command openstack --os-cloud kilonova "$@"; }
kilonova() {
    if [ "$1" = install ]; then shift; command kilonova install --root "$HERE" "$@"; else command kilonova "$@"; fi
}
"""
"""What stands for other machines: a path `machine:/path` is a directory, and there is one user."""
SYSTEMCTL = re.compile(r"^systemctl (enable|disable) --now (\S+)$", re.MULTILINE)
ONE_BOX = """\
[DEFAULT]
host = compute1
state_path = {here}/var/lib/kilonova
compute_driver = fake.FakeDriver
[api]
port = {port}
"""


@dataclass(slots=True)
class Block:
    """One `sh` block of the page, and the lines that follow it."""

    text: str
    words: set[str]
    shown: list[str] = field(default_factory=list[str])


def blocks() -> list[Block]:
    found: list[Block] = []
    for kind, words, text in FENCED.findall(DOCUMENT.read_text(encoding="utf-8")):
        if kind == "sh":
            found.append(Block(text, set(words.split())))
            assert found[-1].words <= MACHINES | {"not-run"}, words
        elif not text.startswith("defaults\n"):
            found[-1].shown = text.splitlines()
    return found


class Machines:
    """The machines of the page below one directory, and the processes that their `systemctl` started."""

    def __init__(self, root: Path, database: str) -> None:
        self.root, self.port = root, free_port()
        self.processes: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self.replaced = (
            ("postgresql+psycopg://kilonova:SECRET@data1.example.org/kilonova", database),
            ("tls://data1.example.org:4222", f"tls://127.0.0.1:{free_port()}"),
            ("https://api1.example.org:8774", f"http://127.0.0.1:{self.port}"),
            ("port = 8774", f"port = {self.port}"),
            ("--installed-at /etc", f"--installed-at {root}/data1/etc"),
            ("listen = 0.0.0.0\n", "listen = 127.0.0.1\n"),
            ("ssl_cert_file = /etc/kilonova/api1.pem\n", ""),
            ("connection_uri = qemu:///system\n", "[DEFAULT]\ncompute_driver = fake.FakeDriver\nreport_interval = 1\n"),
        )
        for name in MACHINES:
            for directory in ("etc/kilonova", "var/lib/kilonova"):
                (root / name / directory).mkdir(parents=True)

    def here(self, machine: str, text: str) -> str:
        """The text with the files, addresses and driver of this test."""
        for old, new in self.replaced:
            text = text.replace(old, new)
        return re.sub(r"(?<![\w:.}])/(etc|var/lib)/kilonova", rf"{self.root}/{machine}/\1/kilonova", text).replace(
            "sqlite:////var", f"sqlite:///{self.root}/{machine}/var"
        )

    def run(self, machine: str, text: str) -> str:
        """Run a block on its machine, with its systemctl commands at their places; returns its output."""
        said, position = "", 0
        text = self.here(machine, text)
        for match in SYSTEMCTL.finditer(text):
            said += self._bash(machine, text[position : match.start()])
            if match[1] == "enable":
                self.start(machine, match[2])
            else:
                self.stop(machine, match[2])
            position = match.end()
        return said + self._bash(machine, text[position:])

    def _bash(self, machine: str, text: str) -> str:
        env = environment(
            {
                **{name: None for name in os.environ if name.startswith(("OS_", "KILONOVA_"))},
                "HERE": str(self.root / machine),
                "ROOT": str(self.root),
                "PATH": f"{VENV}/bin:{CLIENT}/bin:/usr/bin:/bin",
                "OS_CLIENT_CONFIG_FILE": str(self.root / "clouds.yaml"),
                "PYTHONPATH": None,
                "COLUMNS": "200",
            }
        )
        done = subprocess.run(
            ["bash", "-c", PRELUDE + text], capture_output=True, text=True, timeout=LIMIT_S, env=env, check=False
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        # The doctor of this machine may find that it is no host; its findings about the fleet are compared below.
        assert done.returncode == 0 or "kilonova doctor" in text, f"{text}\n{said}"
        return said

    def start(self, machine: str, program: str) -> None:
        """What the unit of the program does."""
        here = self.root / machine
        config = here / "etc/kilonova/kilonova.conf"
        words = ["--config-file", str(config)]
        if (own := here / f"etc/kilonova/{program}.conf").exists() and own != config:
            words += ["--config-file", str(own)]
        ready = f"{program} ready\n"
        if program == "nats-server":
            words, ready = ["-c", str(here / "etc/kilonova/nats/nats-server.conf")], "Server is ready"
        elif program == "kilonova":
            words, ready = ["up", *words, "--clouds-file", str(self.root / "clouds.yaml")], "\nready\n"
        log = here / f"{program}.log"
        with log.open("wb") as out:
            self.processes[machine, program] = subprocess.Popen(
                [VENV / "bin" / program, *words], stdout=out, stderr=out
            )

        def is_ready() -> bool:
            assert self.processes[machine, program].poll() is None, log.read_text()
            return ready in log.read_text(errors="replace")

        wait_for(is_ready, within_s=LIMIT_S, why=lambda: log.read_text(errors="replace"))

    def stop(self, machine: str, program: str) -> None:
        process = self.processes.pop((machine, program))
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    def said(self) -> str:
        """All logs."""
        return "".join(path.read_text(errors="replace") for path in self.root.glob("*/*.log"))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(10)


@pytest.fixture
def machines() -> Iterator[Machines]:
    with tempfile.TemporaryDirectory(prefix="kn-page-") as directory:
        root = Path(directory)
        root.chmod(0o711)
        with PrivatePostgres(root / "pg") as server:
            made = Machines(root, server.url)
            try:
                yield made
            finally:
                made.close()


def create(machines: Machines, name: str, *words: str) -> None:
    command = f"openstack server create --image tiny --flavor m1.nano --wait {' '.join(words)} {name}"
    machines.run("api1", f"{command} || {{ openstack server show {name}; false; }}")


def servers(machines: Machines) -> dict[str, tuple[str, str]]:
    """State and host of each server."""
    listed = json.loads(machines.run("api1", "openstack server list --long -f json"))
    return {one["Name"]: (one["Status"], one["Host"]) for one in listed}


def one_box(machines: Machines) -> None:
    """The one box that the page begins with, with a server."""
    here = machines.root / "compute1"
    (here / "etc/kilonova/kilonova.conf").write_text(ONE_BOX.format(here=here, port=machines.port))
    machines.start("compute1", "kilonova")
    image = here / "image.raw"
    image.write_bytes(b"\x55" * 65536)
    machines.run("api1", f"openstack image create --disk-format raw --container-format bare --file {image} tiny")
    create(machines, "first")


def test_every_command_of_the_page(machines: Machines) -> None:
    if not (CLIENT / "bin/openstack").exists():
        cannot_run("the openstack client is not installed: make setup")
    one_box(machines)
    looked = False
    for block in blocks():
        (machine,) = block.words - {"not-run"}
        if "not-run" in block.words:
            continue
        if "service set --down" in block.text and not looked:
            create(machines, "second", "--availability-zone nova:compute2")
            found = servers(machines)
            assert found["second"] == ("ACTIVE", "compute2"), found
            # The server of the one box is on its host; the guests of the fake driver end with its process.
            assert found["first"] in {("ACTIVE", "compute1"), ("UNKNOWN", "compute1")}, found
            looked = True
        said = machines.run(machine, block.text)
        for line in block.shown:
            pattern = ".*".join(map(re.escape, line.strip(". ").split(" ... ")))
            assert re.search(pattern, said), f"{line}\n{said}"
        if "kilonova doctor" in block.text:
            for words in (r"message-bus +ok", r"bus-credentials +ok", r"conductor +ok"):
                assert re.search(words, said), said
    assert looked
    listed = machines.run("control1", FLEET_STATUS)
    assert re.search(r"compute2 .* down .* forced down by an operator", listed), listed
    assert "Traceback" not in machines.said()


FLEET_STATUS = "kilonova fleet status --config-file /etc/kilonova/alice.conf"


def test_the_balancer_of_the_page_is_that_of_the_lab() -> None:
    page = {line.strip() for line in DOCUMENT.read_text(encoding="utf-8").splitlines()}
    own = {line.strip() for line in balancer.CONFIG.splitlines() if line.strip() and "{" not in line}
    assert own <= page
    assert {"option httpchk GET /healthz", "balance roundrobin"} <= own
