# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` client against a real box."""

import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.common import CLIENT
from lab.counting import cannot_run
from tests.live.box import Box, libvirt_box, private_libvirtd

LIMIT_S = 120


class Openstack:
    """The `openstack` command in a process that has its modules loaded (see preloaded.py)."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        argv = [str(CLIENT / "bin/python"), str(Path(__file__).with_name("preloaded.py")), str(directory / "modules")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(argv, env=environment, text=True, start_new_session=True, **pipes)

    def run(self, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        out, errors = self.directory / "out", self.directory / "errors"
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([words, dict(environment), str(out), str(errors)]), file=self.process.stdin, flush=True)
        ended, _, _ = select.select([self.process.stdout], [], [], LIMIT_S)
        assert ended, f"openstack {' '.join(words)} does not end: {out.read_text()} {errors.read_text()}"
        status = int(self.process.stdout.readline())
        return subprocess.CompletedProcess(words, status, out.read_text(), errors.read_text())

    def close(self) -> None:
        """End it, and a command that hangs in it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Client:
    """`client("server", "list")` is `openstack server list -f json`, its answer parsed."""

    def __init__(self, clouds: Path, directory: Path) -> None:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        self.environment = {
            **mine,
            "OS_CLIENT_CONFIG_FILE": str(clouds),
            "OS_CLOUD": "kilonova",
            "NO_PROXY": "127.0.0.1",
        }
        self.environment.pop("PYTHONPATH", None)
        self.clouds = clouds
        self.openstack = Openstack(directory, self.environment)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.openstack.run(words, {**self.environment, **environment})

    def without_user(self, *words: str) -> Any:
        """The same by what the words say, at the address in the clouds.yaml: no user and no project of it."""
        auth = yaml.safe_load(self.clouds.read_text())["clouds"]["kilonova"]["auth"]
        nothing = self.clouds.with_name("no-clouds.yaml")
        nothing.write_text("clouds: {}\n")
        done = self.run(
            *("--os-auth-url", auth["auth_url"], *words, "-f", "json"),
            OS_CLIENT_CONFIG_FILE=str(nothing),
            OS_CLOUD="",
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def plain(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"openstack {' '.join(words)}: {done.stderr}"
        return done.stdout

    def __call__(self, *words: str) -> Any:
        return json.loads(self.plain(*words, "-f", "json"))

    def refused(self, *words: str) -> str:
        """What the client says when the service refuses; never a traceback, never a 500."""
        done = self.run(*words)
        assert done.returncode != 0, f"openstack {' '.join(words)} was accepted: {done.stdout}"
        assert "Traceback" not in done.stderr
        assert not re.search(r"\b500\b", done.stderr), done.stderr  # (a port may contain the digits)
        return done.stderr


@pytest.fixture(scope="session")
def box() -> Generator[Box]:
    with private_libvirtd() as daemon, libvirt_box(daemon) as made:
        yield made.start().ready()


@pytest.fixture(scope="session")
def openstack(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Generator[Client]:
    if not (CLIENT / "bin/openstack").exists():
        cannot_run("the openstack client is not installed: make setup")
    client = Client(box.clouds, tmp_path_factory.mktemp("openstack"))
    yield client
    client.openstack.close()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    from tests.live.box import wait_for

    return wait_for
