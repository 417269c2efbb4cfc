# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` client against a real box."""

import json
import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.common import CLIENT
from lab.counting import cannot_run
from tests.live.box import Box, libvirt_box, private_libvirtd


class Client:
    """`client("server", "list")` is `openstack server list -f json`, its answer parsed."""

    def __init__(self, clouds: Path) -> None:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        self.environment = {
            **mine,
            "OS_CLIENT_CONFIG_FILE": str(clouds),
            "OS_CLOUD": "kilonova",
            "NO_PROXY": "127.0.0.1",
        }
        self.environment.pop("PYTHONPATH", None)
        self.clouds = clouds

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [str(CLIENT / "bin/openstack"), *words]
        whole = {**self.environment, **environment}
        return subprocess.run(argv, env=whole, capture_output=True, text=True, timeout=120, check=False)

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
        assert "500" not in done.stderr
        return done.stderr


@pytest.fixture(scope="session")
def box() -> Generator[Box]:
    with private_libvirtd() as daemon, libvirt_box(daemon) as made:
        yield made.start().ready()


@pytest.fixture(scope="session")
def openstack(box: Box) -> Client:
    if not (CLIENT / "bin/openstack").exists():
        cannot_run("the openstack client is not installed: make setup")
    return Client(box.clouds)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    from tests.live.box import wait_for

    return wait_for
