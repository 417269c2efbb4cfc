# SPDX-License-Identifier: Apache-2.0
"""`kilonova up` with the fake driver, as a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab.cloud import free_port
from tests.live.box import wait_for
from tests.service.cloud import password_login


@dataclass
class Process:
    """`url` of the API, `status` the path of the status port's socket."""

    popen: "subprocess.Popen[bytes]"
    url: str
    directory: Path
    http: httpx.Client

    def metric(self, name: str) -> float:
        """One sample of the status port."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.directory / "status"))) as http:
            lines = http.get("http://status/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.split(" ")[0] == name))

    def log_in(self) -> dict[str, str]:
        """Headers of the administrator."""
        cloud = yaml.safe_load((self.directory / "clouds.yaml").read_text())["clouds"]["kilonova"]
        reply = self.http.post("/identity/v3/auth/tokens", json=password_login(cloud["auth"]["password"]))
        assert reply.status_code == 201, reply.text
        return {"X-Auth-Token": reply.headers["X-Subject-Token"]}

    def answers(self, path: str) -> bool:
        """Whether it says 200."""
        try:
            return self.http.get(path).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running(
    directory: Path, config: str = "", *, scheme: str = "http", verify: Any = False, **streams: Any
) -> Generator[Process]:
    """A process that is ready; `config` is its file, `streams` are those of Popen (nothing is kept by default).
    SIGTERM must end it with status 0."""
    port = free_port()
    (directory / "k.conf").write_text(f"[DEFAULT]\nstatus_listen = {directory}/status\n{config}")
    argv = [sys.executable, "-m", "kilonova", "up", "--compute-driver", "fake.FakeDriver"]
    argv += ["--state-path", str(directory / "state"), "--clouds-file", str(directory / "clouds.yaml")]
    argv += ["--config-file", str(directory / "k.conf"), "--listen", f"127.0.0.1:{port}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **{**quiet, **streams})
    url = f"{scheme}://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=30, verify=verify, trust_env=False) as http:
            process = Process(popen, url, directory, http)
            ready: Callable[[], bool] = lambda: popen.poll() is not None or process.answers("/readyz")  # noqa: E731
            wait_for(ready, why=lambda: f"status {popen.poll()}")
            assert popen.poll() is None, f"it ended with {popen.returncode}"
            yield process
        popen.terminate()
        assert popen.wait(timeout=60) == 0
    finally:
        popen.kill()
        popen.wait()
